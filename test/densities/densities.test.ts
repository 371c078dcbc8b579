// Densities on feature rows against scikit-learn, NumPy and SciPy (scripts/make-density-goldens.py).

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contrasts, fitContrast } from '../../src/densities/contrast.ts';
import { fitLocalOutlierFactor, localOutlierFactors } from '../../src/densities/local-outlier-factor.ts';
import { fitNormalScores, fitRanks, normalScores, surprise } from '../../src/densities/normal-scores.ts';
import { beside, meansOf, pick, type Rows, rowOf, rowsOver } from '../../src/densities/rows.ts';
import { contributions, distances, fitShrunkNormal, ledoitWolf } from '../../src/densities/shrunk-normal.ts';
import { fitStandard, standardise } from '../../src/densities/standard.ts';

interface Goldens {
  readonly rows: number[][];
  readonly points: number[][];
  readonly others: number[][];
  readonly distances: number[];
  readonly ledoitWolf: number;
  readonly factors: number[];
  readonly third: number[][];
  readonly contrasts: number[][];
  readonly scores: number[];
  readonly at: number[];
  readonly z: number[];
}

const goldens = JSON.parse(readFileSync(new URL('goldens.json', import.meta.url), 'utf8')) as Goldens;
const asRows = (table: readonly number[][]): Rows => rowsOver(Float64Array.from(table.flat()), table[0]!.length);
const [rows, points, others, third] = [goldens.rows, goldens.points, goldens.others, goldens.third].map(asRows) as [
  Rows,
  Rows,
  Rows,
  Rows,
];

const near = (found: ArrayLike<number>, expected: readonly number[]) => {
  expect(found.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i]! / value).toBeCloseTo(1, 8);
};

describe('shrunk normal', () => {
  it('has the distances of NumPy', () => {
    near(distances(fitShrunkNormal(rows, 0.3), points, 1), goldens.distances);
  });
  it("has scikit-learn's Ledoit–Wolf shrinkage", () => {
    expect(ledoitWolf(rows)).toBeCloseTo(goldens.ledoitWolf, 10);
  });
  it("gives contributions that add up to Hotelling's T² of a group's mean", () => {
    const normal = fitShrunkNormal(rows, 0.3);
    const means = meansOf(points, 3);
    const found = distances(normal, means, 3);
    for (let i = 0; i < means.n; i++) {
      const sum = contributions(normal, rowOf(means, i), 3).reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(found[i]!, 10);
    }
  });
  it('takes collinear features, and refuses them without shrinkage', () => {
    const twice = beside([rows, rows]);
    expect(distances(fitShrunkNormal(twice, 0.3), twice, 1).every(Number.isFinite)).toBe(true);
    expect(() => fitShrunkNormal(twice, 0)).toThrow('has no inverse');
  });
});

describe('local outlier factor', () => {
  it("has scikit-learn's factors", () => {
    near(localOutlierFactors(fitLocalOutlierFactor(rows, 5), points), goldens.factors);
  });
  it('is finite for points and rows that repeat', () => {
    const repeated = pick(rows, new Array(20).fill(3));
    const [factor] = localOutlierFactors(fitLocalOutlierFactor(repeated, 5), repeated);
    expect(factor).toBeCloseTo(1, 10);
    expect(localOutlierFactors(fitLocalOutlierFactor(repeated, 5), points).every((f) => f > 1e6)).toBe(true);
  });
  it('refuses more neighbours than there are', () => {
    expect(() => fitLocalOutlierFactor(rows, 40)).toThrow('40 neighbours among 40 rows, expected 1 to 39');
  });
});

describe('contrast', () => {
  it("is the shrunk Fisher discriminants' distances", () => {
    const found = contrasts(fitContrast(rows, [others, third]), points, 1);
    for (const [k, expected] of goldens.contrasts.entries()) near(found[k]!, expected);
  });
  it('grows with the root of the group', () => {
    const contrast = fitContrast(rows, [others]);
    const [one, four] = [1, 4].map((B) => contrasts(contrast, points, B)[0]![0]!);
    expect(four! / one!).toBeCloseTo(2, 12);
  });
});

