// The front door: raw inputs of every kind through a scorer, against the tables and detectors behind it; and the lines
// of the README.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dataset, encodePng, syntheticDataset, take } from '../../src/data/index.ts';
import { type DetectorFile, fitDetectors, formatDetector } from '../../src/detectors/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { openData, writeDetector } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { openScorer } from '../../src/node/scorer.ts';
import * as scoring from '../../src/scoring/index.ts';
import type { Judgement } from '../../src/scoring/judge.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { smallModel } from '../support/models.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

const shipped = join(root, 'models', 'glow-fashion-mnist');

async function fitted(model: ScoringModel, data: Dataset, groups: readonly number[]): Promise<DetectorFile> {
  const tables = [];
  for (const group of groups) {
    const extractor = await openExtractor(model, { group, threads: 1 });
    tables.push(await extractor.table(data));
    await extractor.dispose();
  }
  return fitDetectors(tables);
}

/** Pixels of grey pictures [n, 28, 28], as bytes. */
async function picturesOf(spec: string): Promise<readonly Uint8Array[]> {
  const data = await openData(spec);
  const { arrays } = await data.gather(Array.from({ length: data.length }, (_, i) => i));
  const all = Uint8Array.from(arrays.x!.data as Float32Array);
  return Array.from({ length: data.length }, (_, i) => all.slice(i * 784, (i + 1) * 784));
}

describe('a scorer of an .onnx file', () => {
  /** Σ t (w x)² + (v x)², for a scale t that is an input. */
  const bytes = modelBytes({
    input: [value('x', FLOAT, ['n', 3]), value('t', FLOAT, ['n', 1])],
    node: [
      node('Mul', ['x', 'w'], ['a']),
      node('Mul', ['a', 'a'], ['aa']),
      node('Mul', ['aa', 't'], ['taa']),
      node('Mul', ['x', 'v'], ['b']),
      node('Mul', ['b', 'b'], ['bb']),
      node('Add', ['taa', 'bb'], ['sum']),
      node('ReduceSum', ['sum', 'last'], ['y'], { keepdims: 0 }),
    ],
    initializer: [
      tensor('w', [3], Float32Array.of(1, 2, 3)),
      tensor('v', [3], Float32Array.of(1, -1, 2)),
      tensor('last', [1], BigInt64Array.of(1n)),
    ],
    output: [value('y', FLOAT, ['n'])],
  });
  const rows = Array.from({ length: 40 }, (_, i) => [Math.sin(i), Math.cos(3 * i), Math.sin(7 * i + 1)]);

  it('that the detector names is read as it was when the detector was fitted', async () => {
    mkdirSync(at('foreign/models'), { recursive: true });
    const [file, csv, detector] = [at('foreign/models/m.onnx'), at('foreign/rows.csv'), at('foreign/detector.json')];
    writeFileSync(file, bytes);
    writeFileSync(csv, `${rows.map((row) => row.join()).join('\n')}\n`);
    const how = ['--constant', 't=2', '--params', '^[wv]$', '--frozen', '^v$', '--input', 'x'];
    const fit = await runCli('fit', file, '--data', csv, '--out', detector, '--threads', '1', ...how);
    expect(fit.code, fit.stderr).toBe(0);
    const found = await openScorer({ detector, threads: 1 });
    const onnx = { constants: { t: 2 }, params: /^[wv]$/u, frozen: /^v$/u, input: 'x', normal: [], uniform: [] };
    const given = await openScorer({ model: file, onnx, detector, threads: 1 });
    expect(await found.score(csv)).toEqual(await given.score(csv));
    expect(found.model.about).toBe(given.model.about);
    await found.dispose();
    await given.dispose();
    const content = JSON.parse(readFileSync(detector, 'utf8')) as { recipe: Record<string, unknown> };
    for (const [recipe, message] of [
      [
        { ...content.recipe, constant: ['t'] },
        /detector\.json: at 'recipe\.constant': found "t", expected NAME=NUMBER$/,
      ],
      [
        { ...content.recipe, params: '[' },
        /detector\.json: at 'recipe\.params': found "\[": Invalid regular expression/,
      ],
      [{ ...content.recipe, model: 3 }, /detector\.json: at 'recipe\.model': found 3, expected the path of a model$/],
      [{ constant: ['t=2'] }, /detector\.json does not say where its model is; say it with `model`$/],
    ] as const) {
      writeFileSync(detector, JSON.stringify({ ...content, recipe }));
      await expect(openScorer({ detector })).rejects.toThrow(message);
    }
  });
});

