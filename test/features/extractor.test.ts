// Squared norms from the batched pass against finite differences in float64, against a loop of batches of one, against
// sums of gradients for groups, and against themselves at other batch sizes, thread counts and plans.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { type Dataset, syntheticDataset } from '../../src/data/index.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { DataError, ModelError } from '../../src/errors.ts';
import { type FeatureTable, notFinite } from '../../src/features/index.ts';
import { inputsOf, interpret, nameOf, paramsOf } from '../../src/graph/index.ts';
import { type ExtractorOptions, openExtractor } from '../../src/node/defaults.ts';
import { loadModel } from '../../src/node/index.ts';
import type { Model, ScoringModel } from '../../src/store/index.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { expectSqNorms } from '../support/compare.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';
import { finiteDifferences } from '../support/run.ts';

const seed = 3;

async function featuresOf(model: ScoringModel, data: Dataset, options: ExtractorOptions): Promise<FeatureTable> {
  const extractor = await openExtractor(model, { seed, threads: 1, ...options });
  try {
    return await extractor.table(data);
  } finally {
    await extractor.dispose();
  }
}

/** The bindings of one example for the interpreter. */
async function bindingsOf(model: Model, data: Dataset, index: number): Promise<Record<string, ArrayLike<number>>> {
  const nll = model.loss();
  const inputs = inputsOf({ arena: nll.arena, outputs: { nll } });
  const feeds = feedsFor(inputs, await data.gather([index]), { group: 1 }, seed);
  const weights = Object.entries(model.weights).map(([name, w]) => [name, w.data] as const);
  const values = Object.entries(feeds).map(([name, t]) => [name, t.data as Float32Array] as const);
  return Object.fromEntries([...weights, ...values]);
}

/** Every parameter's gradient for one example in float64. */
function gradients(model: Model, bindings: Record<string, ArrayLike<number>>): Record<string, Float64Array> {
  const nll = model.loss();
  const params = paramsOf({ arena: nll.arena, outputs: { nll } });
  const outputs = Object.fromEntries(differentiate(nll, params).map((g, j) => [nameOf(params[j]!), g]));
  const values = interpret({ arena: nll.arena, outputs }, bindings);
  return Object.fromEntries(Object.entries(values).map(([name, g]) => [name, g.data]));
}

describe.each(Object.keys(smallSizes) as SmallName[])('squared norms of a %s', (name) => {
  const model = smallModel(name);
  const n = 10;
  const data = syntheticDataset('noise', { length: n, shape: model.info.data, seed: 1 });

  it('are those of finite differences, for every parameter', async () => {
    const table = await featuresOf(model, data, { batch: 4 });
    const bindings = await bindingsOf(model, data, 1);
    const nll = model.loss();
    const expected = table.names.map((param) =>
      finiteDifferences(nll, bindings, param).reduce((sum, d) => sum + d * d, 0),
    );
    const l = table.names.length;
    expectSqNorms(table.sqNorms.subarray(l, 2 * l), expected, table.names);
  });

  it('are those of a loop of batches of one, at every batch size, thread count and plan', async () => {
    const one = await featuresOf(model, data, { batch: 1 });
    for (const options of [
      { batch: 3 },
      { batch: 10 },
      { batch: 4, threads: 2 },
      { plan: 'gram' },
      { plan: 'direct' },
    ]) {
      const table = await featuresOf(model, data, options as ExtractorOptions);
      expect(table.nll.length).toBe(n);
      expectSqNorms(table.sqNorms, one.sqNorms, table.names);
      expectSqNorms(table.nll, one.nll, ['nll']);
    }
  });

  it('of groups are norms of sums of gradients, in float64', async () => {
    const group = 5;
    const each = await Promise.all(
      Array.from({ length: n }, async (_, i) => gradients(model, await bindingsOf(model, data, i))),
    );
    for (const options of [{}, { batch: 5 }, { plan: 'gram' }, { plan: 'direct' }]) {
      const table = await featuresOf(model, data, { group, ...options } as ExtractorOptions);
      const expected = [0, 1].flatMap((g) =>
        table.names.map((param) => {
          const members = each.slice(g * group, (g + 1) * group).map((e) => e[param]!);
          return members[0]!.reduce((sum, _, k) => sum + members.reduce((s, m) => s + m[k]!, 0) ** 2, 0);
        }),
      );
      expectSqNorms(table.sqNorms, expected, table.names);
    }
  });

  it('do not depend on where in the data set the work starts', async () => {
    const extractor = await openExtractor(model, { seed, batch: 4 });
    const whole = await extractor.table(data);
    const part = await extractor.table(data, { start: 3, end: 9 });
    await extractor.dispose();
    const l = whole.names.length;
    expectSqNorms(part.sqNorms, whole.sqNorms.slice(3 * l, 9 * l), whole.names);
    expect(part.meta.start).toBe(3);
  });
});

