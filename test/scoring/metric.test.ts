// The metric of the view `fisher`: taken from examples that are not fitted on, kept with the detector in a byte a
// weight, and what it is scored by.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { syntheticDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import {
  defineDetector,
  fitDetectors,
  formatDetector,
  parseDetector,
  scoreTable,
  sharedWithFit,
  viewsNeeded,
} from '../../src/detectors/index.ts';
import { fisherDiagonal, type Metric, metricOf, packed, unpacked } from '../../src/features/index.ts';
import { factorName, metricName } from '../../src/features/metric-name.ts';
import type { PackedRoots } from '../../src/features/packed-metric.ts';
import { featuresToFit, openExtractor } from '../../src/node/defaults.ts';
import { readTable } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { openScorer } from '../../src/node/scorer.ts';
import { measuredAs, metricExamples } from '../../src/scoring/index.ts';
import { inTemporaryFolder, runCli, runOk } from '../support/cli.ts';
import { expectClose } from '../support/compare.ts';
import { smallModel } from '../support/models.ts';
import { randomData } from '../support/run.ts';

/** The log of the first layer's norm in the metric. */
const weighed = defineDetector<{ readonly mean: number }>({
  name: 'weighed',
  about: 'the distance of the first norm in the metric from its mean',
  views: ['fisher'],
  params: z.strictObject({ mean: z.number() }),
  fit: (table) => ({ mean: table.views!.fisher![0]! }),
  score: ({ mean }, table) => {
    const l = table.names.length;
    return table.nll.map((_, i) => Math.abs(Math.log(table.views!.fisher![i * l]! / mean)));
  },
});

const model = smallModel('vae');
const seed = 3;
const dataOf = (length: number) => syntheticDataset('noise', { length, shape: model.info.data, seed: 1 });

