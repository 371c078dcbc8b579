// The command line as a user meets it: help, wrong usage, and the way from a model to a decision.

import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands, helpText } from '../../src/cli/usage/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { combinedKinds, detectorNames } from '../../src/detectors/index.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
const size = ['--config', '{"levels": 1, "steps": 1, "hidden": 4}', '--pad', '32'];

beforeAll(async () => {
  const train = ['train', 'glow', '--data', 'sample/fashion-mnist', '--limit', '400', '--steps', '40', '--batch', '8'];
  const { code, stderr } = await runCli(...train, ...size, '--out', at('model'));
  expect(code, stderr).toBe(0);
  const fit = await runCli('fit', at('model'), '--data', 'sample/fashion-mnist[0:200]', '--out', at('detector.json'));
  expect(fit.code, fit.stderr).toBe(0);
});
afterAll(() => folder.remove());

describe('help', () => {
  it.each(Object.keys(commands) as (keyof typeof commands)[])('of %s', async (name) => {
    expect(await helpText(name, commands[name])).toMatchSnapshot();
  });

  it('is printed with exit code 0', async () => {
    for (const args of [['--help'], ['train', '--help']]) {
      const { code, stdout } = await runCli(...args);
      expect(code).toBe(0);
      expect(stdout).toContain('fisher-ood');
    }
  });
});

describe('the package', () => {
  it('has a program that can be started', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: Record<string, string> };
    expect(statSync(bin['fisher-ood']!).mode & 0o111).toBe(0o111);
  });
});

describe('data', () => {
  it('lists what is there and how to get what is not', async () => {
    mkdirSync(at('data/mnist'), { recursive: true });
    writeFileSync(at('data/mnist/t10k-images-idx3-ubyte'), '');
    const { stdout } = await runCli('data', 'list', '--data-dir', at('data'));
    expect(stdout).toContain(`mnist:test             ${at('data/mnist/t10k-images-idx3-ubyte')}\n`);
    expect(stdout).toMatch(/^kmnist:train +(not here: fisher-ood data get kmnist|\/.*)$/m);
    const rows = JSON.parse((await runCli('data', 'list', '--json', '--data-dir', at('data'))).stdout) as unknown[];
    expect(rows).toContainEqual(expect.objectContaining({ name: 'mnist:test', get: true }));
  });

  it('gets nothing that has another checksum', async () => {
    const server = createServer((_, response) => response.end('something else')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await runCli('data', 'get', 'mnist', '--data-dir', at('empty'), '--from', from);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`${from}/train-images-idx3-ubyte.gz: md5 of the 14 bytes is `);
    expect(readdirSync(at('empty/mnist'))).toEqual([]);
  });

  it('says what cannot be had by itself', async () => {
    const { code, stderr } = await runCli('data', 'get', 'celeba');
    expect([code, stderr]).toEqual([1, expect.stringContaining('celeba: there is nothing to download by itself')]);
  });
});

describe('wrong usage exits with 2 and says what is wrong', () => {
  it.each([
    [[], /fisher-ood COMMAND --help/],
    [['nonsense'], /there is no command 'nonsense'; there are demo, data, train/],
    [['train', 'glow'], /--out is needed/],
    [['data', 'get'], /data get: which\? There are fashion-mnist, mnist/],
    [['data', 'find'], /data find: expected data list or data get NAME/],
    [['data', 'get', 'nothing'], /there is no data set 'nothing'; there are fashion-mnist/],
    [['train', 'gloww', '--data', 'sample/mnist', '--out', 'x'], /there is no ARCH 'gloww'; there are ddpm, glow, /],
    [['train', '--out', 'x'], /train takes 1 argument\(s\), found 0/],
    [
      ['train', 'glow', '--out', 'x', '--data', 'sample/mnist', '--steps', 'ten'],
      /--steps is 'ten', expected a whole number/,
    ],
    [['features', 'm', '--nonsense'], /nonsense/],
    [['features', 'm', '--data', 'x', '--out', 'x.npz', '--shard', '3/2'], /--shard is '3\/2', expected i\/n/],
    [['train', 'glow', '--out', 'x', '--data', 'sample/mnist', '--config', '{'], /--config: is not valid JSON/],
    [['inspect', 'models', '--timestep', '1,x'], /--timestep is '1,x', expected whole numbers such as 1,16/],
    [['inspect', 'models', '--timestep', '1', '--bound'], /--timestep and --bound exclude each other/],
    [['inspect', 'package.json', '--bound'], /--bound is for model directories, package.json is a file/],
  ] as const)('%j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(...args);
    expect(code).toBe(2);
    expect(stdout + stderr).toMatch(message);
  });
});

