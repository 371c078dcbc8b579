// Outputs are claimed before the work: nothing that is read is overwritten, one process has them, and nothing is left
// by what is refused.

import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpy, writeNpz } from '../../src/data/npy.ts';
import { claimFile, claimFolder } from '../../src/node/index.ts';
import { inTemporaryFolder, runCli, startCli, temporaryFolder } from '../support/cli.ts';
import { externalTensor, FLOAT, modelBytes, node, value } from '../support/proto.ts';

const folder = temporaryFolder();
const at = (...parts: string[]) => join(folder.path, ...parts);
const model = at('model');
const pixels = Uint8Array.from({ length: 40 * 64 }, (_, i) => (i * 37 + (i >> 5)) % 256);
const images = { dtype: 'uint8' as const, shape: [40, 1, 8, 8], data: pixels };
const small = [...['--config', '{"levels": 1, "steps": 1, "hidden": 4}'], ...['--steps', '4', '--batch', '8']];

beforeAll(async () => {
  writeFileSync(at('x.npz'), writeNpz({ x: images }));
  writeFileSync(at('x.npy'), writeNpy(images));
  const { code, stderr } = await runCli('train', 'glow', '--data', at('x.npy'), ...small, '--out', model);
  expect(code, stderr).toBe(0);
  expect((await runCli('fit', model, '--data', at('x.npy'), '--group', '1', '--out', at('d.json'))).code).toBe(0);
});
afterAll(() => folder.remove());

/** Every file below, by name. */
function contents(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !statSync(join(dir, name)).isDirectory(),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(dir, name), 'latin1')]));
}

/** Refused with this exit code and message, and nothing in the folder has changed. */
async function refused(args: readonly string[], code: number, message: RegExp): Promise<void> {
  const before = contents(folder.path);
  const found = await runCli(...args);
  expect([found.code, found.stderr]).toEqual([code, expect.stringMatching(message)]);
  expect(contents(folder.path)).toEqual(before);
}

describe('an output that is read', () => {
  it.each([
    ['the data', () => ['features', model, '--data', at('x.npz'), '--out', at('x.npz')]],
    ['the data, sliced', () => ['features', model, '--data', `${at('x.npz')}[0:8]`, '--out', at('x.npz')]],
    [
      'the data by another spelling',
      () => ['features', model, '--data', at('x.npz'), '--out', at('.', 'model', '..', 'x.npz')],
    ],
    [
      'the data by a relative name',
      () => ['features', model, '--data', at('x.npz'), '--out', relative('.', at('x.npz'))],
    ],
    ['the data by a link', () => ['features', model, '--data', at('x.npz'), '--out', at('soft.npz')]],
    ['the data, read by a link', () => ['features', model, '--data', at('soft.npz'), '--out', at('x.npz')]],
    ['the data by another name', () => ['features', model, '--data', at('x.npz'), '--out', at('hard.npz')]],
    [
      'the data, as its unfinished rows',
      () => ['features', model, '--data', at('rows.npz.partial'), '--out', at('rows.npz')],
    ],
    ['the data of a fit', () => ['fit', model, '--data', at('x.npy'), '--out', at('x.npy')]],
    ['a model file', () => ['fit', at('m.onnx'), '--data', at('x.npy'), '--out', at('m.onnx')]],
    ['external data of a model file', () => ['fit', at('m.onnx'), '--data', at('x.npy'), '--out', at('m.weights')]],
    [
      'the weights of a model',
      () => ['fit', model, '--data', at('x.npy'), '--out', join(model, 'weights.safetensors')],
    ],
    [
      'the description of a model',
      () => ['features', model, '--data', at('x.npy'), '--out', join(model, 'model.json')],
    ],
    ['the weights, by a link', () => ['sample', model, '--out', at('weights-link')]],
    ['a picture of a folder', () => ['fit', model, '--data', at('pictures'), '--out', at('pictures', 'a.png')]],
    [
      'the detector',
      () => ['eval', at('d.json'), '--in', at('x.npy'), '--ood', `n=${at('x.npz')}`, '--report', at('d.json')],
    ],
    [
      'an out-of-distribution set',
      () => ['eval', at('d.json'), '--in', at('x.npy'), '--ood', `n=${at('x.npz')}`, '--report', at('x.npz')],
    ],
    [
      'the model of the detector',
      () => [
        'eval',
        at('d.json'),
        '--in',
        at('x.npy'),
        '--ood',
        `n=${at('x.npz')}`,
        '--report',
        join(model, 'model.json'),
      ],
    ],
    ['labels', () => ['fit', model, '--data', `${at('a-images-idx3-ubyte')}{1}`, '--out', at('a-labels-idx1-ubyte')]],
    ['the model of the demo', () => ['demo', '--model', model, '--out', join(model, 'model.json')]],
    [
      'the log of the text to learn',
      () => ['train', 'transformer', '--data', join(model, 'train.log.jsonl'), '--out', model],
    ],
  ])('is refused: %s', async (_, args) => {
    if (!existsSync(at('soft.npz'))) {
      symlinkSync('x.npz', at('soft.npz'));
      linkSync(at('x.npz'), at('hard.npz'));
      symlinkSync(join('model', 'weights.safetensors'), at('weights-link'));
      writeFileSync(at('rows.npz.partial'), 'data of somebody');
      const w = externalTensor('w', [64, 1], 'm.weights', 0, 256);
      writeFileSync(at('m.weights'), new Uint8Array(256));
      const nodes = [node('Flatten', ['x'], ['f']), node('MatMul', ['f', 'w'], ['loss'])];
      const parts = {
        node: nodes,
        initializer: [w],
        input: [value('x', FLOAT, ['n', 1, 8, 8])],
        output: [value('loss', FLOAT, ['n', 1])],
      };
      writeFileSync(at('m.onnx'), modelBytes(parts));
      mkdirSync(at('pictures'));
      writeFileSync(at('pictures', 'a.png'), 'a picture');
      for (const name of ['images-idx3', 'labels-idx1']) writeFileSync(at(`a-${name}-ubyte`), 'mnist');
    }
    await refused(args(), 2, /^fisher-ood: .*: is .*, which is read: it would be overwritten; write elsewhere\n/);
  });

  it('is allowed beside what is read, also where an earlier one is', async () => {
    await inTemporaryFolder(async (dir) => {
      for (const out of [join(model, 'x.json'), join(dir, 'd.json'), join(dir, 'd.json')]) {
        expect((await runCli('fit', model, '--data', at('x.npy'), '--group', '1', '--out', out)).stderr).not.toMatch(
          /fisher-ood:/,
        );
      }
      rmSync(join(model, 'x.json'));
    });
  });
});

