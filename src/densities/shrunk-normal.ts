// Standardised features in; their squared Mahalanobis distance under a normal whose covariance is shrunk towards the
// identity out.

import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { DataError } from '../errors.ts';
import { leaveOut, leverages } from './leave-out.ts';
import { columnMeans, covariance, type Rows, rowOf } from './rows.ts';

/** A full normal of p features with mean 0. */
export interface ShrunkNormal {
  readonly p: number;
  /** [p, p] the inverse of the shrunk covariance. */
  readonly precision: Float64Array;
}

/**
 * (1 − a) S + a I of standardised rows [n, p], S their covariance, inverted. The shrinkage a keeps directions in which
 * few rows do not vary from deciding everything, and makes collinear features harmless. Throws a DataError for fewer
 * than two rows, and for a = 0 where S has no inverse.
 */
export function fitShrunkNormal(rows: Rows, a: number): ShrunkNormal {
  const { p } = rows;
  return { p, precision: inverse(shrunk(covariance(rows), a, 1), p) };
}

/** (1 − a) S + a · scale · I. */
function shrunk(S: Float64Array, a: number, scale: number): Float64Array {
  const p = Math.sqrt(S.length);
  return S.map((s, k) => (1 - a) * s + (k % (p + 1) === 0 ? a * scale : 0));
}

/**
 * The share a of Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, for a
 * target of the mean variance times the identity: the one that costs least in expectation, estimated from centred rows
 * [n, p].
 */
export function ledoitWolf(rows: Rows): number {
  const { n, p } = rows;
  const S = covariance(rows).map((s) => (s * (n - 1)) / n);
  const mean = columnMeans(rows);
  const target = trace(S) / p;
  let distance = 0; // ‖S − target·I‖²
  for (let j = 0; j < p; j++) for (let k = 0; k < p; k++) distance += (S[j * p + k]! - (j === k ? target : 0)) ** 2;
  let noise = 0; // mean of ‖x xᵀ − S‖² / n, as ‖x xᵀ‖² − ‖S‖²
  let norms = 0;
  for (let i = 0; i < n; i++) {
    let sq = 0;
    const row = rowOf(rows, i);
    for (let j = 0; j < p; j++) sq += (row[j]! - mean[j]!) ** 2;
    norms += sq * sq;
  }
  noise = (norms / n - S.reduce((sum, s) => sum + s * s, 0)) / n;
  return distance === 0 ? 1 : Math.min(1, Math.max(0, noise / distance));
}

/**
 * Hotelling's T² of the mean of B rows, given those means: [n] B ūᵀ Σ⁻¹ ū. For B = 1 it is the squared Mahalanobis
 * distance. (Hotelling 1931.)
 */
export function distances(normal: ShrunkNormal, means: Rows, B: number): Float64Array {
  return Float64Array.from({ length: means.n }, (_, i) => contributions(normal, rowOf(means, i), B).reduce(add, 0));
}

/**
 * As `distances` for groups of B of the fit rows themselves, each by a fit without it; `a` as it was fitted with. Left
 * aside: that the rows would be standardised anew.
 */
export function leftOutDistances(rows: Rows, a: number): (groups: ArrayLike<number>, B: number) => Float64Array {
  const factored = new CholeskyDecomposition(asMatrix(shrunk(covariance(rows), a, 1), rows.p));
  const known = leverages(rows, asArray(factored.lowerTriangularMatrix), 1 - a);
  return (groups, B) => {
    const further = rows.n / (rows.n - B); // than from a mean that the group itself is part of
    return Float64Array.from(leaveOut(known, groups, B), ({ square }) => B * further ** 2 * square);
  };
}

/** [p] what each feature adds to the distance of one row: B ū_j (Σ⁻¹ ū)_j. May be negative; the sum is the distance. */
export function contributions({ p, precision }: ShrunkNormal, mean: Float64Array, B: number): Float64Array {
  return Float64Array.from(mean, (u, j) => {
    let sum = 0;
    for (let k = 0; k < p; k++) sum += precision[j * p + k]! * mean[k]!;
    return B * u * sum;
  });
}

/** The inverse of a symmetric positive definite matrix [p, p]. Throws a DataError where it is not definite. */
function inverse(S: Float64Array, p: number): Float64Array {
  const decomposition = new CholeskyDecomposition(asMatrix(S, p));
  if (!decomposition.isPositiveDefinite()) {
    throw new DataError(`a covariance of ${p} features has no inverse: expected rows that vary in all of them`);
  }
  return asArray(decomposition.solve(Matrix.eye(p)));
}

/** ml-matrix' own type, copied. */
export const asMatrix = (S: Float64Array, p: number): Matrix => Matrix.from1DArray(S.length / p, p, S);

/** Row-major. */
export const asArray = (m: Matrix): Float64Array => Float64Array.from(m.to1DArray());

function trace(S: Float64Array): number {
  const p = Math.sqrt(S.length);
  let sum = 0;
  for (let j = 0; j < p; j++) sum += S[j * p + j]!;
  return sum;
}

const add = (a: number, b: number) => a + b;
