// Squared norms in; scores of a one-class support vector machine on the standardised log norms out.

import * as z from 'zod';
import { UsageError } from '../errors.ts';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { checkWhole } from '../tensor/whole.ts';
import type { Detector } from './detector.ts';
import { explain, fitNormal, type NormalParams, normalShape } from './normal.ts';
import { solveOneClass } from './smo.ts';

/** ν: at most this fraction of the fit rows is called outliers, at least this fraction become support vectors. */
export const NU = 0.1;
/** Rows of z that vary less than this say nothing about the width of the kernel; see `fit`. */
const LEAST_VARIANCE = 0.5;
/** Beyond what log norms of doubles over the least scale can be. */
const MOST_Z = 1e10;
/** Fit rows used at most: a kernel matrix of 32 MB. */
export const MOST_ROWS = 2000;

/**
 * Of `oneClassSvm`: ν, which bounds the share of fit rows outside from above (Schölkopf et al. 2001), and how many rows
 * it sees.
 */
export interface SvmOptions {
  /** ν, in (0, 1); default 0.1. */
  readonly nu?: number;
  /** Fit rows used at most, from 2; default 2,000. */
  readonly mostRows?: number;
}

/** The layers give the standardisation z_j = (log f_j − μ_j) / σ_j. */
export interface SvmParams extends NormalParams {
  /** The kernel is exp(−gamma ‖z − z'‖²). */
  readonly gamma: number;
  /** ρ, in the scale in which the coefficients sum to 1. */
  readonly rho: number;
  /** [m] α_i > 0 of the support vectors; they sum to 1. */
  readonly coefficients: readonly number[];
  /**
   * [m][L] the support vectors, rows of z to three decimals (0.0005 standard deviations), which the fit sees as well.
   */
  readonly vectors: readonly (readonly number[])[];
}

/**
 * One-class support vector machine (Schölkopf et al. 2001) on standardised log norms, with ν = 0.1 unless told
 * otherwise, and a Gaussian kernel of width gamma = 1 / (L · variance of z), which scikit-learn calls 'scale'. The
 * workshop paper has it on standardised norms; their logarithm is what the other detectors find close to normal, and
 * keeps a few heavy tails from setting the scale.
 *
 *     score(x) = log ρ − log Σ_i α_i exp(−gamma ‖z − z_i‖²)
 *
 * is positive exactly where the machine's f(x) = Σ_i α_i K(x_i, x) − ρ is negative and falls as f rises; but where the
 * kernel underflows, and f is −ρ for everything, it still tells far from farther.
 *
 * Of more than 2,000 fit rows (`mostRows`), 2,000 chosen at random by the table's seed are used: time and memory grow
 * with their square, and the file with their number. Throws a UsageError for options out of range.
 */
export function oneClassSvm({ nu = NU, mostRows = MOST_ROWS }: SvmOptions = {}): Detector<SvmParams> {
  if (!(nu > 0 && nu < 1)) throw new UsageError(`one-class-svm: nu is ${nu}, expected between 0 and 1`);
  const options = { nu, mostRows: checkWhole(mostRows, 'one-class-svm: mostRows', 2) };
  return {
    name: 'one-class-svm',
    about: 'one-class support vector machine on the standardised log squared gradient norms',
    needsDims: false,
    params: z
      .strictObject({
        ...normalShape,
        gamma: z.number().positive({ abort: true }).max(1e3),
        rho: z.number().positive({ abort: true }).max(1.001),
        coefficients: z.array(z.number().positive({ abort: true }).max(1.001)).min(1),
        vectors: z.array(z.array(z.number().min(-MOST_Z).max(MOST_Z))).min(1),
      })
      .refine((p) => p.vectors.length === p.coefficients.length, 'Invalid input: expected one coefficient per vector')
      .refine((p) => p.vectors.every((v) => v.length === p.layers.length), 'Invalid input: expected vectors [layers]'),
    fit: (table, like) => fitSvm(table, options, like),
    score,
  };
}

function fitSvm(table: FeatureTable, { nu, mostRows }: Required<SvmOptions>, like?: SvmParams): SvmParams {
  const { layers, dropped } = fitNormal(table, like);
  const l = layers.length;
  const zScores = explain({ layers, dropped }, table).zScores.map((value) => Math.round(value * 1000) / 1000);
  const chosen = new RandomStream(table.meta.seed, 'one-class-svm').permutation(table.group, rowsOf(table));
  const rows = Array.from(chosen.subarray(0, mostRows), (i) => zScores.subarray(i * l, (i + 1) * l));
  const n = rows.length;
  // Standardised rows have a variance near 1. Only a part of a fit set (a fold of nearly equal rows, whose layers keep
  // the scale of the whole) may have less, or none; a kernel as narrow as these rows would tell rounding from rounding.
  const found = variance(rows);
  const gamma = 1 / (l * (found < LEAST_VARIANCE ? 1 : found));
  const { alpha, rho } = solveOneClass(gaussianKernel(rows, gamma), n, nu);
  const support = [...alpha.keys()].filter((i) => alpha[i]! > 0);
  return {
    layers,
    dropped,
    gamma,
    rho: rho / (nu * n),
    coefficients: support.map((i) => alpha[i]! / (nu * n)),
    vectors: support.map((i) => Array.from(rows[i]!)),
  };
}

function score(params: SvmParams, table: FeatureTable): Float64Array {
  const { layers, gamma, rho, coefficients, vectors } = params;
  const { zScores } = explain(params, table);
  const l = layers.length;
  const supports = vectors.map((vector) => Float64Array.from(vector));
  const logs = coefficients.map(Math.log);
  const exponents = new Float64Array(vectors.length);
  return Float64Array.from(table.nll, (_, i) => {
    const row = zScores.subarray(i * l, (i + 1) * l);
    let largest = -Infinity;
    for (const [k, vector] of supports.entries()) {
      const exponent = logs[k]! - gamma * sqDistance(row, vector);
      exponents[k] = exponent;
      largest = Math.max(largest, exponent);
    }
    let sum = 0; // relative to the largest term, so that it is at least 1
    for (const exponent of exponents) sum += Math.exp(exponent - largest);
    return Math.log(rho) - largest - Math.log(sum);
  });
}

/** [n, n] */
function gaussianKernel(rows: readonly Float64Array[], gamma: number): Float64Array {
  const n = rows.length;
  const kernel = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k <= i; k++) {
      const value = Math.exp(-gamma * sqDistance(rows[i]!, rows[k]!));
      kernel[i * n + k] = value;
      kernel[k * n + i] = value;
    }
  }
  return kernel;
}

/**
 * Two sums, so that an addition need not wait for the one before it: nearly twice as fast, and this is where the time
 * goes.
 */
function sqDistance(a: Float64Array, b: Float64Array): number {
  let even = 0;
  let odd = 0;
  const pairs = a.length & ~1;
  for (let j = 0; j < pairs; j += 2) {
    const first = a[j]! - b[j]!;
    const second = a[j + 1]! - b[j + 1]!;
    even += first * first;
    odd += second * second;
  }
  if (pairs < a.length) even += (a[pairs]! - b[pairs]!) ** 2;
  return even + odd;
}

/** Variance of all entries (divided by their number, as scikit-learn's 'scale' has it). */
function variance(rows: readonly Float64Array[]): number {
  const count = rows.length * rows[0]!.length;
  const mean = rows.reduce((sum, row) => row.reduce((inner, v) => inner + v, sum), 0) / count;
  return rows.reduce((sum, row) => row.reduce((inner, v) => inner + (v - mean) ** 2, sum), 0) / count;
}
