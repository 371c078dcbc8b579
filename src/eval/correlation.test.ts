// Correlations of log norms against series with known correlations.

import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import type { FeatureTable } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { autocorrelation, autocorrelationByKind, layerCorrelation } from './correlation.ts';

/** Log norms that follow z_{j+1} = φ z_j + √(1−φ²) noise over the depth: correlation φ^|j−k|. */
function autoregressive(n: number, l: number, phi: number): FeatureTable {
  const noise = new Float64Array(n * l);
  new RandomStream(0, 'autoregressive').normal(0, noise);
  const z = new Float64Array(n * l);
  for (let k = 0; k < z.length; k++) {
    z[k] = k % l === 0 ? noise[k]! : phi * z[k - 1]! + Math.sqrt(1 - phi * phi) * noise[k]!;
  }
  const rows = Array.from({ length: n }, (_, i) =>
    Array.from(z.subarray(i * l, (i + 1) * l), (v, j) => Math.exp(j + v / 3)),
  );
  return tableOf(rows);
}

describe('layerCorrelation', () => {
  it('is Pearson correlation of the logs, computed by hand, without layers that have no spread', () => {
    // Logs (0, 1, 2), constant, (1, 3, 2): correlation ½.
    const e = Math.exp;
    const found = layerCorrelation(
      tableOf([
        [e(0), 7, e(1)],
        [e(1), 7, e(3)],
        [e(2), 7, e(2)],
      ]),
    );
    expect(found.names).toEqual(['a.0', 'a.2']);
    expect(found.dropped.map((layer) => layer.name)).toEqual(['a.1']);
    for (const [k, r] of [1, 0.5, 0.5, 1].entries()) expect(found.matrix[k]).toBeCloseTo(r, 12);
    expect(found.meanAbs).toBeCloseTo(0.5, 12);
    expect(layerCorrelation(tableOf([[1], [2]])).meanAbs).toBeUndefined();
  });

  it('has the stated noise floor for independent layers', () => {
    const { meanAbs, noiseFloor } = layerCorrelation(syntheticTable({ n: 30, layers: 120 })); // 7,140 pairs
    expect(Math.abs(meanAbs! / noiseFloor - 1)).toBeLessThan(0.05);
  });

  it('is φ^lag for a series of first order', () => {
    const l = 12;
    const { matrix } = layerCorrelation(autoregressive(5000, l, 0.8));
    for (const [j, k] of [
      [0, 1],
      [3, 5],
      [2, 11],
    ] as const) {
      expect(Math.abs(matrix[j * l + k]! - 0.8 ** (k - j))).toBeLessThan(0.05);
      expect(matrix[k * l + j]).toBe(matrix[j * l + k]);
    }
  });
});

describe('autocorrelation', () => {
  it('is φ^lag on average, over every pair at that distance', () => {
    const found = autocorrelation(layerCorrelation(autoregressive(5000, 12, -0.7)), 100);
    expect(found.map(({ lag, pairs }) => [lag, pairs])).toEqual(Array.from({ length: 11 }, (_, k) => [k + 1, 11 - k]));
    for (const { lag, mean, meanAbs } of found.slice(0, 6)) {
      expect(Math.abs(mean - (-0.7) ** lag)).toBeLessThan(0.04);
      expect(Math.abs(meanAbs - 0.7 ** lag)).toBeLessThan(0.04);
    }
    expect(autocorrelation(layerCorrelation(autoregressive(50, 12, 0.5)), 3)).toHaveLength(3);
  });

  it('by kind counts the lag among the parameters of that kind', () => {
    const table = autoregressive(5000, 9, 0.8);
    const names = [
      'in.weight',
      'in.bias',
      'b0.weight',
      'b0.bias',
      'b1.weight',
      'b1.bias',
      'b2.weight',
      'b2.bias',
      'scale',
    ];
    const found = autocorrelationByKind(layerCorrelation({ ...table, names }), 2);
    expect(found.map(({ kind }) => kind)).toEqual(['weight', 'bias']);
    for (const { lags } of found) {
      expect(lags.map(({ pairs }) => pairs)).toEqual([3, 2]);
      // Neighbours of one kind are two apart in depth.
      for (const { lag, mean } of lags) expect(Math.abs(mean - 0.8 ** (2 * lag))).toBeLessThan(0.05);
    }
  });
});
