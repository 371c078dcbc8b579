// The one-class support vector machine against its optimality conditions, closed forms and projected gradient descent.

import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import type { FeatureTable } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { SMO_TOLERANCE, solveOneClass } from './smo.ts';
import { MOST_ROWS, NU, oneClassSvm } from './svm.ts';

/** exp(−|x − y|²/2) of n random points of the plane, each `copies` times. */
function planeKernel(n: number, seed: number, copies = 1): Float64Array {
  const points = new Float64Array(2 * n);
  new RandomStream(seed, 'plane').normal(0, points);
  const m = n * copies;
  return Float64Array.from({ length: m * m }, (_, k) => {
    const [i, j] = [Math.floor(k / m) % n, (k % m) % n];
    return Math.exp(-((points[2 * i]! - points[2 * j]!) ** 2 + (points[2 * i + 1]! - points[2 * j + 1]!) ** 2) / 2);
  });
}

const times = (kernel: Float64Array, alpha: Float64Array) =>
  alpha.map((_, i) => alpha.reduce((sum, a, j) => sum + a * kernel[i * alpha.length + j]!, 0));

const objective = (kernel: Float64Array, alpha: Float64Array) =>
  times(kernel, alpha).reduce((sum, g, i) => sum + (g * alpha[i]!) / 2, 0);

/** The nearest point with 0 ≤ α ≤ 1 and the given sum: α − t clipped, t by bisection. */
function project(alpha: Float64Array, sum: number): Float64Array {
  let [low, high] = [Math.min(...alpha) - 1, Math.max(...alpha)];
  const clipped = (t: number) => alpha.map((a) => Math.min(1, Math.max(0, a - t)));
  for (let k = 0; k < 100; k++) {
    const t = (low + high) / 2;
    if (clipped(t).reduce((s, a) => s + a, 0) > sum) low = t;
    else high = t;
  }
  return clipped((low + high) / 2);
}

describe('solveOneClass', () => {
  it.each([
    [60, 0.1, 1],
    [60, 0.5, 1],
    [61, 0.237, 1],
    [7, 0.05, 1], // νn < 1
    [60, 1, 1],
    [20, 0.3, 4], // every row four times: a singular kernel
  ])('meets the optimality conditions (n = %i, ν = %f, %i copies)', (n, nu, copies) => {
    const kernel = planeKernel(n, 3, copies);
    const { alpha, rho } = solveOneClass(kernel, n * copies, nu);
    expect(alpha.reduce((sum, a) => sum + a, 0)).toBeCloseTo(nu * n * copies, 10);
    for (const [i, g] of times(kernel, alpha).entries()) {
      const a = alpha[i]!;
      expect(a).toBeGreaterThanOrEqual(0);
      expect(a).toBeLessThanOrEqual(1);
      if (a < 1) expect(g).toBeGreaterThanOrEqual(rho - 2 * SMO_TOLERANCE);
      if (a > 0) expect(g).toBeLessThanOrEqual(rho + 2 * SMO_TOLERANCE);
    }
  });

  it('calls at most ν of the rows outliers and makes at least ν of them support vectors', () => {
    for (const nu of [0.05, 0.1, 0.31, 0.6]) {
      const n = 150;
      const kernel = planeKernel(n, 5);
      const { alpha, rho } = solveOneClass(kernel, n, nu);
      const outliers = times(kernel, alpha).filter((g) => g < rho - 2 * SMO_TOLERANCE).length;
      const support = alpha.filter((a) => a > 0).length;
      expect(outliers / n).toBeLessThanOrEqual(nu);
      expect(support / n).toBeGreaterThanOrEqual(nu);
      // Both tend to ν with n: the rest lies on the boundary itself.
      expect((support - outliers) / n).toBeLessThan(0.15);
    }
  });

  it('finds what projected gradient descent finds', () => {
    const [n, nu] = [20, 0.25];
    const kernel = planeKernel(n, 8);
    let alpha = project(new Float64Array(n).fill(nu), nu * n);
    for (let k = 0; k < 5_000; k++) {
      const g = times(kernel, alpha);
      alpha = project(
        alpha.map((a, i) => a - 0.09 * g[i]!),
        nu * n,
      ); // the kernel's eigenvalues are below n, so this step is stable
    }
    const smo = solveOneClass(kernel, n, nu);
    expect(objective(kernel, smo.alpha)).toBeCloseTo(objective(kernel, alpha), 4);
    for (const [i, a] of alpha.entries()) expect(Math.abs(smo.alpha[i]! - a)).toBeLessThan(0.01);
  });

  it('equals the closed forms of two and three points', () => {
    // Two points by symmetry: α = ν each, ρ = ν (1 + k).
    const two = solveOneClass(Float64Array.of(1, 0.3, 0.3, 1), 2, 0.4);
    expect(two.alpha[0]).toBeCloseTo(0.4, 3);
    expect(two.rho).toBeCloseTo(0.4 * 1.3, 3);
    // A pair with kernel k, both with kernel c to a third: stationary where a (1 + k) + c b = 2 a c + b, 2 a + b = 3ν.
    const [k, c, nu] = [0.8, 0.1, 0.3];
    const three = solveOneClass(Float64Array.of(1, k, c, k, 1, c, c, c, 1), 3, nu);
    const b = (3 * nu * (1 + k - 2 * c)) / (3 + k - 4 * c);
    expect(three.alpha[2]).toBeCloseTo(b, 3);
    expect(three.alpha[0]).toBeCloseTo((3 * nu - b) / 2, 3);
    expect(three.rho).toBeCloseTo((3 * nu - b) * c + b, 3);
  });
});

