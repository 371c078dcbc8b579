// The command line at the limits of the machine and of sense: sizes beyond all reason, few open files, little memory,
// full disks, odd names.

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { architecture } from '../../src/models/index.ts';
import { drawSamples, openExtractor } from '../../src/node/defaults.ts';
import { openData, readInfo } from '../../src/node/index.ts';
import { train } from '../../src/node/training.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { smallModel } from '../support/models.ts';

// as it was built: a limit is on every file that is opened
const bin = fileURLToPath(new URL('../../bin/fisher-ood.js', import.meta.url));
const folder = temporaryFolder();
const at = (...parts: string[]) => join(folder.path, ...parts);
const model = at('model');
const pixels = Uint8Array.from({ length: 40 * 64 }, (_, i) => (i * 37 + (i >> 5)) % 256);
const data = writeNpy({ dtype: 'uint8', shape: [40, 1, 8, 8], data: pixels });
const small = [...['--config', '{"levels": 1, "steps": 1, "hidden": 4}'], ...['--batch', '8']];

beforeAll(async () => {
  writeFileSync(at('x.npy'), data);
  const made = await runCli('train', 'glow', '--data', at('x.npy'), ...small, '--steps', '4', '--out', model);
  expect(made.code, made.stderr).toBe(0);
  const fitted = await runCli('fit', model, '--data', at('x.npy'), '--group', '1', '--out', at('d.json'));
  expect(fitted.code, fitted.stderr).toBe(0);
});
afterAll(() => folder.remove());

/** Runs the built command line in a shell with limits, such as 'ulimit -n 250'. */
function limited(limits: string, ...args: string[]) {
  const quoted = [process.execPath, bin, ...args].map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(' ');
  const env = { ...process.env, FISHER_OOD_CACHE: '' };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `${limits.replace('$', quoted)}`], {
    encoding: 'utf8',
    env,
  });
  return { code: status, stdout, stderr };
}

