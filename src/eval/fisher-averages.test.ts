// Averages by blocks against those of the whole matrix in float64.

import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { fisherAverages } from '../node/defaults.ts';
import { RandomStream } from '../tensor/random.ts';
import { fisherMatrix } from './fisher.ts';

describe('fisherAverages', () => {
  // 1,500 weights: two blocks, with a layer across their border, one of a single weight, and weights without a
  // gradient.
  const names = [...Array<string>(700).fill('a'), 'single', ...Array<string>(799).fill('b')];
  const [n, d] = [20, names.length];
  const gradients = new Float64Array(n * d);
  new RandomStream(3, 'averages').normal(0, gradients);
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < d; a++) gradients[i * d + a]! *= a % 50 === 0 ? 0 : 10 ** ((a % 7) - 3);
    for (let a = 0; a < 700; a++) gradients[i * d + a]! += 0.3 * gradients[i * d + 700]!; // correlated within
  }

  it('are those of the whole matrix', async () => {
    const [found, whole] = [await fisherAverages(gradients, names, { threads: 1 }), fisherMatrix(gradients, names)];
    expect(found.weights).toEqual(whole.weights);
    expect(found.layers).toEqual(whole.layers);
    expect(found.diagonal).toEqual(whole.diagonal);
    expect(found.noiseFloor).toBe(whole.noiseFloor);
    const of = ({ meanAbs }: Pick<typeof found, 'meanAbs'>) => [meanAbs.all!, meanAbs.within!, meanAbs.between!];
    expectClose(of(found), of(whole), 1e-5);
  });

  it('leave out what there is no pair of', async () => {
    const { meanAbs } = await fisherAverages([1, 2, 2, 1], ['a', 'b'], { threads: 1 });
    expect(meanAbs.within).toBeUndefined();
    expectClose([meanAbs.all!, meanAbs.between!], [0.8, 0.8], 1e-6);
    expect((await fisherAverages([1, 2], ['a'], { threads: 1 })).meanAbs.all).toBeUndefined();
  });
});
