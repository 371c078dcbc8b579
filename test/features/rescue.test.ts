// Squared norms and losses that leave the range of float32, against closed forms; what is not finite even so, and the
// case of a real file.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { type FeatureTable, notFinite } from '../../src/features/index.ts';
import { Arena } from '../../src/graph/index.ts';
import { type ExtractorOptions, openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx, openData } from '../../src/node/index.ts';
import { add, matmul, mul, reduceSum } from '../../src/ops/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';

/** loss = Σ x w + Σ y v: the squared norms are ‖x‖² and ‖y‖². */
const model: ScoringModel = {
  hash: 'two products',
  about: 'two products',
  inputs: { x: [2], y: [2] },
  weights: {
    w: { shape: [1, 2], data: Float32Array.of(1, 1) },
    v: { shape: [1, 2], data: Float32Array.of(1, 1) },
  },
  loss: () => {
    const arena = new Arena();
    const [x, y] = [arena.input('x', [1, 2]), arena.input('y', [1, 2])];
    return add(reduceSum(mul(x, arena.param('w', [1, 2]))), reduceSum(mul(y, arena.param('v', [1, 2]))));
  },
};

type Pair = readonly [number, number];

async function tableOf(
  xs: readonly Pair[],
  ys: readonly Pair[],
  options: ExtractorOptions = {},
): Promise<FeatureTable> {
  const array = (rows: readonly Pair[]) => ({ data: Float32Array.from(rows.flat()), shape: [2] });
  const data = memoryDataset('rows', xs.length, 'rows', { x: array(xs), y: array(ys) });
  const extractor = await openExtractor(model, { threads: 1, ...options });
  try {
    return await extractor.table(data);
  } finally {
    await extractor.dispose();
  }
}

/** In double precision, of numbers rounded to float32. */
const sq = (pairs: readonly Pair[]) =>
  [0, 1].reduce((sum, k) => sum + pairs.reduce((s, pair) => s + Math.fround(pair[k]!), 0) ** 2, 0);

const ordinary: Pair = [3, 4];
const lengths = [1e-40, 1e-30, 1e-22, 1e-17, 1e-3, 1e15, 1e19, 3e19, 1e30, 1e38];