describe('sizes beyond all reason', () => {
  it.each([
    [
      'threads',
      ['features', model, '--data', at('x.npy'), '--out', at('n.npz'), '--threads', '100000'],
      2,
      /--threads is '100000', expected a whole number from 1 to \d+\n/,
    ],
    [
      'more threads',
      ['sample', model, '--out', at('n.png'), '--threads', '1000000000000'],
      2,
      /--threads is '1000000000000', expected/,
    ],
    [
      'threads in another notation',
      ['score', at('d.json'), '--data', at('x.npy'), '--threads', '1e12'],
      2,
      /--threads is '1e12', expected/,
    ],
    [
      'a device that there is not',
      ['features', model, '--data', at('x.npy'), '--out', at('n.npz'), '--device', 'cuda'],
      2,
      /--device is 'cuda', expected cpu or webgpu \(the graphics card\)/,
    ],
    [
      'a batch',
      ['features', model, '--data', at('x.npy'), '--out', at('n.npz'), '--batch', '1000000000'],
      1,
      /a batch of 1000000000 examples: takes about [\d.]+ GB, the machine has [\d.]+ GB; a smaller batch or group takes less\n$/,
    ],
    [
      'a batch to score',
      ['score', at('d.json'), '--data', at('x.npy'), '--batch', '1000000000'],
      1,
      /a batch of 1000000000 examples: takes about/,
    ],
    [
      'a batch to learn from',
      ['train', 'glow', '--data', 'noise:2000000000', '--pad', '32', '--batch', '1000000000', '--out', at('n')],
      1,
      /steps of 1000000000 examples: takes .*; a smaller batch takes less\n$/,
    ],
    [
      'a group',
      ['features', model, '--data', 'noise:2000000000', '--crop', '8', '--out', at('n.npz'), '--group', '1000000000'],
      2,
      /--crop is for .onnx models/,
    ],
    [
      'samples',
      ['sample', model, '--out', at('n.png'), '--n', '1000000000'],
      2,
      /--n is '1000000000', expected a whole number from 1 to 100000\n/,
    ],
    [
      'a negative seed',
      ['sample', model, '--out', at('n.png'), '--seed', '-1'],
      2,
      /--seed is '-1', expected a whole number of at least 0/,
    ],
    [
      'a negative batch',
      ['features', model, '--data', at('x.npy'), '--out', at('n.npz'), '--batch', '-5'],
      2,
      /--batch is '-5', expected a whole number of at least 1/,
    ],
  ])('are refused: %s', async (_, args, code, message) => {
    const before = readdirSync(folder.path);
    const found = await runCli(...args);
    expect([found.code, found.stderr]).toEqual([code, expect.stringMatching(message)]);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it('are refused in the library', async () => {
    const vae = smallModel('vae');
    const extractor = (options: object) => openExtractor(vae, options);
    await expect(extractor({ batch: -5 })).rejects.toThrow(
      'the batch size is -5, expected a whole number of at least 1',
    );
    await expect(extractor({ batch: 0 })).rejects.toThrow('the batch size is 0');
    await expect(extractor({ batch: 2.5 })).rejects.toThrow('the batch size is 2.5');
    await expect(extractor({ group: Number.NaN })).rejects.toThrow('the group size is NaN');
    await expect(extractor({ seed: -1 })).rejects.toThrow('the seed is -1, expected a whole number of at least 0');
    await expect(extractor({ threads: 1e12 })).rejects.toThrow(
      'the number of threads is 1000000000000, expected a whole number from 1 to',
    );
    await expect(extractor({ memory: -1 })).rejects.toThrow('the memory limit is -1 bytes, expected more than 0');
    await expect(extractor({ group: 1e9 })).rejects.toThrow('a batch of 1000000000 examples: takes about');
    const options = { n: 4, seed: 0 };
    await expect(drawSamples(vae, { ...options, n: -1 })).rejects.toThrow('the number of samples is -1');
    await expect(drawSamples(vae, { ...options, n: 1e13 })).rejects.toThrow(
      '10000000000000 samples: takes more memory than there is',
    );
    await expect(drawSamples(vae, { ...options, seed: 0.5 })).rejects.toThrow('the seed is 0.5');
    const noise = (seed: number) => syntheticDataset('noise', { length: 40, shape: vae.info.data, seed });
    expect(() => noise(-1)).toThrow('seed is -1');
    for (const [name, value] of [
      ['seed', -1],
      ['batch', -5],
      ['steps', 0.5],
      ['learningRate', Number.NaN],
    ] as const) {
      const training = { ...vae.info.training, batch: 4, learningRate: 1e-3, [name]: value };
      const run = train({ info: { ...vae.info, training }, arch: vae.arch, data: noise(1), dir: at('none') });
      await expect(run).rejects.toThrow(new RegExp(`training.${name}`));
      expect(existsSync(at('none'))).toBe(false);
    }
  });

  it('and an extractor that was disposed of says so, twice disposed of or not', async () => {
    const extractor = await openExtractor(smallModel('vae'), { batch: 4 });
    const noise = syntheticDataset('noise', { length: 8, shape: [1, 8, 8], seed: 1 });
    const running = extractor.table(noise);
    await extractor.dispose();
    await extractor.dispose();
    await running.catch((error: Error) => expect(error.message).toMatch(/the session was disposed of/));
    await expect(extractor.table(noise)).rejects.toThrow('the session was disposed of, open another one');
  });
});

describe('a machine with little', () => {
  it.each([
    ['addresses', 'ulimit -v 8000000; $'],
    ['open files', 'ulimit -n 250; $'],
  ])(
    'of %s runs the commands',
    (_, limits) => {
      for (const args of [
        ['--version'],
        ['train', '--help'],
        ['features', model, '--data', at('x.npy'), '--out', at('l.npz')],
      ]) {
        const { code, stderr } = limited(limits, ...args);
        expect(code, stderr).toBe(0);
      }
      const { code, stderr } = limited(
        limits,
        'eval',
        at('d.json'),
        '--in',
        at('x.npy'),
        '--ood',
        `n=${at('x.npy')}[0:20]`,
        '--report',
        at('r.html'),
      );
      expect(code, stderr).toBe(0);
    },
    240_000,
  );

  it('says that there are too few open files', () => {
    // How many are few depends on Node's version: newer ones read modules one after the other.
    const too = [1, 'fisher-ood: too many open files; allow more, for example with: ulimit -n 1024\n'];
    for (const n of [64, 30]) {
      const { code, stderr } = limited(`ulimit -n ${n}; $`, 'inspect', model);
      expect([[0, ''], too]).toContainEqual([code, stderr]);
    }
  });

  it('says that the result cannot be written, and goes on where only the progress cannot', () => {
    const { code, stderr } = limited('$ > /dev/full', 'inspect', model);
    expect([code, stderr]).toEqual([
      1,
      'fisher-ood: cannot write the result to standard output: no space left on the disk\n',
    ]);
    expect(limited('$ 2> /dev/full', '--version').code).toBe(0);
    expect(limited('$ 2> /dev/full', 'features', model).code).toBe(2);
    expect(limited('$ | head -c 1', '--help').code).toBe(0);
  });

  it('says which file of a training run has no room, and goes on when there is', async () => {
    const args = (out: string) => [
      'train',
      'glow',
      '--data',
      at('x.npy'),
      ...small,
      '--steps',
      '6',
      '--out',
      out,
      '--checkpoint-every',
      '3',
    ];
    expect((await runCli(...args(at('whole')))).code).toBe(0);
    const [full, log] = [at('full'), at('full', 'train.log.jsonl')];
    const info = await readInfo(at('whole'));
    const stopped = train({
      info,
      arch: architecture('glow'),
      data: await openData(at('x.npy')),
      dir: full,
      checkpointEvery: 3,
      onProgress: ({ step }) => {
        if (step === 6) throw new Error('stop');
      },
    });
    await expect(stopped).rejects.toThrow('stop');
    // The checkpoint fits, and the log, which is made nearly as long as files may be; but not one more line of it.
    const blocks = Math.ceil(statSync(join(full, 'checkpoint.safetensors')).size / 512) + 1;
    const room = blocks * 512 - statSync(log).size - 40;
    appendFileSync(log, `${JSON.stringify({ step: 1, pad: 'x'.repeat(room) }).slice(0, room - 3)}"}\n`);
    const { code, stderr } = limited(`ulimit -f ${blocks}; $`, ...args(full));
    const message =
      /train\.log\.jsonl: cannot add a line: the file would be larger than the file system or a limit allows\n$/;
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect((await runCli(...args(full))).code).toBe(0);
    const weights = (dir: string) => readFileSync(join(dir, 'weights.safetensors'));
    expect(weights(full).equals(weights(at('whole')))).toBe(true);
    expect(readdirSync(full).sort()).toEqual(readdirSync(at('whole')).sort());
  }, 180_000);

  it.skipIf(process.platform !== 'linux')('says that a folder is only for reading', async () => {
    for (const args of [
      ['fit', model, '--data', at('x.npy'), '--out', '/sys/d.json'],
      ['train', 'glow', '--data', at('x.npy'), ...small, '--out', '/sys/m'],
      ['reproduce', 'smoke', '--out', '/sys/r'],
      ['data', 'get', 'mnist', '--data-dir', '/sys/data'],
    ]) {
      const { code, stderr } = await runCli(...args);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/: (permission denied|operation not permitted|the file system is read-only)/),
      ]);
      expect(stderr).not.toMatch(/bug/);
    }
  });

  it('finds what others have left unfinished in a folder, and takes it away unless it is being written', async () => {
    mkdirSync(at('left'));
    for (const name of ['.fisher-ood-0123456789ab.tmp', '.fisher-ood-0123456789abcdef.lock', '.other.tmp'])
      writeFileSync(at('left', name), '');
    expect(
      (await runCli('fit', model, '--data', at('x.npy'), '--group', '1', '--out', at('left', 'd.json'))).code,
    ).toBe(0);
    expect(readdirSync(at('left')).sort()).toEqual(['.other.tmp', 'd.json']);
  });
});