describe('normal scores', () => {
  it('are the quantiles of the smoothed distribution', () => {
    const found = normalScores(fitNormalScores(goldens.scores), goldens.at);
    // Between knots the map is a line.
    for (const [i, z] of goldens.z.entries()) expect(Math.abs(found[i]! - z)).toBeLessThan(2e-3);
  });
  it('rise everywhere, beyond all scores too, and leave NaN alone', () => {
    const fit = fitNormalScores(goldens.scores);
    const grid = Array.from({ length: 400 }, (_, i) => -20 + i / 8);
    const z = normalScores(fit, grid);
    for (let i = 1; i < z.length; i++) expect(z[i]).toBeGreaterThan(z[i - 1]!);
    expect(normalScores(fit, [Number.NaN])[0]).toBeNaN();
    expect(normalScores(fit, [1e6])[0]).toBeLessThan(1e7);
  });
  it('take scores that are all the same', () => {
    const fit = fitNormalScores([2, 2, 2, 2]);
    const [below, same, above] = normalScores(fit, [1, 2, 3]);
    expect(same).toBeCloseTo(0, 10);
    expect(below).toBeLessThan(0);
    expect(above).toBeGreaterThan(0);
  });
  it('by ranks give the largest of m scores the chance of one in m + 1, and repeated ones that of all of them', () => {
    const scores = Array.from({ length: 999 }, (_, i) => Math.sqrt(i));
    const pOf = (fit: ReturnType<typeof fitRanks>, s: number) => Math.exp(-surprise(normalScores(fit, [s])[0]!));
    const fit = fitRanks(scores.toReversed());
    for (const above of [1, 2, 5, 20]) expect(pOf(fit, scores.at(-above)!)).toBeCloseTo(above / 1000, 6);
    for (const above of [50, 200, 500]) expect(pOf(fit, scores.at(-above)!)).toBeCloseTo(above / 1000, 3);
    const z = normalScores(
      fit,
      Array.from({ length: 400 }, (_, i) => i / 8),
    );
    for (let i = 1; i < z.length; i++) expect(z[i]).toBeGreaterThan(z[i - 1]!);
    const tied = fitRanks([1, 2, 3, 3, 3, 3, 3, 3, 3]);
    expect(pOf(tied, 3)).toBeCloseTo(0.7, 6);
    expect(pOf(tied, 4)).toBeLessThan(0.7);
    expect(pOf(fitRanks([2, 2, 2, 2]), 2)).toBeCloseTo(0.8, 6);
  });
  it('surprise by the logarithm of the upper tail', () => {
    expect(surprise(0)).toBeCloseTo(Math.LN2, 12);
    expect(surprise(40) / 804.608).toBeCloseTo(1, 5); // −ln Φ(−40) = 804.608442…
  });
});

describe('standardised rows', () => {
  it('have mean 0 and variance 1, without the columns that do not vary', () => {
    const flat = rowsOver(new Float64Array(rows.n).fill(3), 1);
    const all = beside([rows, flat]);
    const standard = fitStandard(all);
    expect(standard.columns).toEqual([0, 1, 2, 3, 4, 5]);
    const z = standardise(standard, all);
    for (let j = 0; j < 6; j++) {
      let [sum, square] = [0, 0];
      for (let i = 0; i < z.n; i++) {
        sum += rowOf(z, i)[j]!;
        square += rowOf(z, i)[j]! ** 2;
      }
      expect(sum / z.n).toBeCloseTo(0, 12);
      expect(square / (z.n - 1)).toBeCloseTo(1, 12);
    }
    expect(() => fitStandard(flat)).toThrow('none of 1 features varies over 40 rows');
  });
});