describe('failures exit with 1 and name the place', () => {
  it.each([
    [['inspect', 'no-such-model'], /no-such-model: no such model directory/],
    [
      ['inspect', 'models/glow-fashion-mnist', '--timestep', '1'],
      /glow is scored by its likelihood; there is no 'timesteps'/,
    ],
    [['sample', 'models/glow-fashion-mnist', '--steps', '9', '--out', 'x'], /glow samples in one run, not in 9 steps/],
    [
      ['train', 'glow', '--data', 'nowhere.gz', '--out', 'x'],
      /nowhere\.gz: no such file or folder, and no known data set/,
    ],
    [['train', 'glow', '--data', 'sample/mnist', '--out', 'x'], /\[1, 28, 28\]|divisible/],
    [
      ['train', 'transformer', '--data', 'sample/mnist', '--out', 'x'],
      /sample\/mnist: holds examples of shape \[1,28,28\], expected sequences of bytes, of shape \[length\]/,
    ],
  ] as const)('%j', async (args, message) => {
    const { code, stderr } = await runCli(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('bug in fisher-ood');
  });

  it('refuses a detector with another model, of an unknown version, or cut short', async () => {
    const detector = readFileSync(at('detector.json'), 'utf8');
    const other = ['train', 'glow', '--data', 'sample/mnist', '--limit', '100', '--steps', '2', '--batch', '8'];
    expect((await runCli(...other, ...size, '--out', at('other'))).code).toBe(0);
    const wrong = await runCli('score', at('detector.json'), '--data', 'sample/mnist', '--model', at('other'));
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toMatch(/was fitted with model [0-9a-f]{12}, .*other is model [0-9a-f]{12}/);
    for (const [name, text, message] of [
      ['v2.json', detector.replace('"version":1', '"version":2'), /version 2, expected 1/],
      ['cut.json', detector.slice(0, 1000), /is not a detector file: is not valid JSON/],
    ] as const) {
      writeFileSync(at(name), text);
      const { code, stderr } = await runCli('score', at(name), '--data', 'sample/mnist');
      expect(code).toBe(1);
      expect(stderr).toMatch(message);
    }
  });
});

describe('a model of bytes', () => {
  const windows = (seed: number) => Uint8Array.from({ length: 120 * 8 }, (_, i) => 97 + ((i * seed) % 26));
  const write = (name: string, data: Uint8Array) =>
    writeFileSync(at(name), writeNpy({ dtype: 'uint8', shape: [120, 8], data }));

  it('is trained and judges sequences of its length, and nothing else', async () => {
    write('in.npy', windows(1));
    write('out.npy', windows(5));
    const config = [
      '--config',
      '{"layers": 1, "width": 8, "heads": 2}',
      '--batch',
      '10',
      '--steps',
      '60',
      '--lr',
      '0.02',
    ];
    const trained = await runCli('train', 'transformer', '--data', at('in.npy'), ...config, '--out', at('bytes'));
    expect(trained.code, trained.stderr).toBe(0);
    const fitted = await runCli('fit', at('bytes'), '--data', at('in.npy'), '--out', at('bytes.json'));
    expect(fitted.code, fitted.stderr).toBe(0);
    const scored = await runCli('score', at('bytes.json'), '--data', at('out.npy'), '--json');
    const { results } = JSON.parse(scored.stdout) as { results: { ood: boolean }[] };
    expect(results.filter((r) => r.ood).length).toBe(120);

    const images = await runCli('score', at('bytes.json'), '--data', 'sample/mnist');
    expect([images.code, images.stderr]).toEqual([1, expect.stringMatching(/'x' is \[1,28,28\] .*takes \[8\]/)]);
    const glow = await runCli('train', 'glow', '--data', at('in.npy'), '--out', at('glow'));
    expect([glow.code, glow.stderr]).toEqual([1, expect.stringMatching(/in\.npy: holds no images/)]);
    const padded = await runCli('train', 'transformer', '--data', at('in.npy'), '--pad', '9', '--out', at('p'));
    expect([padded.code, padded.stderr]).toEqual([2, expect.stringMatching(/--pad is for images/)]);
  });
});

describe('from a model to a decision', () => {
  it('inspect lists every parameter with its plan', async () => {
    const { stdout } = await runCli('inspect', at('model'), '--json');
    const result = JSON.parse(stdout) as { parameters: { name: string; plan: string }[]; inputs: { from: string }[] };
    expect(result.inputs.map((v) => v.from).sort()).toEqual(['data', 'uniform']);
    expect(result.parameters.map((p) => p.plan)).toContain('gradient');
    expect(result.parameters.find((p) => p.name.endsWith('conv1.weight'))?.plan).toMatch(/direct|gram/);
  });

  it('sample writes a PNG grid, the same for the same seed', async () => {
    for (const out of ['a.png', 'b.png']) await runCli('sample', at('model'), '--n', '5', '--out', at(out));
    const image = decode(readFileSync(at('a.png')));
    expect([image.width, image.height]).toEqual([3 * 34 + 2, 2 * 34 + 2]);
    expect(readFileSync(at('a.png')).equals(readFileSync(at('b.png')))).toBe(true);
    await runCli('sample', at('model'), '--n', '5', '--seed', '1', '--out', at('c.png'));
    expect(readFileSync(at('a.png')).equals(readFileSync(at('c.png')))).toBe(false);
  });

  it('score gives every input a p-value and a verdict, for single inputs and groups', async () => {
    const score = ['score', at('detector.json'), '--data', 'sample/fashion-mnist[200:400]', '--json'];
    const single = JSON.parse((await runCli(...score)).stdout) as {
      n: number;
      results: { index: number; ood: boolean; pValue: number }[];
    };
    expect(single.n).toBe(200);
    expect(single.results.map((r) => r.index)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(single.results.every((r) => r.ood === r.pValue <= 0.05)).toBe(true);
    // Other images of the set that was fitted on: 5 % are expected, 12 % would be five standard deviations away.
    expect(single.results.filter((r) => r.ood).length).toBeLessThan(24);
    const groups = await runCli(...score.slice(0, -1), '--group', '5', '--top', '2');
    expect(groups.stdout).toMatch(/of 40 groups of 5 out of distribution by combined at/);
    const none = await runCli(...score, '--group', '7');
    expect(none.code).toBe(2);
    expect(none.stderr).toMatch(/not fitted for groups of 7; there are B = 1: .*B = 5:/);
  });

  it('eval prints a row per detector, set and group size, and writes a report', async () => {
    const sets = [
      '--in',
      'sample/fashion-mnist[200:400]',
      '--ood',
      'mnist=sample/mnist[0:100]',
      '--ood',
      'noise=noise:50',
    ];
    const { code, stdout, stderr } = await runCli(
      'eval',
      at('detector.json'),
      ...sets,
      '--json',
      '--report',
      at('r.html'),
    );
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { results: Record<string, unknown>[] };
    expect(results).toHaveLength(2 * 2 * (combinedKinds.length + detectorNames.length));
    expect(Object.keys(results[0]!)).toEqual([
      'detector',
      'group',
      'ood',
      'auroc',
      'aurocLow',
      'aurocHigh',
      'aupr',
      'fpr95',
      'nIn',
      'nOod',
    ]);
    expect(
      results.find((r) => r.detector === 'layer-norms' && r.group === 5 && r.ood === 'noise')!.auroc,
    ).toBeGreaterThan(0.9);
    expect(readFileSync(at('r.html'), 'utf8')).toContain('</html>');
  });
});