describe('a scorer of the shipped model', () => {
  let detector: string;
  let pictures: readonly Uint8Array[];
  beforeAll(async () => {
    detector = at('detector.json');
    const fit = ['fit', shipped, '--data', 'sample/fashion-mnist[0:60]', '--group', '1,5', '--out', detector];
    expect((await runCli(...fit, '--threads', '1')).code).toBe(0);
    pictures = [...(await picturesOf('sample/fashion-mnist[100:103]')), ...(await picturesOf('sample/mnist[0:3]'))];
    mkdirSync(at('new'));
    for (const [i, data] of pictures.entries()) {
      writeFileSync(at(`new/${i}.png`), encodePng({ data: Float32Array.from(data), shape: [1, 28, 28] }));
    }
  });

  it('says the same of a path, a folder, bytes, a blob, pixels and a set, and the same as the command line', async () => {
    const scorer = await openScorer({ model: shipped, detector, threads: 1 });
    const paths = pictures.map((_, i) => at(`new/${i}.png`));
    const encoded = paths.map((path) => new Uint8Array(readFileSync(path)));
    const raw = pictures.map((data) => ({ data, width: 28, height: 28 }));
    const expected = await scorer.score(paths);
    expect(expected.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { score, pValue, verdict, layers } of expected) {
      expect(verdict).toBe(pValue! <= 0.05 ? 'out' : 'in');
      expect(Number.isFinite(score)).toBe(true);
      expect(layers.length).toBeGreaterThan(50);
      expect(layers[0]!.share).toBeGreaterThanOrEqual(layers[1]!.share!);
    }
    const blobs = encoded.map((bytes) => new Blob([bytes]));
    const others = [
      encoded,
      encoded.map(({ buffer }) => buffer as ArrayBuffer),
      blobs,
      raw,
      at('new'),
      await openData(at('new')),
    ];
    const nameless = (found: readonly Judgement[]) => found.map(({ ids: _, ...one }) => one);
    for (const inputs of others) expect(nameless(await scorer.score(inputs))).toEqual(expected);
    const named = await scorer.score(at('new'));
    expect(named.map(({ ids }) => ids)).toEqual(pictures.map((_, i) => [`${i}.png`]));
    expect(await scorer.score([at('new/0.png'), raw[1]!, encoded[2]!, at('new')])).toHaveLength(9);

    const { stdout } = await runCli('score', detector, '--data', at('new'), '--json', '--threads', '1');
    const { results } = JSON.parse(stdout) as { results: { score: number; pValue: number; ood: boolean }[] };
    expect(results).toMatchObject(
      named.map(({ index, score, pValue, verdict }) => ({ index, score, pValue, ood: verdict === 'out' })),
    );
    await scorer.dispose();
  });

  it('runs a single input alone, and says what it says of it among others', async () => {
    const examples: number[] = [];
    const node = nodeRuntime();
    const runtime = {
      ...node,
      open: async (...args: Parameters<typeof node.open>) => {
        const session = await node.open(...args);
        return {
          ...session,
          run: (feeds: Parameters<typeof session.run>[0]) => {
            examples.push(feeds.x!.shape[0]!);
            return session.run(feeds);
          },
        };
      },
    };
    const scorer = await openScorer({ model: shipped, detector, runtime, threads: 1 });
    const [alone] = await scorer.score(at('new/4.png'));
    const all = await scorer.score(at('new'));
    // Two draws of the noise for each, the eight in parts that stay near the core.
    expect([examples[0], examples.slice(1).reduce((sum, n) => sum + n, 0)]).toEqual([2, 16]);
    expect(alone!.score! / all[4]!.score!).toBeCloseTo(1, 4);
    expect(alone!.verdict).toBe(all[4]!.verdict);
    await scorer.dispose();
  });

  it('judges groups, and what they leave over in smaller ones', async () => {
    const scorer = await openScorer({
      model: shipped,
      detector,
      group: 5,
      threads: 1,
      by: 'typicality',
      falsePositiveRate: 0.2,
    });
    const found = await scorer.score(at('new'));
    expect(found.map(({ index, group }) => [index, group])).toEqual([
      [0, 5],
      [5, 1],
    ]);
    await scorer.dispose();
  });

  it('takes the detector and the model as bytes and objects', async () => {
    const bytes = new Uint8Array(readFileSync(detector));
    const one = await openScorer({ model: shipped, detector: bytes, threads: 1 });
    const another = await openScorer({ model: one.model, detector: one.detector, threads: 1 });
    expect(await another.score(at('new/1.png'))).toEqual(await one.score(at('new/1.png')));
    await one.dispose();
    await another.dispose();
  });

  it('finds the model that the detector was fitted with, where the detector says that it is', async () => {
    const given = await openScorer({ model: shipped, detector, threads: 1 });
    const found = await openScorer({ detector, threads: 1 });
    expect(await found.score(at('new/1.png'))).toEqual(await given.score(at('new/1.png')));
    await given.dispose();
    await found.dispose();
    const elsewhere = at('elsewhere/detector.json');
    mkdirSync(at('elsewhere'));
    copyFileSync(detector, elsewhere);
    await expect(openScorer({ detector: elsewhere })).rejects.toThrow(
      /models\/glow-fashion-mnist: no such model directory or \.onnx file, where .*elsewhere\/detector\.json has its model; say it with `model`$/,
    );
    const bytes = new Uint8Array(readFileSync(detector));
    await expect(openScorer({ detector: bytes })).rejects.toThrow(
      'a detector that is no file does not say where its model is; say it with `model`',
    );
    await expect(openScorer({ detector, onnx: { loss: 'y' } })).rejects.toThrow(
      `${detector} says how its model is read; leave out \`onnx\`, or say which \`model\``,
    );
  });

  it('is what the README shows', async () => {
    const [, code] = /From code:\n\n```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8'))!;
    expect(code!.trim().split('\n').length).toBeLessThanOrEqual(10);
    const script = join(folder.path, 'readme.mjs');
    const [dist, model] = [join(root, 'dist', 'index.js'), shipped].map((path) => JSON.stringify(path));
    writeFileSync(script, code!.replace(`'fisher-ood'`, dist!).replace(`'model'`, model!));
    writeFileSync(at('photo.png'), readFileSync(at('new/3.png')));
    const stdout = execFileSync(process.execPath, [script], { cwd: folder.path, encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toHaveLength(7);
    expect(stdout).toMatch(/^(in|out) -?\d+(\.\d+)? /m);
  });
});

describe('a scorer', () => {
  const model = smallModel('pixelcnn'); // RGB, 5×4
  const [c, h, w] = [3, 5, 4];
  let detector: DetectorFile;
  let data: Dataset;
  beforeAll(async () => {
    data = syntheticDataset('noise', { length: 30, shape: [c, h, w], seed: 1 });
    detector = await fitted(model, data, [1]);
  });
  const open = (more: Partial<Parameters<typeof openScorer>[0]> = {}) =>
    openScorer({ model, detector, threads: 1, ...more });

  it('takes colours in planes, beside each other, as floats, and from a canvas', async () => {
    const scorer = await open();
    const planes = Uint8Array.from((await data.gather([3])).arrays.x!.data as Float32Array);
    const beside = new Uint8Array(planes.length);
    const canvas = new Uint8ClampedArray(h * w * 4).fill(255);
    for (let p = 0; p < h * w; p++) {
      for (let k = 0; k < c; k++) beside[p * c + k] = canvas[p * 4 + k] = planes[k * h * w + p]!;
    }
    const size = { width: w, height: h };
    const expected = await scorer.score(take(data, 3, 4));
    for (const input of [
      { data: planes, ...size, channels: 'first' },
      { data: beside, ...size, channels: 'last' },
      { data: Float32Array.from(planes), ...size, channels: 'first' },
      { data: canvas, ...size },
    ] as const) {
      expect(await scorer.score(input)).toEqual(expected);
    }
    canvas[7] = 254;
    const odd = { data: canvas, ...size };
    await expect(scorer.score(odd)).rejects.toThrow('the input: is transparent at row 0, column 1, expected opaque');
    await scorer.dispose();
  });

  it.each<[string, unknown, string | RegExp]>([
    ['nothing', [], 'there is no input to score'],
    [
      'colours in no order',
      { data: new Uint8Array(60), width: 4, height: 5 },
      "the input: has 3 channels; say whether they are planes or stand beside each other (channels: 'first' or 'last')",
    ],
    [
      'too few values',
      [
        { data: new Uint8Array(20), width: 4, height: 5 },
        { data: new Uint8Array(19), width: 4, height: 5 },
      ],
      'input 1: has 19 values for 5 rows of 4 pixels, expected 1, 3 or 4 times 5·4',
    ],
    [
      'pictures of another size',
      { data: new Uint8Array(21), width: 3, height: 7 },
      /'x' is \[1,7,3\] an example, the model takes \[3,5,4\]/,
    ],
    [
      'bytes that are no picture',
      new Uint8Array([1, 2, 3]),
      'the input: starts with 01 02 03, expected a PNG, JPEG or WebP',
    ],
    ['a name of nothing', 'nowhere', /nowhere: no such file or folder/],
    [
      'pictures of 0 and 1',
      { data: new Uint8Array(60).fill(1), width: 4, height: 5, channels: 'first' },
      /the input: holds only the values 0 and 1, expected pixels 0..255/,
    ],
  ])('refuses %s', async (_, inputs, message) => {
    const scorer = await open();
    await expect(scorer.score(inputs as never)).rejects.toThrow(message);
    await scorer.dispose();
  });

  it('takes a nearly black picture among others', async () => {
    const scorer = await open();
    const black = { data: new Uint8Array(60).fill(1), width: 4, height: 5, channels: 'first' } as const;
    const grey = { ...black, data: new Uint8Array(60).fill(90) };
    expect(await scorer.score([black, grey])).toHaveLength(2);
    await scorer.dispose();
  });

  it('is refused for another model, groups and rates that the detector cannot serve', async () => {
    const bytes = new TextEncoder().encode(formatDetector(detector));
    await expect(openScorer({ model: { ...model, hash: 'another' }, detector: bytes })).rejects.toThrow(
      'the detector was fitted with model small pixelc, the one given is model another',
    );
    await expect(open({ group: 2 })).rejects.toThrow(
      /^the detector: layer-norms is not fitted for groups of 2; there are B = 1: layer-norms,/,
    );
    await expect(open({ falsePositiveRate: 0.01 })).rejects.toThrow(/false-positive rate/);
    await expect(openScorer({ model: at('none'), detector })).rejects.toThrow('no such model directory or .onnx file');
  });

  it('prepares images for a foreign model as those that the detector was fitted on', async () => {
    const foreign: ScoringModel = { ...model, arch: undefined } as ScoringModel;
    delete (foreign as { arch?: unknown }).arch;
    delete (foreign as { preparation?: unknown }).preparation;
    const recipe = { model: 'x.onnx', resize: '9', crop: '5x4', channels: '3' };
    const scorer = await open({ model: foreign, detector: { ...detector, recipe } });
    const grey = { data: new Uint8Array(12 * 12).map((_, i) => i), width: 12, height: 12 };
    expect(await scorer.score(grey)).toHaveLength(1);
    expect(scorer.model.preparation).toEqual({ channels: 3, resize: [9, 9], crop: [5, 4] });
    await scorer.dispose();
    await expect(
      open({ model: { ...foreign, preparation: { resize: [8, 8] } }, detector: { ...detector, recipe } }),
    ).rejects.toThrow(/the model prepares images by .*8.*, the detector was fitted with .*9/);
    await expect(open({ model: foreign, detector: { ...detector, recipe: { resize: '0' } } })).rejects.toThrow(
      `the detector: at 'recipe.resize': found "0", expected a size in pixels such as 32 or 24x32`,
    );
  });

  it('says why there is no verdict, and opens names and pictures only with what was given for it', async () => {
    const plain = scoring.openScorer({ model, detector, runtime: nodeRuntime(), threads: 1 });
    await expect(plain.score('a.png')).rejects.toThrow(
      "the input: is the name 'a.png', and nothing was given that opens",
    );
    await expect(plain.score(new Uint8Array(3))).rejects.toThrow('the input: is encoded, and nothing was given');
    await plain.dispose();
    const pairs = await fitted(model, data, [2]);
    const scorer = await open({ detector: pairs, group: 2, falsePositiveRate: 0.2 });
    const found = await scorer.score(take(data, 0, 3));
    expect(found[1]).toEqual({
      index: 2,
      group: 1,
      score: null,
      pValue: null,
      verdict: null,
      layers: [],
      reason: 'fills no group that the detector is fitted for (of 2)',
    });
    await scorer.dispose();
    await writeDetector(at('pairs.json'), pairs);
  });
});
