// What is read of one gradient beside its norm, from the batched pass against gradients in float64, element by element;
// and its way into tables and files.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { syntheticDataset } from '../../src/data/index.ts';
import { openProgram } from '../../src/engine/index.ts';
import {
  checkTable,
  concatTables,
  type ExtractorOptions,
  type FeatureTable,
  fisherDiagonal,
  metricOf,
  notFinite,
  openExtractor,
  sliceTable,
  type View,
  whatIsNotFinite,
} from '../../src/features/index.ts';
import { metricName, normGraph } from '../../src/features/norms.ts';
import { pickRows } from '../../src/features/table.ts';
import { decodeTable, encodeTable } from '../../src/features/table-formats.ts';
import { Arena, interpret, nameOf, paramsOf } from '../../src/graph/index.ts';
import type { PlanChoice } from '../../src/lower/index.ts';
import { readTable, runFeatures } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { matmul, mul, reduceSum } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { expectSqNorms } from '../support/compare.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';
import { randomData } from '../support/run.ts';

describe.each(Object.keys(smallSizes) as SmallName[])('views of the gradients of a %s', (name) => {
  const model = smallModel(name);
  const n = 6;
  const seed = 3;
  const data = syntheticDataset('noise', { length: n, shape: model.info.data, seed: 1 });
  const metrics = Object.fromEntries(
    paramsOf({ arena: model.loss().arena, outputs: { loss: model.loss() } }).map((p) => [
      metricName(nameOf(p)),
      { shape: p.shape, data: randomData(metricName(nameOf(p)), sizeOf(p.shape)).map(Math.abs) },
    ]),
  );

  const cases: [number, PlanChoice][] = [
    [1, 'auto'],
    [1, 'direct'],
    [3, 'auto'],
    [3, 'gram'],
  ];
  it.each(cases)('for groups of %i by the plan %s are those of float64', async (group, plan) => {
    const views = normGraph(model.loss(), { radial: true, fisher: true });
    const weights = { ...model.weights, ...metrics };
    const program = openProgram(views.graph, { runtime: nodeRuntime(), weights, group, plan, batch: n });
    const batch = await data.gather([...Array(n).keys()]);
    const feeds = program.feeds(batch, [...Array(n).keys()], seed);
    const outputs = await program.run(feeds);
    await program.dispose();

    const loss = model.loss();
    const params = paramsOf({ arena: loss.arena, outputs: { loss } }).filter((p) => views.names.includes(nameOf(p)));
    const gradients = differentiate(loss, params);
    const graph = { arena: loss.arena, outputs: Object.fromEntries(gradients.map((g, j) => [nameOf(params[j]!), g])) };
    const each = Array.from({ length: n }, (_, i) => {
      const own = Object.entries(feeds).map(([key, { data: all }]) => {
        const stride = all.length / n;
        return [key, Array.from(all.slice(i * stride, (i + 1) * stride), Number)] as const;
      });
      const fixed = Object.entries(model.weights).map(([key, w]) => [key, w.data] as const);
      return interpret(graph, Object.fromEntries([...fixed, ...own]));
    });
    const l = views.names.length;
    for (let g = 0; g < n / group; g++) {
      const sums = views.names.map((key) =>
        each
          .slice(g * group, (g + 1) * group)
          .map((values) => values[key]!.data)
          .reduce((a, b) => a.map((v, k) => v + b[k]!)),
      );
      const row = (output: string) => outputs[output]!.data.subarray(g * l, (g + 1) * l) as Float32Array;
      const sum = (terms: Float64Array) => terms.reduce((a, b) => a + b, 0);
      expectSqNorms(
        row('sqnorm'),
        sums.map((s) => sum(s.map((v) => v * v))),
        views.names,
      );
      expectSqNorms(
        row('fisher'),
        sums.map((s, j) => sum(s.map((v, k) => (v * metrics[metricName(views.names[j]!)]!.data[k]!) ** 2))),
        views.names,
      );
      for (const [j, key] of views.names.entries()) {
        const theta = model.weights[key]!.data;
        const terms = sums[j]!.map((v, k) => v * theta[k]!);
        // Of both signs, so its error is in proportion to the size of the terms.
        const scale = Math.sqrt(sum(terms.map((v) => v * v)) * terms.length) + 1e-3;
        expect(Math.abs(row('radial')[j]! - sum(terms)) / scale, key).toBeLessThan(1e-4);
      }
    }
  });
});