describe('names with control characters', () => {
  const odd = '\u001b[31m\u0007\u009b2J\u202e';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

  it('are spelt out in every message', async () => {
    const [file, none] = [at(`${odd}.npy`), at(`${odd}none`)];
    writeFileSync(file, data);
    const runs = [
      ['features', model, '--data', file, '--out', at(`${odd}.npz`)],
      ['features', model, '--data', file, '--out', at(`${odd}.npz`), '--json'],
      ['features', none, '--data', file, '--out', at('o.npz')],
      ['features', model, '--data', none, '--out', at('o.npz')],
      ['fit', model, '--data', file, '--group', '1', '--out', at(`${odd}.json`)],
      ['score', at(`${odd}.json`), '--data', file],
      ['score', none, '--data', file],
      ['eval', at(`${odd}.json`), '--in', file, '--ood', `${odd}=${file}`],
      ['sample', model, '--out', at(`${odd}.png`)],
      ['train', 'glow', '--data', file, ...small, '--steps', '4', '--out', at(`${odd}m`)],
      ['inspect', at(`${odd}m`)],
      ['inspect', none],
      ['train', odd, '--data', file, '--out', at('o')],
      ['data', 'get', odd],
      ['reproduce', odd, '--out', at('o')],
      [odd],
      [`--${odd}`],
    ];
    for (const args of runs) {
      const { stdout, stderr } = await runCli(...args);
      expect(
        [stdout, stderr].filter((text) => control.test(text)),
        JSON.stringify(args),
      ).toEqual([]);
      if (args.includes('--json')) expect((JSON.parse(stdout) as { out: string }).out).toBe(at(`${odd}.npz`));
    }
  });
});