describe('a metric that is kept', () => {
  const roots = (data: readonly number[]): Metric => ({
    hash: 'x',
    factored: {},
    roots: { [metricName('w')]: { shape: [data.length], data: Float32Array.from(data) } },
  });

  const stepOf = ({ tensors: { w } }: ReturnType<typeof packed>) => ('step' in w! ? w.step : Number.NaN);

  it('is itself to half a step of the logarithm, zeros and single values exactly', () => {
    const values = Array.from(randomData('roots', 500), (v) => 2 ** (5 * v));
    for (const data of [values, [0, 3, 0], [2, 2, 2], [0, 0]]) {
      const kept = packed(roots(data));
      const back = unpacked(JSON.parse(JSON.stringify(kept)), 'x');
      expect(back.hash).toBe(kept.hash);
      for (const [k, root] of back.roots[metricName('w')]!.data.entries()) {
        const half = stepOf(kept) / 2 + 1e-6;
        if (data[k] === 0 || data.length < 10) expect(root).toBeCloseTo(data[k]!, 6);
        else expect(Math.abs(Math.log2(root / data[k]!))).toBeLessThan(half);
      }
    }
  });

  it('is two vectors of a tensor whose metric is factored', () => {
    const shape = [3, 1, 4];
    const [u, v] = [3, 4].map((d, k) => Array.from(randomData(`u${k}`, d), (r) => 2 ** r)) as [number[], number[]];
    const metric: Metric = {
      hash: 'x',
      factored: { w: { shape, axes: [0, 2] } },
      roots: {
        [factorName('w', 0)]: { shape: [3], data: Float32Array.from(u) },
        [factorName('w', 2)]: { shape: [4], data: Float32Array.from(v) },
      },
    };
    const kept = packed(metric);
    const back = unpacked(JSON.parse(JSON.stringify(kept)), 'x');
    expect([back.hash, back.factored]).toEqual([kept.hash, metric.factored]);
    for (const [name, { data }] of Object.entries(metric.roots)) {
      for (const [k, root] of data.entries()) expect(back.roots[name]!.data[k]! / root).toBeCloseTo(1, 1);
    }
    const { w } = kept.tensors;
    if (!('axes' in w!)) throw new Error('no factors');
    const [first, second] = w.factors as [PackedRoots, PackedRoots];
    const damaged = { ...kept, tensors: { w: { ...w, factors: [{ ...first, most: 9 }, second] } } };
    expect(() => unpacked(damaged, 'd.json')).toThrow('d.json: the metric is damaged');
    const longer = packed({ ...metric, factored: { w: { shape: [3, 1, 5], axes: [0, 2] } } });
    expect(() => unpacked(longer, 'd.json')).toThrow("d.json: the metric of 'w' has 4 weights, expected 5");
    const askew = packed({ ...metric, factored: { w: { shape: [3], axes: [0, 2] } } });
    expect(() => unpacked(askew, 'd.json')).toThrow("the metric of 'w' has 2 factors along the axes 0, 2 of [3]");
  });

  it('is a matrix of two bytes for each element along an axis that is mixed', () => {
    const d = 40;
    const root = randomData('root', d * d).map((v, k) => (k % d > Math.floor(k / d) ? 0 : v * 10 ** (k % 7)));
    const factored = { w: { shape: [3, d], axes: [0, 1], mixed: [1] } };
    const vector = { shape: [3], data: Float32Array.of(1, 2, 3) };
    const matrix = { shape: [d, d], data: root };
    const kept = packed({ hash: 'x', factored, roots: { [factorName('w', 0)]: vector, [factorName('w', 1)]: matrix } });
    const back = unpacked(JSON.parse(JSON.stringify(kept)), 'x');
    expect([back.hash, back.factored]).toEqual([kept.hash, factored]);
    const found = back.roots[factorName('w', 1)]!;
    expect(found.shape).toEqual([d, d]);
    for (let i = 0; i < d; i++) {
      const most = Math.max(...root.subarray(i * d, (i + 1) * d).map(Math.abs));
      for (let j = 0; j < d; j++) {
        expect(Math.abs(found.data[i * d + j]! - root[i * d + j]!)).toBeLessThanOrEqual((0.6 * most) / 32_767);
      }
    }
    const { w } = kept.tensors;
    if (!('axes' in w!)) throw new Error('no factors');
    const [first, second] = w.factors as [PackedRoots, { scales: string; codes: string }];
    const other = { ...kept, tensors: { w: { ...w, factors: [first, { ...second, scales: second.codes }] } } };
    expect(() => unpacked(other, 'd.json')).toThrow('d.json: the metric is damaged');
    const infinite = { ...matrix, data: root.map(() => Infinity) };
    const roots = { [factorName('w', 0)]: vector, [factorName('w', 1)]: infinite };
    expect(() => packed({ hash: 'x', factored, roots })).toThrow('not finite');
  });

  it('has the hash that files of before factors have', () => {
    expect(packed(roots([1, 2, 3])).hash).toBe('1a46502395c58f81355931f0a9e13df89a72045248f42aaf05d202db222ce8cc');
  });

  it('is as near to that of a model as 400 examples tell it', async () => {
    const metric = metricOf(await fisherDiagonal(model, dataOf(40), { runtime: nodeRuntime(), seed }));
    const back = unpacked(packed(metric), 'x');
    const errors = Object.entries(metric.roots).flatMap(([name, { data }]) =>
      Array.from(data, (root, k) => Math.abs((back.roots[name]!.data[k]! / root) ** 2 - 1)),
    );
    expect(Math.max(...errors)).toBeLessThan(0.05);
  });

  it('is refused where it is damaged', () => {
    const kept = packed(roots([1, 2, 3]));
    const other = { ...kept, tensors: { w: { ...kept.tensors.w!, step: stepOf(kept) * 2 } } };
    expect(() => unpacked(other, 'd.json')).toThrow('d.json: the metric is damaged');
    const { hash: _, ...short } = packed(roots([1, 2]));
    const wrong = { ...short.tensors.w!, shape: [3] };
    const again = { ...kept, tensors: { w: wrong } };
    expect(() => unpacked(again, 'd.json')).toThrow('d.json');
    expect(() => packed(roots([1, Number.NaN]))).toThrow("a weight's root is NaN");
  });
});