describe('one-class-svm', () => {
  const table = syntheticTable({ n: 300, layers: 6 });

  it('scores log ρ − log Σ α_i K(x_i, x), positive for at most ν of the fit rows', () => {
    const params = oneClassSvm().fit(table);
    const scores = oneClassSvm().score(params, table);
    for (const i of [0, 1, 299]) {
      const z = params.layers.map(({ mean, sd }, j) => (Math.log(table.sqNorms[i * 6 + j]!) - mean) / sd);
      const f = params.vectors.reduce((sum, vector, m) => {
        const sqDistance = vector.reduce((inner, v, j) => inner + (v - z[j]!) ** 2, 0);
        return sum + params.coefficients[m]! * Math.exp(-params.gamma * sqDistance);
      }, 0);
      expect(scores[i]).toBeCloseTo(Math.log(params.rho / f), 10);
    }
    expect(params.coefficients.reduce((sum, a) => sum + a, 0)).toBeCloseTo(1, 12);
    // z has mean 0 and unbiased variance 1 in every layer.
    expect(params.gamma).toBeCloseTo(1 / (6 * (299 / 300)), 4);
    // A row on the boundary has score 0 but for the rounding of z.
    expect(scores.filter((s) => s > 0.002).length / 300).toBeLessThanOrEqual(NU);
    expect(params.vectors.length / 300).toBeGreaterThanOrEqual(NU);
    expect(params.vectors.length / 300).toBeLessThan(0.4);
  });

  it('rises with the distance from the fit rows, also where the kernel underflows', () => {
    const params = oneClassSvm().fit(table);
    const shifts = [0, 1, 3, 10, 100, 200];
    const scores = shifts.map(
      (s) => oneClassSvm().score(params, tableOf([[0, 1, 2, 3, 4, 5].map((j) => Math.exp(j + s))]))[0]!,
    );
    expect(scores).toEqual(scores.toSorted((a, b) => a - b));
    expect(new Set(scores).size).toBe(shifts.length);
    expect(scores[0]).toBeLessThan(0);
    expect(scores[1]).toBeLessThan(scores[2]!);
    expect(scores[2]).toBeGreaterThan(0);
    const [zero, bright] = oneClassSvm().score(params, tableOf([[0, 0, 0, 0, 0, 0], new Array(6).fill(1e300)]));
    expect(Number.isFinite(zero)).toBe(true);
    expect(Number.isFinite(bright)).toBe(true);
  });

  it('does not depend on the units of a layer, on the order of layers, or on layers without spread', () => {
    const other = syntheticTable({ n: 50, layers: 6, seed: 4 });
    const plain = oneClassSvm().score(oneClassSvm().fit(table), other);
    const changes: ((t: FeatureTable) => FeatureTable)[] = [
      (t) => ({ ...t, sqNorms: t.sqNorms.map((f, k) => (k % 6 === 1 ? f * 1024 : f)) }),
      (t) => ({ ...t, sqNorms: t.sqNorms.map((_, k) => t.sqNorms[k - (k % 6) + ((k + 1) % 6)]!) }),
      (t) => ({
        ...t,
        names: [...t.names, 'constant'],
        sqNorms: Float64Array.from({ length: t.nll.length * 7 }, (_, k) =>
          k % 7 === 6 ? 5 : t.sqNorms[Math.floor(k / 7) * 6 + (k % 7)]!,
        ),
      }),
    ];
    for (const change of changes) {
      const params = oneClassSvm().fit(change(table));
      expect(params.layers).toHaveLength(6);
      const scores = oneClassSvm().score(params, change(other));
      // Rounding to three decimals may fall differently; the solver stops within its tolerance.
      for (const [i, score] of plain.entries()) expect(Math.abs(scores[i]! - score)).toBeLessThan(0.01);
    }
  });

  it('stands rows that are all alike, and uses a random part of many', () => {
    const alike = tableOf([...new Array(19).fill([1, 1]), [Math.E, Math.E]]);
    const [usual, odd] = oneClassSvm().score(
      oneClassSvm().fit(alike),
      tableOf([
        [1, 1],
        [Math.E, Math.E],
      ]),
    );
    expect(usual).toBeLessThan(odd!);
    const same = oneClassSvm().fit(tableOf(new Array(4).fill([1])), {
      ...oneClassSvm().fit(tableOf([[1], [2]])),
      layers: [{ name: 'a.0', mean: 0, sd: 1 }],
    });
    expect(same.gamma).toBe(1);
    expect(oneClassSvm().score(same, tableOf([[1]]))[0]).toBeCloseTo(0, 10);
    const many = oneClassSvm().fit(syntheticTable({ n: MOST_ROWS + 500, layers: 2 }));
    expect(many.vectors.length / MOST_ROWS).toBeGreaterThanOrEqual(NU);
    expect(many.vectors.length / MOST_ROWS).toBeLessThan(NU + 0.02);
    expect(oneClassSvm().fit(syntheticTable({ n: MOST_ROWS + 500, layers: 2 }))).toEqual(many);
  });
});
