// Inputs whose features are not finite, wherever they stand among those that a detector is fitted on: among those of
// the metric, among the others, among those that are recombined. And views that a detector does without.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Dataset, memoryDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { fitDetectors, formatDetector, parseDetector } from '../../src/detectors/index.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { featuresToFit, fitAndEvaluate, fitCombinedOn, fitCombinedWherePossible } from '../../src/scoring/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';
import { runCli, runOk, temporaryFolder } from '../support/cli.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

vi.setConfig({ testTimeout: 240_000 }); // some fit the detector several times

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

type Node = ReturnType<typeof node>;

/** h = x w + b; the loss is the sum of what `last` makes of it. */
const bytesOf = (last: Node) =>
  modelBytes(
    {
      node: [
        node('MatMul', ['x', 'w'], ['xw']),
        node('Add', ['xw', 'b'], ['h']),
        last,
        node('ReduceSum', ['terms', 'axes'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('w', [2, 2], Float32Array.of(1, 0.5, 1, 0.5)),
        tensor('b', [2], Float32Array.of(0.3, -0.2)),
        tensor('axes', [1], BigInt64Array.of(1n)),
      ],
      input: [value('x', FLOAT, ['n', 2])],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );
const squares = node('Mul', ['h', 'h'], ['terms']);
const exponentials = node('Exp', ['h'], ['terms']);

const rowsOf = (n: number, name: string, odd: Readonly<Record<number, readonly [number, number]>> = {}) => {
  const data = new Float32Array(2 * n);
  new RandomStream(1, name).normal(0, data);
  for (const [row, pair] of Object.entries(odd)) data.set(pair, 2 * Number(row));
  return data;
};
const setOf = (data: Float32Array, name = 'rows') =>
  memoryDataset(name, data.length / 2, `${name} ${data.length}`, { x: { data, shape: [2] } });

const options = { runtime: nodeRuntime({ cache: '' }), groups: [1, 5], seed: 0, threads: 1 };
let model: ScoringModel;
let growing: ScoringModel;

beforeAll(async () => {
  writeFileSync(at('squares.onnx'), bytesOf(squares));
  writeFileSync(at('exponentials.onnx'), bytesOf(exponentials));
  model = await loadOnnx(at('squares.onnx'), { params: /w|b/ });
  growing = await loadOnnx(at('exponentials.onnx'), { params: /w|b/ });
});

/** Of 120, of which the first 30 are for the metric: one there and two others. */
const odd = { 3: [1e30, 1], 80: [Number.NaN, 1], 81: [1, Number.POSITIVE_INFINITY] } as const;
describe('inputs to fit on that are not finite', () => {
  it('are left out where they may be, of the metric, of what is recombined and of everything else', async () => {
    const data = setOf(rowsOf(120, 'rows', odd));
    const found = await fitCombinedOn(model, { name: 'rows', data }, { ...options, leaveOut: true });
    expect(found.leftOut).toEqual([3, 80, 81]);
    expect(found.leftOutRecombined).toBeUndefined();
    expect(found.detector).toMatchObject({ n: 88, without: [] });
    // The metric and the directions are those of the others; all else is as if the bad ones had never been there.
    const early = setOf(rowsOf(120, 'rows', { 3: odd[3] }));
    const plain = await fitCombinedOn(model, { name: 'rows', data: early }, { ...options, leaveOut: true });
    expect(found.metrics.map(({ hash }) => hash)).toEqual(plain.metrics.map(({ hash }) => hash));
    expect(found.bases!.map(({ hash }) => hash)).toEqual(plain.bases!.map(({ hash }) => hash));
    const read = parseDetector(formatDetector({ ...(await whole(data)), combined: found }), 'file');
    expect(read.combined).toEqual(found);
  });

  it('are refused by name otherwise, and the other detectors are there with the reason', async () => {
    const cases = [
      [{ 3: odd[3] }, /example 3: the loss is not finite; take them out of the data, or have them left out/],
      [{ 3: odd[3], 7: odd[80] }, /examples 3, 7: the loss is not finite/],
      [{ 80: odd[80], 81: odd[81] }, /examples 80, 81: not finite: negative log-likelihood/],
    ] as const;
    for (const [rows, message] of cases) {
      const set = { name: 'rows', data: setOf(rowsOf(120, 'rows', rows)) };
      await expect(fitCombinedOn(model, set, options)).rejects.toThrow(message);
      expect((await fitCombinedWherePossible(model, set, options)).lacking).toMatch(message);
    }
  });

  it('leave too few for a metric, or none', async () => {
    const most = Object.fromEntries(Array.from({ length: 26 }, (_, i) => [i, odd[3]] as const));
    const few = { name: 'rows', data: setOf(rowsOf(120, 'rows', most)) };
    const all = {
      name: 'rows',
      data: setOf(rowsOf(120, 'rows', { ...most, 26: odd[3], 27: odd[3], 28: odd[3], 29: odd[3] })),
    };
    const how = { ...options, leaveOut: true };
    await expect(fitCombinedOn(model, few, how)).rejects.toThrow(/26 of 30 examples .* a metric takes 5 others/);
    await expect(fitCombinedOn(model, all, how)).rejects.toThrow(/of each of 30 examples the loss is not finite/);
  });

  it('are left out of the view fisher of the other detectors, too', async () => {
    const set = { name: 'rows', data: setOf(rowsOf(120, 'rows', odd)) };
    const how = { ...options, views: ['fisher'] as const };
    await expect(featuresToFit(model, set, how)).rejects.toThrow(/example 3: the loss is not finite/);
    const { metric, leftOut } = await featuresToFit(model, set, { ...how, leaveOut: true });
    expect(leftOut).toEqual([3]);
    expect(metric!.origin!.runs).toEqual([
      [0, 3],
      [4, 30],
    ]);
  });

  it('are left out by fitAndEvaluate, which evaluates the others', async () => {
    const sets = [
      { name: 'rows', data: setOf(rowsOf(120, 'rows', odd)) },
      { name: 'in', data: setOf(rowsOf(40, 'in', { 4: odd[3] }), 'in') },
      [
        {
          name: 'out',
          data: setOf(
            rowsOf(40, 'out', { 0: odd[80] }).map((v) => 3 * v),
            'out',
          ),
        },
      ],
    ] as const;
    await expect(fitAndEvaluate(model, ...sets, options)).rejects.toThrow(
      /have no finite norms or nll: examples 3, 80/,
    );
    const { rows, detector, lacking } = await fitAndEvaluate(model, ...sets, { ...options, leaveOut: true });
    expect([detector.combined!.leftOut, detector.groups[0]!.leftOut, lacking]).toEqual([
      [3, 80, 81],
      [3, 80, 81],
      undefined,
    ]);
    const [combined] = rows.filter((row) => row.detector === 'combined' && row.group === 1);
    expect(combined).toMatchObject({ nIn: 39, nOod: 39 });
  });

  it('made by recombining are left out and counted', async () => {
    // Their halves cancel; those of two inputs need not.
    const data = setOf(rowsOf(160, 'halves'));
    const halves = new Float32Array(320);
    const raw = (await data.gather(Array.from({ length: 160 }, (_, i) => i))).arrays.x!.data as Float32Array;
    for (let i = 0; i < 160; i++) halves.set([60 * raw[2 * i]!, -60 * raw[2 * i]! + raw[2 * i + 1]!], 2 * i);
    const found = await fitCombinedOn(growing, { name: 'rows', data: setOf(halves) }, options);
    expect(found.leftOut).toBeUndefined();
    expect(Object.keys(found.leftOutRecombined!)).toContain('splice');
    expect(found.detector.views.map(({ name }) => name)).toContain('contrast');
  });
});

/** The other detectors of these inputs. */
async function whole(data: Dataset) {
  return fitDetectors((await featuresToFit(model, { name: 'rows', data }, options)).tables, { leaveOut: true });
}

describe('commands', () => {
  const write = (name: string, data: Float32Array) => {
    writeFileSync(at(name), writeNpy({ dtype: 'float32', shape: [data.length / 2, 2], data }));
    return at(name);
  };
  const fitOn = (...args: readonly string[]) =>
    runCli('fit', at('squares.onnx'), '--params', 'w|b', '--out', at('d.json'), ...args);

  it('say which inputs fit left out, and inspect says it of the file', async () => {
    const rows = write('rows.npy', rowsOf(120, 'rows', { ...odd, 80: odd[3], 81: [1e38, 1e38] }));
    expect((await fitOn('--data', rows)).stderr).toContain(
      'groups to fit on have no finite norms or nll: examples 3, 80, 81',
    );
    const text = await runOk(
      'fit',
      at('squares.onnx'),
      '--params',
      'w|b',
      '--data',
      rows,
      '--skip-not-finite',
      '--out',
      at('d.json'),
    );
    expect(text.stderr).toContain('combined: without examples 3, 80, 81: not finite');
    expect(text.stdout).toContain('combined, combined-gradient fitted on 88 inputs');
    expect((await runOk('inspect', at('d.json'))).stdout).toContain('without examples 3, 80, 81: not finite');
    const { combined } = JSON.parse((await runOk('inspect', at('d.json'), '--json')).stdout) as { combined: object };
    expect(combined).toMatchObject({ n: 88, notFinite: [3, 80, 81] });
    const views = await fitOn('--data', rows, '--features', 'fisher', '--skip-not-finite', '--json');
    expect(views.stderr).toContain('the metric is taken without example 3: not finite');
    expect(JSON.parse(views.stdout)).toMatchObject({
      metric: { notFinite: [3] },
      combined: { notFinite: [3, 80, 81] },
    });
  });
});