describe('features to fit on', () => {
  it('leave out the first examples, of which the metric is', async () => {
    expect([20, 50, 2000].map(metricExamples)).toEqual([5, 12, 400]);
    const data = dataOf(24);
    const options = { groups: [1, 2], seed, views: ['radial', 'fisher', 'parts'] as const };
    const { tables, metric } = await featuresToFit(model, { name: 'd', data }, options);
    expect(tables.map(({ meta, nll }) => [meta.start, nll.length])).toEqual([
      [6, 18],
      [6, 9],
    ]);
    expect(metric!.origin).toEqual({ fingerprint: data.origin.fingerprint, runs: [[0, 6]] });
    const extractor = await openExtractor(model, { seed, views: ['fisher'], metric: unpacked(metric!, 'x') });
    const same = await extractor.table(data, { start: 6 });
    await extractor.dispose();
    expectClose(tables[0]!.views!.fisher!, same.views!.fisher!, 1e-3, 'fisher');
    expect(tables[0]!.meta.metric).toBe(metric!.hash);

    const few = { name: 'few', data: dataOf(19) };
    await expect(featuresToFit(model, few, options)).rejects.toThrow('needs at least 20 to fit on');
    const plain = await featuresToFit(model, few, { groups: [1], seed });
    expect([plain.metric, plain.tables[0]!.meta.start]).toEqual([undefined, 0]);
  });

  it('make a detector that holds its metric, and is scored by it', async () => {
    const data = dataOf(30);
    const fit = { name: 'd', data };
    const options = { groups: [1], seed, views: ['fisher'] as const };
    const { tables, metric } = await featuresToFit(model, fit, options);
    const made = fitDetectors(tables, { detectors: ['layer-norms', weighed], metric: metric! });
    const file = parseDetector(formatDetector(made), 'd.json', [weighed]);
    expect(file).toEqual(made);
    expect(viewsNeeded(file)).toEqual([]);
    expect(viewsNeeded(file, [weighed])).toEqual(['fisher']);
    expect(measuredAs(file, ['fisher']).metric!.hash).toBe(metric!.hash);

    const scorer = await openScorer({ model, detector: file, by: weighed });
    const judged = await scorer.score(data);
    await scorer.dispose();
    const [expected] = scoreTable(file, tables[0]!, [weighed]);
    const found = judged.slice(7).map(({ score }) => score!);
    expectClose(found, expected!.scores, 1e-3, 'scores');
    expect(sharedWithFit(file, tables[0]!)).toBe(23);
    expect(sharedWithFit(file, { ...tables[0]!, meta: { ...tables[0]!.meta, start: 0 } })).toBe(23);

    const { views: _, meta, ...rest } = tables[0]!;
    const { views: __, metric: ___, ...plain } = meta;
    const blind = { ...rest, meta: plain };
    expect(() => scoreTable(file, blind, [weighed])).toThrow('weighed needs the view fisher');
    expect(scoreTable(file, blind, ['layer-norms'])).toHaveLength(1);
    expect(() => fitDetectors([blind], { detectors: [weighed] })).toThrow('weighed needs the views fisher');
    expect(() => fitDetectors([blind], { metric: metric! })).toThrow('not of the metric');
    const other = { ...tables[0]!, meta: { ...meta, metric: 'another' } };
    expect(() => scoreTable(file, other, [weighed])).toThrow('another metric');
    const damaged = formatDetector({ ...file, metric: { ...file.metric!, hash: 'x' } });
    expect(() => parseDetector(damaged, 'd.json', [weighed])).toThrow('d.json: the metric is damaged');
  });
});

describe('--features fisher', () => {
  it('is fitted, kept, scored, evaluated and written', async () => {
    await inTemporaryFolder(async (folder) => {
      const at = (name: string) => join(folder, name);
      const pixels = Uint8Array.from({ length: 40 * 64 }, (_, i) => (i * 37 + (i >> 5)) % 256);
      writeFileSync(at('x.npy'), writeNpy({ dtype: 'uint8', shape: [40, 1, 8, 8], data: pixels }));
      const data = ['--data', at('x.npy')];
      const small = ['--config', '{"latent": 2, "hidden": 2}', '--steps', '2', '--batch', '4'];
      await runOk('train', 'vae', ...data, ...small, '--out', at('m'));

      const fitted = await runOk('fit', at('m'), ...data, '--features', 'norms,fisher,parts', '--out', at('d.json'));
      expect(fitted.stderr).toContain('the first 10 inputs are for the metric');
      const file = JSON.parse(readFileSync(at('d.json'), 'utf8'));
      expect(file).toMatchObject({
        views: ['fisher', 'parts'],
        groups: [{ group: 1, n: 30, start: 10 }, { group: 5 }],
      });
      await runOk('score', at('d.json'), ...data, '--json');
      const evaluated = await runOk('eval', at('d.json'), '--in', at('x.npy'), '--ood', 'noise=noise:12');
      expect(evaluated.stderr).toContain('are among those the detector was fitted on: 40');

      const by = ['--features', 'norms,fisher', '--metric', at('d.json')];
      await runOk('features', at('m'), ...data, ...by, '--out', at('t.npz'));
      const table = await readTable(at('t.npz'));
      expect([table.meta.metric, table.meta.views]).toEqual([file.metric.hash, ['fisher']]);
      const without = await runCli('features', at('m'), ...data, '--features', 'fisher', '--out', at('u.npz'));
      expect([without.code, without.stderr]).toEqual([2, expect.stringContaining('go together')]);

      await runOk('fit', at('m'), ...data, '--out', at('plain.json'));
      expect(Object.keys(JSON.parse(readFileSync(at('plain.json'), 'utf8')))).not.toContain('views');
      const none = await runCli(
        ...['features', at('m'), ...data, '--features', 'fisher', '--metric', at('plain.json'), '--out', at('u.npz')],
      );
      expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('plain.json: keeps no metric')]);
      const seen = JSON.parse((await runOk('inspect', at('d.json'), '--json')).stdout);
      expect(seen).toMatchObject({ views: ['fisher', 'parts'], metric: { hash: file.metric.hash } });
    });
  });
});