describe('an output that cannot be written', () => {
  const commands: readonly (readonly [string, (out: string) => string[]])[] = [
    ['features', (out) => ['features', model, '--data', at('x.npy'), '--out', `${out}.npz`]],
    ['fit', (out) => ['fit', model, '--data', at('x.npy'), '--out', out]],
    ['sample', (out) => ['sample', model, '--out', out]],
    ['demo', (out) => ['demo', '--out', out]],
    ['demo --overview', (out) => ['demo', '--out', at('new.html'), '--overview', out]],
    ['eval', (out) => ['eval', at('d.json'), '--in', at('x.npy'), '--ood', `n=${at('x.npz')}`, '--report', out]],
    ['train', (out) => ['train', 'glow', '--data', at('x.npy'), ...small, '--out', out]],
    ['reproduce', (out) => ['reproduce', 'smoke', '--out', out]],
  ];

  it.each(commands)('is found before the work of %s', async (name, args) => {
    const began = performance.now();
    await refused(args(at('x.npy', 'out')), 1, /x\.npy/); // a file where a folder is wanted
    const intoFolders = name === 'train' || name === 'reproduce';
    if (!intoFolders)
      await refused(args(at('none', 'out')), 1, /cannot write: no such file or folder \(looked in .*none\)/);
    if (!intoFolders && name !== 'features')
      await refused(args(model), 1, /cannot write: it is a folder, expected a file name/);
    if (!intoFolders && name !== 'features')
      await refused(args('/dev/null'), 1, /cannot write: it is a device or pipe/);
    if (!intoFolders && name !== 'features')
      await refused(args(`${at('new')}/`), 2, /expected the name of a file to write/);
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  it('is also one that is to be two', async () => {
    await refused(['demo', '--out', at('same.html'), '--overview', at('model', '..', 'same.html')], 2, /two outputs/);
  });
});

describe('train', () => {
  const args = (out: string, ...more: string[]) => [
    'train',
    'glow',
    '--data',
    at('x.npy'),
    ...small,
    '--out',
    out,
    ...more,
  ];

  it('leaves nothing of a run that is refused or diverges before its first checkpoint', async () => {
    await refused(args(at('new', 'deep'), '--batch', '1000'), 1, /do not fill a batch of 1000/);
    await refused(args(at('new', 'deep'), '--data', at('none.npy')), 1, /none\.npy: no such file/);
    await refused(
      args(at('new', 'deep'), '--lr', '1e30', '--warm-up', '0'),
      1,
      /training diverged at step \d+: .*; try a smaller learning rate\n/,
    );
    await refused(args(at('new', 'deep'), '--pad', '4'), 1, /larger than/);
  });

  it('leaves what others have put into the folder', async () => {
    for (const name of ['weights.safetensors', 'train.log.jsonl', 'checkpoint.safetensors']) {
      mkdirSync(at('theirs'));
      writeFileSync(at('theirs', name), 'precious');
      await refused(
        args(at('theirs')),
        1,
        new RegExp(`holds ${name} but no model.json, so it is not of a training run`),
      );
      rmSync(at('theirs'), { recursive: true });
    }
    mkdirSync(at('theirs'));
    writeFileSync(at('theirs', 'notes.txt'), 'mine');
    expect((await runCli(...args(at('theirs')))).code).toBe(0);
    expect(readdirSync(at('theirs')).sort()).toEqual([
      'model.json',
      'notes.txt',
      'train.log.jsonl',
      'weights.safetensors',
    ]);
    rmSync(at('theirs'), { recursive: true });
  });
});

describe('reproduce', () => {
  it('leaves the report of somebody else', async () => {
    for (const name of ['report.html', 'results.json']) {
      mkdirSync(at('theirs'));
      writeFileSync(at('theirs', name), 'precious');
      await refused(
        ['reproduce', 'smoke', '--out', at('theirs')],
        1,
        new RegExp(`${name}: is not of a reproduction in`),
      );
      rmSync(at('theirs'), { recursive: true });
    }
  });
});

describe('two processes with one output', () => {
  it('by two names of one file, or by one file in two folders, are two all the same', async () => {
    await inTemporaryFolder(async (dir) => {
      writeFileSync(join(dir, 'd.json'), '{}');
      mkdirSync(join(dir, 'sub'));
      symlinkSync(join('..', 'd.json'), join(dir, 'sub', 'link.json'));
      symlinkSync('.', join(dir, 'here'));
      const claim = await claimFile(join(dir, 'd.json'));
      for (const out of [
        join(dir, 'sub', 'link.json'),
        join(dir, 'here', 'd.json'),
        join(dir, 'sub', '..', 'd.json'),
      ]) {
        const { code, stderr } = await runCli('fit', model, '--data', at('x.npy'), '--out', out);
        expect([code, stderr]).toEqual([
          1,
          expect.stringMatching(/: process \d+ on \S+ \(.*\) has been writing to it since/),
        ]);
      }
      await claim.release();
      const folder = await claimFolder(join(dir, 'm'));
      const train = await runCli('train', 'glow', '--data', at('x.npy'), ...small, '--out', join(dir, 'here', 'm'));
      expect(train.stderr).toMatch(/has been writing to it since/);
      await folder.release();
      expect(readdirSync(dir).sort()).toEqual(['d.json', 'here', 'sub']);
    });
  });

  const commands: readonly (readonly [string, string, (out: string) => string[]])[] = [
    ['features', 'f.npz', (out) => ['features', model, '--data', at('x.npy'), '--batch', '1', '--out', out]],
    ['fit', 'd.json', (out) => ['fit', model, '--data', at('x.npy'), '--group', '1', '--out', out]],
    ['train', 'm', (out) => ['train', 'glow', '--data', at('x.npy'), ...small, '--steps', '60', '--out', out]],
    ['sample', 's.png', (out) => ['sample', model, '--out', out]],
  ];

  it.each(commands)(
    '%s: one is refused, the other ends in the right bytes',
    async (_, name, args) => {
      await inTemporaryFolder(async (dir) => {
        const [alone, both] = [join(dir, 'alone', name), join(dir, 'both', name)];
        for (const out of [alone, both]) mkdirSync(join(out, '..'));
        expect((await runCli(...args(alone))).code).toBe(0);
        const ended = await Promise.all([startCli(args(both)).done, startCli(args(both)).done]);
        const losers = ended.filter(({ code }) => code !== 0);
        // Where one had ended before the other began, train says that it is finished, and the others do it again.
        expect(losers.length, JSON.stringify(ended)).toBeLessThanOrEqual(1);
        for (const { stderr } of losers) {
          expect(stderr).toMatch(
            /: process \d+ on \S+ \(fisher-ood .*\) has been writing to it since \d{4}-\S+; wait for it|finished/,
          );
        }
        const written = (out: string) => contents(join(out, '..'));
        expect(written(both)).toEqual(written(alone));
        expect(Object.keys(written(both)).every((file) => file.startsWith(basename(name)))).toBe(true);
      });
    },
    180_000,
  );
});