describe('tables with views', () => {
  const model = smallModel('vae');
  const data = syntheticDataset('noise', { length: 10, shape: model.info.data, seed: 1 });
  const runtime = nodeRuntime();
  const views = ['radial', 'fisher'] as const;

  const metricFor = async () => metricOf(await fisherDiagonal(model, data, { runtime, seed: 3 }));
  const tableOf = async (options: Partial<ExtractorOptions>): Promise<FeatureTable> => {
    const extractor = await openExtractor(model, { runtime, seed: 3, views, metric: await metricFor(), ...options });
    try {
      return await extractor.table(data);
    } finally {
      await extractor.dispose();
    }
  };

  it('weigh by the mean square of each element of the gradient', async () => {
    const diagonal = await fisherDiagonal(model, data, { runtime, seed: 3 });
    const table = await tableOf({});
    const l = table.names.length;
    for (const [j, name] of table.names.entries()) {
      const squares = diagonal[name]!;
      if ('axes' in squares) continue; // `factored.test.ts`
      const F = Array.from(squares.data);
      const total = F.reduce((a, b) => a + b, 0);
      const norms = Array.from({ length: 10 }, (_, i) => table.sqNorms[i * l + j]!);
      expect(norms.reduce((a, b) => a + b, 0) / 10 / total).toBeCloseTo(1, 4);
      // Over the examples it was taken from, Σ_k w_k F_k: what is damped least is 1 for each element.
      const damping = (1e-3 * total) / F.length;
      const expected = F.reduce((sum, f) => sum + f / (f + damping), 0);
      const weighed = Array.from({ length: 10 }, (_, i) => table.views!.fisher![i * l + j]!);
      expect(weighed.reduce((a, b) => a + b, 0) / 10 / expected).toBeCloseTo(1, 4);
    }
  });

  it('are the same at every batch size and thread count, and leave the norms as they are', async () => {
    const whole = await tableOf({});
    const plain = await openExtractor(model, { runtime, seed: 3 });
    expectSqNorms(whole.sqNorms, (await plain.table(data)).sqNorms, whole.names);
    await plain.dispose();
    for (const options of [{ batch: 1 }, { batch: 3 }, { threads: 2 }]) {
      const table = await tableOf(options);
      expectSqNorms(table.views!.fisher!, whole.views!.fisher!, whole.names);
      for (const [k, value] of whole.views!.radial!.entries()) {
        expect(table.views!.radial![k]! - value).toBeLessThan(1e-3 * (1 + Math.abs(value)));
      }
    }
  });

  it('go through every format and piece by piece', async () => {
    const table = await tableOf({});
    for (const format of ['npz', 'parquet', 'json'] as const) {
      const back = await decodeTable(await encodeTable(table, format, 'x'), format, 'x');
      expect(back).toEqual(table);
    }
    expect(concatTables([sliceTable(table, 4, 10), sliceTable(table, 0, 4)])).toEqual(table);
    expect(pickRows(table, [3]).views!.radial).toEqual(sliceTable(table, 3, 4).views!.radial);
  });

  it('are resumed after a kill, and refused where other views are asked for', async () => {
    await inTemporaryFolder(async (folder) => {
      const out = join(folder, 'a.parquet');
      const run = async (path: string, asked: readonly View[], end: number) => {
        const metric = asked.includes('fisher') ? { metric: await metricFor() } : {};
        const extractor = await openExtractor(model, { runtime, seed: 3, views: asked, batch: 2, ...metric });
        try {
          await runFeatures({
            extractor,
            data,
            out: path,
            onProgress: ({ done }) => {
              if (done >= end) throw new Error('killed');
            },
          });
        } finally {
          await extractor.dispose();
        }
      };
      await expect(run(out, views, 4)).rejects.toThrow('killed');
      await expect(run(out, ['radial'], 100)).rejects.toThrow(/views: there .*fisher.*, asked for/);
      await run(out, views, 100);
      await run(join(folder, 'b.parquet'), views, 100);
      expect(await readTable(out)).toEqual(await readTable(join(folder, 'b.parquet')));
    });
  });

  it('tell what is wrong', async () => {
    const table = await tableOf({});
    const { views: _, ...without } = table;
    expect(() => checkTable(without, 'x')).toThrow('x: has the views none, its head says radial, fisher');
    const short = { ...table, views: { ...table.views, radial: new Float64Array(3) } };
    expect(() => checkTable(short, 'x')).toThrow(`x: has 3 values of radial, expected 10 rows × ${table.names.length}`);
    const marked = {
      ...table,
      views: { ...table.views, radial: table.views!.radial!.map((v, k) => (k === 1 ? NaN : v)) },
    };
    expect(notFinite(marked)).toEqual([0]);
    expect(whatIsNotFinite(marked, 0)).toBe(`view radial of '${table.names[1]}'`);
    await expect(openExtractor(model, { runtime, views: ['fisher'] })).rejects.toThrow('needs a metric');
  });
});

describe('the Fisher norm of a product', () => {
  const cases = [1, 4].flatMap((p) => [1, 1e-20, 1e15].map((size) => [p, size] as const));
  it.each(cases)(
    'of %i positions is right for gradients of size %f, whose squares may leave float32',
    async (p, size) => {
      const arena = new Arena();
      const signs = [size, -2 * size, 3 * size];
      const loss = reduceSum(
        mul(matmul(arena.input('x', [1, p, 5]), arena.param('w', [5, 3])), arena.constant(signs, [1, 1, 3])),
      );
      const { graph } = normGraph(loss, { fisher: true });
      const root = randomData('root', 15).map((v) => Math.abs(v) / size);
      const weights = {
        w: { shape: [5, 3], data: randomData('w', 15) },
        [metricName('w')]: { shape: [5, 3], data: root },
      };
      const program = openProgram(graph, { runtime: nodeRuntime(), weights, batch: 4 });
      const inputs = randomData('x', 20 * p);
      const found = await program.run({ x: { data: inputs, shape: [4, p, 5] } });
      await program.dispose();
      const expected = Array.from({ length: 4 }, (_, i) =>
        Array.from(root).reduce((sum, r, k) => {
          const sums = Array.from({ length: p }, (_, t) => inputs[(i * p + t) * 5 + Math.floor(k / 3)]!);
          const g = sums.reduce((a, b) => a + b, 0) * signs[k % 3]!;
          return sum + (r * g) ** 2;
        }, 0),
      );
      expectSqNorms(found.fisher!.data, expected, ['w']);
    },
  );
});
