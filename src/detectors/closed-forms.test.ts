// Every detector on features drawn from the model it assumes: densities that integrate to one, distributions of scores,
// and AUROCs with a closed form.

import erf from '@stdlib/math-base-special-erf';
import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import { auroc } from '../eval/metrics.ts';
import type { FeatureTable } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { type DetectorName, detectorNames, detectors } from './detectors.ts';
import type { NormalParams } from './normal.ts';

const phi = (x: number) => (1 + erf(x / Math.SQRT2)) / 2;
const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, v) => sum + v, 0) / values.length;
const variance = (values: ArrayLike<number>) => {
  const m = mean(values);
  return mean(Array.from(values, (v) => (v - m) ** 2));
};

/** Fits on n rows and scores n new ones of the same source and n of `ood`. */
function aurocOf(name: DetectorName, ood: Parameters<typeof syntheticTable>[0], layers = 1): number {
  const n = 20_000;
  const detector = detectors[name] as (typeof detectors)['layer-norms'];
  const params = detector.fit(syntheticTable({ n, layers })) as NormalParams;
  const scores = (table: FeatureTable) => detector.score(params, table);
  return auroc(scores(syntheticTable({ n, layers, seed: 1 })), scores(syntheticTable({ n, layers, seed: 2, ...ood })));
}

/** Squared norms of gradients s_j ~ N(0, α_j I), [n, L], from the gradients themselves. */
function gradientTable(n: number, dims: readonly number[], alphas: readonly number[], seed = 0): FeatureTable {
  const stream = new RandomStream(seed, 'gradients');
  const rows = Array.from({ length: n }, (_, i) => {
    const s = new Float64Array(dims.reduce((sum, d) => sum + d, 0));
    stream.normal(i, s);
    let from = 0;
    return dims.map((d, j) => {
      from += d;
      return alphas[j]! * s.subarray(from - d, from).reduce((sum, v) => sum + v * v, 0);
    });
  });
  return { ...tableOf(rows), dims };
}

// AUROCs of 20,000 against 20,000 have standard deviations below 0.003.
const aurocError = 0.01;

describe('on two normals a distance δ apart', () => {
  // The nll is N(100, 10²) against N(100 + 10 δ, 10²), the log norm N(0, 1) against N(δ, 1).
  it.each([0, 0.5, 1, 2])('AUROCs are those of the closed forms (δ = %f)', (delta) => {
    // One side: P(Y + δ > X) = Φ(δ/√2). Two sides: |Y + δ| > |X| where (Y + δ − X)(Y + δ + X) > 0, two independent
    // normals.
    const oneSide = phi(delta / Math.SQRT2);
    const twoSides = oneSide ** 2 + (1 - oneSide) ** 2;
    const expected = { likelihood: oneSide, typicality: twoSides };
    for (const [name, value] of Object.entries(expected)) {
      const found = aurocOf(name as DetectorName, { nllShift: 10 * delta });
      expect(Math.abs(found - value), name).toBeLessThan(aurocError);
    }
    const ofNorms = { 'total-norm': oneSide, 'layer-norms': twoSides, fisher: twoSides };
    for (const [name, value] of Object.entries(ofNorms)) {
      const found = aurocOf(name as DetectorName, { shift: delta });
      expect(Math.abs(found - value), name).toBeLessThan(aurocError);
    }
  });

  it('every detector of norms finds a large shift and nothing where there is none', () => {
    for (const name of detectorNames) {
      if (['likelihood', 'typicality'].includes(name)) continue;
      const detector = detectors[name] as (typeof detectors)['layer-norms'];
      const params = detector.fit(syntheticTable({ n: 400, layers: 5 }));
      const scores = (shift: number, seed: number) =>
        detector.score(params, syntheticTable({ n: 400, layers: 5, shift, seed }));
      expect(auroc(scores(0, 1), scores(3, 2)), name).toBeGreaterThan(0.97);
      // 400 against 400: a standard deviation of 0.02; three of those.
      expect(Math.abs(auroc(scores(0, 1), scores(0, 2)) - 0.5), name).toBeLessThan(0.06);
    }
  });
});

