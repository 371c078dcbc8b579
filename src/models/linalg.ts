// Small dense matrices in float64, row-major n×n: a random rotation, its P·L·U factors, products and inverses.

import { ModelError } from '../errors.ts';
import type { RandomStream } from '../tensor/random.ts';

export type Matrix = Float64Array;

/** A random orthogonal matrix (Haar): Gram–Schmidt on the rows of a gaussian matrix, twice for full precision. */
export function randomRotation(n: number, random: RandomStream): Matrix {
  const q = new Float64Array(n * n);
  random.normal(0, q);
  for (let i = 0; i < n; i++) {
    const row = q.subarray(i * n, i * n + n);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = q.subarray(j * n, j * n + n);
        const overlap = dot(row, other);
        for (let k = 0; k < n; k++) row[k]! -= overlap * other[k]!;
      }
    }
    const norm = Math.sqrt(dot(row, row));
    for (let k = 0; k < n; k++) row[k]! /= norm;
  }
  return q;
}

/** a = p·l·u: permutation, unit lower triangular, upper triangular; partial pivoting, so |l| <= 1. */
export function plu(a: Matrix, n: number): { readonly p: Matrix; readonly l: Matrix; readonly u: Matrix } {
  const u = Float64Array.from(a);
  const l = identity(n);
  const order = Array.from({ length: n }, (_, i) => i); // row i of the permuted matrix is row order[i] of a
  for (let c = 0; c < n; c++) {
    const pivot = pivotRow(u, n, c);
    [order[c], order[pivot]] = [order[pivot]!, order[c]!];
    swap(u, n, c, pivot, 0, n);
    swap(l, n, c, pivot, 0, c);
    for (let r = c + 1; r < n; r++) {
      const factor = u[r * n + c]! / u[c * n + c]!;
      l[r * n + c] = factor;
      u[r * n + c] = 0;
      for (let k = c + 1; k < n; k++) u[r * n + k]! -= factor * u[c * n + k]!;
    }
  }
  const p = new Float64Array(n * n);
  order.forEach((from, i) => {
    p[from * n + i] = 1;
  });
  return { p, l, u };
}

/** Gauss–Jordan with partial pivoting. Throws ModelError for a singular matrix. */
export function inverse(a: Matrix, n: number): Matrix {
  const left = Float64Array.from(a);
  const right = identity(n);
  for (let c = 0; c < n; c++) {
    const pivot = pivotRow(left, n, c);
    for (const m of [left, right]) swap(m, n, c, pivot, 0, n);
    const scale = 1 / left[c * n + c]!;
    for (const m of [left, right]) for (let k = 0; k < n; k++) m[c * n + k]! *= scale;
    for (let r = 0; r < n; r++) {
      const factor = left[r * n + c]!;
      if (r === c || factor === 0) continue;
      for (const m of [left, right]) for (let k = 0; k < n; k++) m[r * n + k]! -= factor * m[c * n + k]!;
    }
  }
  return right;
}

export function multiply(a: Matrix, b: Matrix, n: number): Matrix {
  const y = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) y[i * n + j]! += a[i * n + k]! * b[k * n + j]!;
  }
  return y;
}

export function identity(n: number): Matrix {
  return matrix(n, (i, j) => (i === j ? 1 : 0));
}

/** The matrix with f(row, column) as elements. */
export function matrix(n: number, f: (i: number, j: number) => number): Matrix {
  return Float64Array.from({ length: n * n }, (_, k) => f(Math.floor(k / n), k % n));
}

export function diagonal(a: Matrix, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => a[i * n + i]!);
}

function pivotRow(a: Matrix, n: number, c: number): number {
  let best = c;
  for (let r = c + 1; r < n; r++) if (Math.abs(a[r * n + c]!) > Math.abs(a[best * n + c]!)) best = r;
  if (!(Math.abs(a[best * n + c]!) > 0)) throw new ModelError(`a ${n}×${n} matrix is singular or not finite`);
  return best;
}

function swap(a: Matrix, n: number, r: number, s: number, from: number, to: number): void {
  for (let k = from; k < to; k++) [a[r * n + k], a[s * n + k]] = [a[s * n + k]!, a[r * n + k]!];
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}