describe('an extractor', () => {
  const model = smallModel('vae');

  it('marks the example whose result is not finite and goes on with the others', async () => {
    const clean = syntheticDataset('noise', { length: 6, shape: model.info.data, seed: 1 });
    const spoilt: Dataset = {
      ...clean,
      async *batches(size, range) {
        for await (const batch of clean.batches(size, range)) {
          const x = batch.arrays.x!;
          if (batch.start <= 4 && 4 < batch.start + batch.n) x.data[(4 - batch.start) * 64] = Number.NaN as never;
          yield batch;
        }
      },
    };
    const expected = await featuresOf(model, clean, { batch: 3 });
    const table = await featuresOf(model, spoilt, { batch: 3, prepared: true });
    expect(notFinite(table)).toEqual([4]);
    expect(table.nll[4]).toBeNaN();
    for (const i of [0, 1, 2, 3, 5]) expect(table.nll[i]).toBe(expected.nll[i]);
    const groups = await featuresOf(model, spoilt, { group: 3, prepared: true });
    expect(notFinite(groups)).toEqual([1]);
    // As raw pixels they are refused where they are read.
    await expect(featuresOf(model, spoilt, { batch: 3 })).rejects.toThrow(
      /example 4 holds NaN, expected pixels 0..255/,
    );
  });

  it('leaves out an incomplete group and refuses a set that fills none', async () => {
    const data = syntheticDataset('noise', { length: 7, shape: model.info.data, seed: 1 });
    expect((await featuresOf(model, data, { group: 3 })).nll.length).toBe(2);
    await expect(featuresOf(model, data, { group: 8 })).rejects.toThrow(DataError);
  });

  it('refuses images of another shape', async () => {
    const data = syntheticDataset('noise', { length: 7, shape: [1, 9, 9], seed: 1 });
    await expect(featuresOf(model, data, {})).rejects.toThrow(ModelError);
  });
});

describe('a kept session', () => {
  it('gives the very same numbers as the one it was kept from', async () => {
    await inTemporaryFolder(async (cache) => {
      const shipped = await loadModel('models/glow-fashion-mnist');
      const data = syntheticDataset('noise', { length: 4, shape: [1, 32, 32], seed: 1 });
      const options = { batch: 4, cache };
      const first = await featuresOf(shipped, data, options);
      const [name] = readdirSync(cache);
      expect(name).toMatch(/\.onnx$/);
      const kept = statSync(join(cache, name!)).mtimeMs;
      const second = await featuresOf(shipped, data, options);
      expect(statSync(join(cache, name!)).mtimeMs).toBeGreaterThan(kept); // it was used
      expect(second.sqNorms).toEqual(first.sqNorms);
      expect(second.nll).toEqual(first.nll);
      expect(readdirSync(cache)).toEqual([name]);

      // What the runtime does not take is made anew, whatever its checksum says.
      const broken = 'not a graph';
      const sum = createHash('sha256').update(broken).digest('hex').slice(0, 32);
      rmSync(join(cache, name!));
      writeFileSync(join(cache, `${name!.slice(0, 33)}${sum}.onnx`), broken);
      expect((await featuresOf(shipped, data, options)).sqNorms).toEqual(first.sqNorms);
      const [again, ...more] = readdirSync(cache);
      expect([again!.slice(0, 33), more]).toEqual([name!.slice(0, 33), []]);
      expect(again).not.toContain(sum);
    });
  });
});