describe('squared norms beyond float32', () => {
  it('are what they are in double precision, whatever stands beside them', async () => {
    const xs = lengths.map((a): Pair => [a, -2 * a]);
    const ys = xs.toReversed(); // so that one row holds a norm that is too small and one that is too large
    for (const batch of [1, 4, 64]) {
      const { sqNorms } = await tableOf(xs, ys, { batch });
      for (const [i, x] of xs.entries()) {
        for (const [found, pair] of [
          [sqNorms[2 * i]!, x],
          [sqNorms[2 * i + 1]!, ys[i]!],
        ] as const) {
          const expected = sq([pair]);
          // The gradient itself keeps few digits below 1e-38; from there on the arithmetic is float32's.
          const allowed = Math.abs(pair[0]) < 1e-38 ? 1e-4 : 1e-6;
          expect(Math.abs(found / expected - 1), `${pair} in batches of ${batch}`).toBeLessThan(allowed);
        }
      }
    }
  });

  it.each(['auto', 'gram', 'direct'] as const)(
    'come of activations that have no squares themselves (%s)',
    async (plan) => {
      // loss = Σ (x W) ⊙ y: the gradient of W is x ⊗ y, the squared norm ‖x‖² ‖y‖².
      const product: ScoringModel = {
        hash: 'product',
        about: 'a product of matrices',
        inputs: { x: [2], y: [2] },
        weights: { w: { shape: [2, 2], data: Float32Array.of(1e-9, 2e-9, 3e-9, 4e-9) } },
        loss: () => {
          const arena = new Arena();
          const [x, y] = [arena.input('x', [1, 2]), arena.input('y', [1, 2])];
          return reduceSum(mul(matmul(x, arena.param('w', [2, 2])), y));
        },
      };
      const pairs = [
        [1e25, 1e-25],
        [1e25, 1],
        [1e-30, 1e-2],
        [1e-30, 1e30],
        [1e30, 1e30],
        [1, 1],
      ] as const; // prettier-ignore
      const array = (k: 0 | 1) => ({ data: Float32Array.from(pairs.flatMap((p) => [p[k], -2 * p[k]])), shape: [2] });
      const data = memoryDataset('pairs', pairs.length, 'pairs', { x: array(0), y: array(1) });
      const extractor = await openExtractor(product, { plan, threads: 1 });
      const { sqNorms } = await extractor.table(data);
      await extractor.dispose();
      for (const [i, [a, b]] of pairs.entries()) {
        const expected = sq([[a, -2 * a]]) * sq([[b, -2 * b]]);
        if (a * b > 3.4e38) {
          expect(sqNorms[i]).toBeNaN(); // the gradient itself is no float32
          continue;
        }
        expect(Math.abs(sqNorms[i]! / expected - 1), `${a} and ${b}`).toBeLessThan(1e-5);
      }
    },
  );

  it('of groups are those of the sum', async () => {
    const xs: readonly Pair[] = [
      [2e19, 0],
      [0, 3e19],
      [1e-25, 0],
      [1e-25, 1e-25],
    ]; // prettier-ignore
    const { sqNorms } = await tableOf(xs, new Array(4).fill(ordinary), { group: 2 });
    for (const [g, found] of [sqNorms[0]!, sqNorms[2]!].entries()) {
      expect(Math.abs(found / sq(xs.slice(2 * g, 2 * g + 2)) - 1)).toBeLessThan(1e-6);
    }
    expect([sqNorms[1], sqNorms[3]]).toEqual([100, 100]);
  });

  it('are exactly zero where the gradient is', async () => {
    const { sqNorms } = await tableOf([[0, 0], ordinary], [ordinary, [0, 1e-30]]); // prettier-ignore
    expect(sqNorms[0]).toBe(0);
    expect([sqNorms[1], sqNorms[2]]).toEqual([25, 25]);
    expect(Math.abs(sqNorms[3]! / Math.fround(1e-30) ** 2 - 1)).toBeLessThan(1e-6);
  });

  it('leave the numbers of ordinary inputs alone, to the bit', async () => {
    const alone = await tableOf([ordinary], [ordinary], { batch: 3 });
    const beside = await tableOf([ordinary, [1e30, 0], [0, 0]], [ordinary, ordinary, ordinary], { batch: 3 }); // prettier-ignore
    expect(beside.sqNorms.subarray(0, 2)).toEqual(alone.sqNorms);
    expect(beside.nll[0]).toBe(alone.nll[0]);
  });
});

describe('losses beyond float32', () => {
  it('of a group add up all the same', async () => {
    const { nll } = await tableOf(
      [
        [3e38, 0],
        [3e38, 0],
      ],
      [ordinary, ordinary],
      { group: 2 },
    ); // prettier-ignore
    expect(Math.abs(nll[0]! / 6e38 - 1)).toBeLessThan(1e-6);
  });

  it('and gradients that are not finite themselves are marked', async () => {
    const table = await tableOf([ordinary, [3e38, 3e38], ordinary], new Array(3).fill(ordinary));
    expect(notFinite(table)).toEqual([1]);
    expect(table.nll[1]).toBeNaN();
    expect([table.nll[0], table.nll[2]]).toEqual([14, 14]);
  });
});

const cases = fileURLToPath(new URL('../../../shared/cases', import.meta.url));

it('tells five inputs apart whose norms all overflow', async (context) => {
  const data = await openData(join(cases, 'x6.npy')).catch(() => undefined);
  if (data === undefined) return context.skip();
  const overflow = await loadOnnx(join(cases, 'overflow.onnx'));
  const extractor = await openExtractor(overflow);
  const table = await extractor.table(data);
  await extractor.dispose();
  expect(notFinite(table)).toEqual([]);
  const large = Array.from(table.sqNorms).filter((f) => f > 3.4028234663852886e38);
  expect(large.length).toBeGreaterThanOrEqual(5);
  expect(new Set(large).size).toBe(large.length);
});