describe('the recipe of a detector file', () => {
  it.each([
    [{ timestep: 3 }, /at 'recipe.timestep': found 3, expected a text/],
    [{ normal: 'z' }, /at 'recipe.normal': found "z", expected a list of texts/],
    [{ normal: [1] }, /at 'recipe.normal': found \[1\], expected a list of texts/],
    [{ bound: 'yes' }, /at 'recipe.bound': found "yes", expected true/],
    [{ pixles: '0,1' }, /at 'recipe.pixles': found "0,1", expected an option such as/],
    [{ model: 7 }, /at 'recipe.model': found 7, expected the path of a model/],
    [{ model: '' }, /at 'recipe.model': found "", expected the path/],
  ])('is refused where it holds %j', async (more, message) => {
    const detector = JSON.parse(readFileSync(at('d.json'), 'utf8')) as { recipe: object };
    writeFileSync(at('odd.json'), JSON.stringify({ ...detector, recipe: { ...detector.recipe, ...more } }));
    const { code, stderr } = await runCli('score', at('odd.json'), '--data', at('x.npy'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
});

it.skipIf(process.platform !== 'linux')(
  'asks the graphics card where it is told to, in every command that runs a model',
  () => {
    const device = ['--device', 'webgpu'];
    const out = at('webgpu.out');
    const commands = [
      ['features', model, '--data', at('x.npy'), '--out', `${out}.npz`],
      ['fit', model, '--data', at('x.npy'), '--out', out],
      ['score', at('d.json'), '--data', at('x.npy')],
      ['eval', at('d.json'), '--in', at('x.npy'), '--ood', `same=${at('x.npy')}`],
      ['sample', model, '--out', `${out}.png`],
      ['train', 'glow', '--data', at('x.npy'), ...small, '--steps', '1', '--out', out],
    ];
    for (const command of commands) {
      const { code, stderr } = limited('VK_DRIVER_FILES=/none VK_ICD_FILENAMES=/none $', ...command, ...device);
      expect(stderr, command[0]).toMatch(/the graphics card cannot be used by WebGPU: .*vulkaninfo/);
      expect(code, command[0]).toBe(1);
    }
  },
);
