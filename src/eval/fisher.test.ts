// The Fisher matrix against known covariances, exact small cases and the noise floor by simulation.

import { describe, expect, it } from 'vitest';
import { RandomStream } from '../tensor/random.ts';
import { fisherMatrix, meanAbsCosine, randomSigns } from './fisher.ts';

/** [n, d] standard normals. */
function normals(n: number, d: number, seed = 0): Float64Array {
  const out = new Float64Array(n * d);
  new RandomStream(seed, 'fisher-test').normal(0, out);
  return out;
}

describe('fisherMatrix', () => {
  it('is F_ab / √(F_aa F_bb), computed by hand, without dead weights', () => {
    // Samples (1, 0, 2), (3, 0, −1): F = [[5, −½], [−½, 5/2]] for the first and the last weight.
    const { matrix, diagonal, weights, layers, meanAbs } = fisherMatrix([1, 0, 2, 3, 0, -1], ['a', 'a', 'b']);
    expect(weights).toEqual([0, 2]);
    expect(layers).toEqual(['a', 'b']);
    expect(diagonal[0]).toBeCloseTo(5, 12);
    expect(diagonal[1]).toBeCloseTo(2.5, 12);
    const r = -0.5 / Math.sqrt(12.5);
    for (const [k, v] of [1, r, r, 1].entries()) expect(matrix[k]).toBeCloseTo(v, 12);
    expect(meanAbs.all).toBeCloseTo(-r, 12);
    expect(meanAbs.between).toBeCloseTo(-r, 12);
    expect(meanAbs.within).toBeUndefined();
  });

  it('finds a known correlation, within layers and not between them, whatever the scales', () => {
    // Weights of a layer share a term: s = √ρ u + √(1−ρ) v has correlation ρ within the layer, 0 between layers.
    const [n, rho] = [20_000, 0.36];
    const names = ['a', 'a', 'a', 'b', 'b', 'b'];
    const z = normals(n, 8);
    const gradients = Float64Array.from({ length: n * 6 }, (_, k) => {
      const [i, a] = [Math.floor(k / 6), k % 6];
      const shared = z[i * 8 + 6 + Math.floor(a / 3)]!;
      return 10 ** (3 * a - 6) * (Math.sqrt(rho) * shared + Math.sqrt(1 - rho) * z[i * 8 + a]!);
    });
    const { meanAbs, matrix } = fisherMatrix(gradients, names);
    expect(Math.abs(meanAbs.within! - rho)).toBeLessThan(0.02);
    expect(meanAbs.between).toBeLessThan(0.02);
    // 6 pairs within, 9 between.
    expect(meanAbs.all).toBeCloseTo((6 * meanAbs.within! + 9 * meanAbs.between!) / 15, 12);
    for (let a = 0; a < 6; a++) {
      for (let b = 0; b < 6; b++) expect(matrix[a * 6 + b]).toBe(matrix[b * 6 + a]);
    }
  });

  it.each([3, 16, 200])('has the stated noise floor for independent normals (%i samples)', (n) => {
    const d = 300; // 44,850 pairs: the average is known to a relative 0.01
    const { meanAbs, noiseFloor } = fisherMatrix(normals(n, d), new Array(d).fill('a'));
    expect(Math.abs(meanAbs.all! / noiseFloor - 1)).toBeLessThan(0.03);
  });

  it('has a higher floor where samples share their magnitude, which random signs find', () => {
    const [n, d] = [200, 200];
    const z = normals(n, d);
    const length = normals(n, 1, 5).map((v) => Math.exp(1.5 * v));
    const tailed = z.map((v, k) => v * length[Math.floor(k / d)]!);
    const layers = new Array(d).fill('a');
    const { meanAbs, noiseFloor } = fisherMatrix(tailed, layers);
    expect(meanAbs.all).toBeGreaterThan(1.5 * noiseFloor);
    const signed = fisherMatrix(randomSigns(tailed, d, new RandomStream(1, 'signs')), layers);
    expect(Math.abs(signed.meanAbs.all! / meanAbs.all! - 1)).toBeLessThan(0.05);
    // And they take away a correlation that is there.
    const equal = Float64Array.from({ length: 400 }, (_, k) => z[k >> 1]!);
    expect(fisherMatrix(equal, ['a', 'b']).meanAbs.all).toBeCloseTo(1, 12);
    expect(fisherMatrix(randomSigns(equal, 2, new RandomStream(1, 'signs')), ['a', 'b']).meanAbs.all).toBeLessThan(
      0.25,
    );
  });

  it('survives tiny and large gradients, and refuses what is no number', () => {
    const scaled = (factor: number) =>
      fisherMatrix(
        normals(50, 3).map((v) => v * factor),
        ['a', 'a', 'b'],
      ).matrix;
    for (const [k, v] of scaled(1).entries()) {
      expect(scaled(1e-200)[k]).toBeCloseTo(v, 12);
      expect(scaled(1e200)[k]).toBeCloseTo(v, 12);
    }
    expect(() => fisherMatrix([1, Number.NaN, 2, 3], ['a', 'b'])).toThrow(
      "Fisher matrix: sample 0, weight 1 of 'b': gradient is NaN",
    );
    expect(() => fisherMatrix([1, 2, 3], ['a', 'b'])).toThrow('has 3 gradient entries, expected some rows of 2');
    expect(() => fisherMatrix([0, 0], ['a', 'b'])).toThrow('all 2 weights have gradient 0 in all of 1 samples');
  });
});

describe('meanAbsCosine', () => {
  it('is exact in one, two and three dimensions, and tends to √(2/πn)', () => {
    expect(meanAbsCosine(1)).toBeCloseTo(1, 12);
    expect(meanAbsCosine(2)).toBeCloseTo(2 / Math.PI, 12);
    expect(meanAbsCosine(3)).toBeCloseTo(1 / 2, 12); // a coordinate on the sphere is uniform (Archimedes)
    expect(meanAbsCosine(1e6) / Math.sqrt(2 / (Math.PI * 1e6))).toBeCloseTo(1, 6);
  });
});
