// Fits of squared norms against closed forms and against samples from the distributions themselves.

import erf from '@stdlib/math-base-special-erf';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../tensor/random.ts';
import { cdfOf, compareFits, type Distribution, orderStatistics, qqPoints, quantileOf } from './norm-distribution.ts';

/** n squared norms of `dim` normals of variance `alpha`. */
function chi2Sample(n: number, dim: number, alpha: number): Float64Array {
  const stream = new RandomStream(2, 'chi2-sample');
  const s = new Float64Array(dim);
  return Float64Array.from({ length: n }, (_, i) => {
    stream.normal(i, s);
    return alpha * s.reduce((sum, v) => sum + v * v, 0);
  });
}

function logNormalSample(n: number, mean: number, sd: number): Float64Array {
  const out = new Float64Array(n);
  new RandomStream(2, 'log-normal-sample').normal(0, out);
  return out.map((z) => Math.exp(mean + sd * z));
}

describe('distributions', () => {
  it('have the cdfs of closed forms', () => {
    const chi2 = (degrees: number): Distribution => ({ family: 'chi2', degrees, scale: 3 });
    for (const u of [0.01, 0.5, 2, 9]) {
      expect(cdfOf(chi2(1), 3 * u)).toBeCloseTo(erf(Math.sqrt(u / 2)), 12);
      expect(cdfOf(chi2(2), 3 * u)).toBeCloseTo(1 - Math.exp(-u / 2), 12);
      expect(cdfOf(chi2(4), 3 * u)).toBeCloseTo(1 - Math.exp(-u / 2) * (1 + u / 2), 12);
      const logNormal = { family: 'log-normal', mean: 1, sd: 2 } as const;
      expect(cdfOf(logNormal, u)).toBeCloseTo((1 + erf((Math.log(u) - 1) / 2 / Math.SQRT2)) / 2, 12);
    }
  });

  it('have quantiles that invert the cdf, also for layers of millions of weights', () => {
    const list: Distribution[] = [
      { family: 'log-normal', mean: -20, sd: 0.3 },
      ...[0.7, 1, 2, 64, 5000, 2_359_296].map((degrees) => ({ family: 'chi2', degrees, scale: 1e-6 }) as const),
    ];
    for (const distribution of list) {
      for (const p of [0.0001, 0.1, 0.5, 0.9, 0.9999]) {
        expect(cdfOf(distribution, quantileOf(distribution, p)) / p).toBeCloseTo(1, 6);
      }
    }
  });
});

describe('compareFits', () => {
  it('has the densities, moments and distances computed by hand', () => {
    const fits = compareFits([4, 1], 2);
    // Mean 5/2, unbiased variance 9/2. χ² with 2 degrees of scale 5/4 is exponential of mean 5/2.
    expect(fits.chi2.distribution).toEqual({ family: 'chi2', degrees: 2, scale: 1.25 });
    expect(fits.chi2.logLikelihood).toBeCloseTo(-2 * Math.log(2.5) - 5 / 2.5, 12);
    expect(fits.chi2.aic).toBeCloseTo(2 - 2 * fits.chi2.logLikelihood, 12);
    const [low, high] = [1 - Math.exp(-1 / 2.5), 1 - Math.exp(-4 / 2.5)];
    expect(fits.chi2.ks).toBeCloseTo(Math.max(low, 0.5 - low, high - 0.5, 1 - high), 12);
    const free = fits['chi2-free'].distribution as Extract<Distribution, { family: 'chi2' }>;
    expect(free.degrees * free.scale).toBeCloseTo(5 / 2, 12); // mean and variance of α χ²_k: α k, 2 α² k
    expect(2 * free.degrees * free.scale ** 2).toBeCloseTo(9 / 2, 12);
    const normal = fits['log-normal'].distribution as Extract<Distribution, { family: 'log-normal' }>;
    expect(normal.mean).toBeCloseTo(Math.log(2), 12);
    expect(normal.sd).toBeCloseTo(Math.log(4) / Math.SQRT2, 12);
    // z = ±1/√2 each: Σ log p = −½ − 2 log sd − log 2π − log 4.
    expect(fits['log-normal'].logLikelihood).toBeCloseTo(
      -0.5 - 2 * Math.log(normal.sd) - Math.log(2 * Math.PI) - Math.log(4),
      12,
    );
  });

  it('recovers scaled χ² and says so', () => {
    const fits = compareFits(chi2Sample(3000, 5, 0.01), 5);
    expect(fits.best).toBe('chi2');
    expect(fits.better).toBe('chi2');
    const free = fits['chi2-free'].distribution as Extract<Distribution, { family: 'chi2' }>;
    expect(Math.abs(free.degrees - 5)).toBeLessThan(0.6);
    expect(Math.abs(free.scale / 0.01 - 1)).toBeLessThan(0.12);
    // The 99.9 % point of Kolmogorov's distribution is 1.95 / √n.
    expect(fits.chi2.ks).toBeLessThan(1.95 / Math.sqrt(3000));
    expect(fits['log-normal'].ks).toBeGreaterThan(fits.chi2.ks);
  });

  it('finds fewer degrees of freedom where the entries of a gradient go together', () => {
    // Five entries, each ten times: 50 weights, but 10 · α χ²_5.
    const fits = compareFits(chi2Sample(3000, 5, 0.1), 50);
    const free = fits['chi2-free'].distribution as Extract<Distribution, { family: 'chi2' }>;
    expect(Math.abs(free.degrees - 5)).toBeLessThan(0.6);
    expect(fits.best).toBe('chi2-free');
    expect(fits.better).toBe('log-normal');
  });

  it('recovers a log-normal and says so', () => {
    const fits = compareFits(logNormalSample(3000, -4, 0.8), 100);
    expect(fits.best).toBe('log-normal');
    expect(fits.better).toBe('log-normal');
    expect(fits['log-normal'].ks).toBeLessThan(1.95 / Math.sqrt(3000));
    expect(fits.chi2.ks).toBeGreaterThan(0.2);
  });

  it('refuses zeros and values without spread', () => {
    expect(() => compareFits([1, 0, 2], 3)).toThrow('distribution of norms: a squared norm is 0, expected > 0');
    expect(() => compareFits([1, Number.NaN], 3)).toThrow('a squared norm is NaN');
    expect(() => compareFits([2, 2, 2], 3)).toThrow('has 3 values without spread');
  });
});

describe('qqPoints', () => {
  it('are on the diagonal for the quantiles themselves, thinned evenly with both ends', () => {
    const distribution = { family: 'chi2', degrees: 7, scale: 2 } as const;
    const values = Array.from({ length: 1000 }, (_, i) => quantileOf(distribution, (i + 0.5) / 1000));
    const points = qqPoints(orderStatistics(values.toReversed(), 50), distribution);
    expect(points).toHaveLength(50);
    for (const { theoretical, observed } of points) expect(observed).toBeCloseTo(theoretical, 10);
    expect(points[0]!.observed).toBe(values[0]);
    expect(points[49]!.observed).toBe(values[999]);
    expect(qqPoints(orderStatistics([3, 1]), distribution).map((p) => p.observed)).toEqual([1, 3]);
  });
});
