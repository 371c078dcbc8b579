// What flows through a model: its principal directions against their definition, the view against the float64
// interpreter, and that neither depends on how they were run.

import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { syntheticDataset, take } from '../../src/data/index.ts';
import { openProgram } from '../../src/engine/index.ts';
import { packedBasis } from '../../src/features/activation-basis.ts';
import { meanActivations } from '../../src/features/activations.ts';
import { activationBasis, openBasis, openExtractor } from '../../src/features/index.ts';
import { normGraph } from '../../src/features/norms.ts';
import { decodeTable, encodeTable } from '../../src/features/table-formats.ts';
import { interpret } from '../../src/graph/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { rewrite } from '../../src/ops/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';

const runtime = nodeRuntime();

describe.each(Object.keys(smallSizes) as SmallName[])('activations of a %s', (name) => {
  const model = smallModel(name);
  const data = syntheticDataset('noise', { length: 12, shape: model.info.data, seed: 1 });
  const options = { runtime, seed: 3, threads: 1 };

  it('along the directions are those of float64', async () => {
    const basis = openBasis((await activationBasis(model, data, options)).basis!, 'test');
    const { graph } = normGraph(model.loss(), { activations: basis });
    const weights = { ...model.weights, ...basis.weights };
    const n = 4;
    const program = openProgram(graph, { runtime, weights, batch: n });
    const feeds = program.feeds(await data.gather([0, 1, 2, 3]), [0, 1, 2, 3], 3);
    const { activations } = await program.run(feeds);
    await program.dispose();

    // By the definition: channel by channel, not through the graph of the view.
    const channels = meanActivations(rewrite(model.loss()));
    const outputs = Object.fromEntries(channels.map((v, k) => [`c${k}`, v]));
    const [mean, scale, directions] = Object.values(basis.weights).map(({ data: values }) => values);
    for (let i = 0; i < n; i++) {
      const own = Object.entries(feeds).map(([key, { data: all }]) => {
        const stride = all.length / n;
        return [key, Array.from(all.slice(i * stride, (i + 1) * stride), Number)] as const;
      });
      const fixed = Object.entries(model.weights).map(([key, w]) => [key, w.data] as const);
      const found = interpret({ arena: channels[0]!.arena, outputs }, Object.fromEntries([...fixed, ...own]));
      const row = channels.flatMap((_, k) => [...found[`c${k}`]!.data]);
      expect(row).toHaveLength(mean!.length);
      for (let r = 0; r < basis.count; r++) {
        const terms = row.map((v, c) => (v - mean![c]!) * scale![c]! * directions![c * basis.count + r]!);
        const size = terms.reduce((sum, v) => sum + Math.abs(v), 1);
        const exact = terms.reduce((sum, v) => sum + v, 0);
        expect(Math.abs(Number(activations!.data[i * basis.count + r]) - exact) / size).toBeLessThan(1e-4);
      }
    }
  });

  it('are the same whatever the runs are, and in files', async () => {
    const basis = openBasis((await activationBasis(model, take(data, 0, 6), options)).basis!, 'test');
    const measured = async (batch: number) => {
      const extractor = await openExtractor(model, { ...options, views: ['activations'], basis, batch });
      const table = await extractor.table(data);
      await extractor.dispose();
      return table;
    };
    const [one, other] = [await measured(1), await measured(5)];
    const [a, b] = [one.views!.activations!, other.views!.activations!];
    expect(a).toHaveLength(12 * basis.count);
    const largest = a.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    for (const [k, v] of a.entries()) expect(Math.abs(v - b[k]!)).toBeLessThan(1e-4 * largest);
    for (const format of ['json', 'npz', 'parquet'] as const) {
      const again = await decodeTable(await encodeTable(one, format, 'table'), format, 'table');
      expect(again.views!.activations).toEqual(a);
      expect([again.meta.basis, again.meta.columns]).toEqual([one.meta.basis, one.meta.columns]);
    }
  });
});

const made = (n: number, channels: number, of: (i: number, c: number) => number): Matrix =>
  new Matrix(Array.from({ length: n }, (_, i) => Array.from({ length: channels }, (_, c) => of(i, c))));

describe('the basis of activations', () => {
  /** Rows that vary along a few directions, with a channel that stays as it is. */
  const rows = (n: number, channels: number): Matrix => {
    const z = new Float64Array(n * 3 + channels * 3 + n * channels);
    new RandomStream(1, 'rows').normal(0, z);
    return made(n, channels, (i, c) => {
      if (c === 4) return 7;
      const common = [0, 1, 2].reduce((sum, k) => sum + (3 - k) * z[i * 3 + k]! * z[n * 3 + c * 3 + k]!, 0);
      return 5 + 2 * (common + 0.1 * z[n * 3 + channels * 3 + i * channels + c]!);
    });
  };

  it('holds the principal directions, largest variance first', () => {
    const [n, channels] = [40, 15];
    const given = rows(n, channels);
    const { count, weights } = openBasis(packedBasis(given), 'test');
    const [mean, scale, directions] = Object.values(weights).map(({ data }) => data);
    expect(count).toBe(n - 1);
    expect(scale![4]).toBe(0);
    const u = made(n, channels, (i, c) => (given.get(i, c) - mean![c]!) * scale![c]!);
    const covariance = u
      .transpose()
      .mmul(u)
      .div(n - 1);
    let last = Infinity;
    for (let r = 0; r < 3; r++) {
      const w = Matrix.columnVector(Array.from({ length: channels }, (_, c) => directions![c * count + r]!));
      const along = covariance.mmul(w);
      const variance = along.dot(w) / w.dot(w);
      expect(variance).toBeLessThan(last);
      expect(Matrix.sub(along, Matrix.mul(w, variance)).norm() / along.norm()).toBeLessThan(0.03); // an eigenvector, to a byte
      last = variance;
    }
    // Beyond what 15 channels can vary along there is nothing.
    expect(directions!.filter((_, k) => k % count === count - 1).every((v) => v === 0)).toBe(true);
  });

  it('is refused where it is damaged', () => {
    const basis = packedBasis(rows(10, 6));
    expect(() => openBasis({ ...basis, count: 3 }, 'file')).toThrow('file: the basis of the activations is damaged');
    expect(() => openBasis({ ...basis, mean: basis.scale }, 'file')).toThrow('damaged');
  });

  it('is needed by the view, and of the size of the model', async () => {
    const model = smallModel('vae');
    await expect(openExtractor(model, { runtime, views: ['activations'] })).rejects.toThrow('needs a basis');
    const other = openBasis(packedBasis(rows(10, 6)), 'test');
    await expect(openExtractor(model, { runtime, views: ['activations'], basis: other })).rejects.toThrow(
      "the detector's basis 6",
    );
  });
});