describe('densities', () => {
  /** ∫ exp(−score) d log f over one layer, by the trapezoid rule. */
  const integral = (score: (f: number[]) => Float64Array) => {
    const logs = Array.from({ length: 8001 }, (_, k) => -40 + 0.01 * k);
    return 0.01 * score(logs.map(Math.exp)).reduce((sum, s) => sum + Math.exp(-s), 0);
  };
  const column = (values: number[]) => tableOf(values.map((f) => [f]));

  it('of layer-norms integrate to one', () => {
    for (const [mu, sd] of [
      [0, 1],
      [3, 0.2],
      [-5, 3],
    ] as const) {
      const params = { layers: [{ name: 'a.0', mean: mu, sd }], dropped: [] };
      expect(integral((f) => detectors['layer-norms'].score(params, column(f)))).toBeCloseTo(1, 8);
    }
  });

  it('of chi2 integrate to one', () => {
    for (const dim of [1, 2, 7, 300]) {
      const params = { layers: [{ name: 'a.0', dim, scale: 0.7 }], dropped: [] };
      expect(integral((f) => detectors.chi2.score(params, column(f)))).toBeCloseTo(1, dim === 1 ? 6 : 8);
    }
  });
});

describe('scores of rows from the model itself', () => {
  const n = 4000;

  it("Fisher's statistic of L layers is χ² with 2 L degrees of freedom", () => {
    const layers = 12;
    const params = detectors.fisher.fit(syntheticTable({ n: 20_000, layers }));
    const scores = detectors.fisher.score(params, syntheticTable({ n, layers, seed: 1 }));
    // Standard deviations: of the mean √(4L/n) = 0.11, of the variance 4L √(2/n) (1 + …) ≈ 1.4.
    expect(Math.abs(mean(scores) - 2 * layers)).toBeLessThan(0.5);
    expect(Math.abs(variance(scores) - 4 * layers)).toBeLessThan(6);
    // χ² with 24 degrees has the survival function e^(−x/2) Σ_{k<12} (x/2)^k / k!.
    for (const x of [16, 24, 36]) {
      let term = Math.exp(-x / 2);
      let survival = 0;
      for (let k = 0; k < layers; k++) {
        survival += term;
        term *= x / 2 / (k + 1);
      }
      expect(Math.abs(scores.filter((s) => s > x).length / n - survival)).toBeLessThan(0.03);
    }
  });

  it('the layer-wise score has the mean and variance of a sum of normal log-densities', () => {
    const layers = 10;
    const params = detectors['layer-norms'].fit(syntheticTable({ n: 20_000, layers }));
    const scores = detectors['layer-norms'].score(params, syntheticTable({ n, layers, seed: 1 }));
    // Each term is ½ log 2π + z²/2: mean ½ (1 + log 2π), variance ½.
    expect(Math.abs(mean(scores) - (layers / 2) * (1 + Math.log(2 * Math.PI)))).toBeLessThan(0.15);
    expect(Math.abs(variance(scores) - layers / 2)).toBeLessThan(0.6);
  });

  it('scales of gradients are recovered by chi2, and are where the likelihood of the fit rows is highest', () => {
    const [dims, alphas] = [
      [3, 50, 1],
      [2, 0.01, 1e4],
    ] as const;
    const table = gradientTable(n, dims, alphas);
    const params = detectors.chi2.fit(table);
    for (const [j, layer] of params.layers.entries()) {
      expect(layer.dim).toBe(dims[j]);
      // The mean of n χ² variables of k degrees has a relative standard deviation of √(2 / kn) = 0.022 for k = 1.
      expect(Math.abs(layer.scale / alphas[j]! - 1)).toBeLessThan(0.09);
    }
    const total = (factor: number) => {
      const scaled = params.layers.map((layer) => ({ ...layer, scale: layer.scale * factor }));
      return mean(detectors.chi2.score({ ...params, layers: scaled }, table));
    };
    for (const factor of [0.99, 1.01]) expect(total(factor)).toBeGreaterThan(total(1));
  });

  it('the total norm of gradients of one scale is α χ² with Σ_j dim θ_j degrees of freedom', () => {
    const totals = detectors['total-norm'].score({}, gradientTable(n, [3, 50, 7], [0.5, 0.5, 0.5]));
    expect(Math.abs(mean(totals) - 0.5 * 60)).toBeLessThan(0.4); // standard deviation 0.5 √(120/n) = 0.09
    expect(Math.abs(variance(totals) / (0.25 * 120) - 1)).toBeLessThan(0.12);
  });
});
