// Comparison of arrays of numbers that says, on failure, where they differ and by how much.

import { expect } from 'vitest';
import { tolerance } from './tolerances.ts';

/**
 * |actual - expected| <= relative · max(|expected|, floor) everywhere; floor defaults to the largest |expected| · 1e-3.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  what = 'values',
  floor?: number,
): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  const scale = Math.max(0, ...Array.from(expected, Math.abs));
  const least = floor ?? Math.max(scale * 1e-3, 1e-12);
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / (relative * Math.max(Math.abs(expected[i]!), least));
    if (!(error <= 1) && !(error <= excess)) {
      worst = i;
      excess = Number.isNaN(error) ? Infinity : error;
    }
  }
  if (worst >= 0) {
    const allowed = relative * Math.max(Math.abs(expected[worst]!), least);
    expect.fail(`${what}[${worst}]: got ${actual[worst]}, expected ${expected[worst]} ± ${allowed}`);
  }
}

/** DESIGN's promise for squared norms in float32: relative error of the worst entry and of the median entry. */
export function expectSqNorms(actual: ArrayLike<number>, expected: ArrayLike<number>, names: readonly string[]): void {
  expect(actual.length).toBe(expected.length);
  const errors = Array.from(expected, (e, i) => (actual[i] === e ? 0 : Math.abs(actual[i]! - e) / Math.abs(e)));
  const worst = errors.reduce((best, e, i) => (e <= errors[best]! ? best : i), 0);
  const where = `row ${Math.floor(worst / names.length)}, ${names[worst % names.length]}`;
  expect(
    errors[worst],
    `${where}: got ${actual[worst]}, expected ${expected[worst]} to a relative ${tolerance.sqNormWorst}`,
  ).toBeLessThanOrEqual(tolerance.sqNormWorst);
  const median = errors.toSorted((a, b) => a - b)[errors.length >> 1]!;
  expect(median, 'median relative error').toBeLessThanOrEqual(tolerance.sqNormMedian);
}
