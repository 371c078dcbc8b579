// Squared norms in; scores under "log f_j is normal, layers independent" out: the paper's layer-wise norms, and Fisher's method
// on the same model.

import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import { z } from 'zod';
import { DataError, ModelError } from '../errors.ts';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import type { Detector } from './detector.ts';

/** One layer's model: log f ~ N(mean, sd²). `sd` is the unbiased estimate. */
export interface NormalLayer {
  readonly name: string;
  readonly mean: number;
  readonly sd: number;
}

/** A layer left out of the score, and why. */
export interface DroppedLayer {
  readonly name: string;
  readonly reason: string;
}

export interface NormalParams {
  readonly layers: readonly NormalLayer[];
  readonly dropped: readonly DroppedLayer[];
}

const layerName = z.string().min(1);
export const droppedSchema = z.array(z.strictObject({ name: layerName, reason: z.string() }));

/** The keys of NormalParams, for detectors that have more. */
export const normalShape = {
  layers: z.array(z.strictObject({ name: layerName, mean: z.number(), sd: z.number().positive() })).min(1),
  dropped: droppedSchema,
};
const normalSchema = z.strictObject(normalShape);

/**
 * The paper's score: S(x) = −Σ_j log N(log f_j(x); μ_j, σ_j²), in nats.
 * Layers that hold a zero norm in the fit set, or have no spread there, are dropped and listed.
 */
export const layerNorms: Detector<NormalParams> = {
  about: 'negative log-density of the log squared gradient norms, normal and independent per layer',
  needsDims: false,
  params: normalSchema,
  fit: fitNormal,
  score: (params, table) =>
    scoreByLayer(params, table, ({ mean, sd }, f) => {
      const z = (logSqNorm(f) - mean) / sd;
      return z * z * 0.5 + Math.log(sd) + HALF_LOG_2PI;
    }),
};

/**
 * Fisher's method (R. A. Fisher 1925): −2 Σ_j log p_j with p_j = 2 Φ(−|z_j|), the two-sided p-value of log f_j under its
 * normal. Computed with log Φ, since p itself underflows from |z| = 38 on.
 */
export const fisher: Detector<NormalParams> = {
  about: "Fisher's method on two-sided p-values of the log squared gradient norms",
  needsDims: false,
  params: normalSchema,
  fit: fitNormal,
  score: (params, table) =>
    scoreByLayer(
      params,
      table,
      ({ mean, sd }, f) => -2 * (Math.LN2 + logcdf(-Math.abs((logSqNorm(f) - mean) / sd), 0, 1)),
    ),
};

/** Which layers make a row surprising. */
export interface Explanation {
  /** The K layers the detector uses: those of the table without the dropped ones. */
  readonly names: readonly string[];
  /** [n, K] row-major: (log f_j − μ_j) / σ_j. The layer's share of the score is z²/2 plus a constant of the layer. */
  readonly zScores: Float64Array;
}

/** The z-score of every layer of every row. Throws a ModelError for a table of other layers. */
export function explain(params: NormalParams, table: FeatureTable): Explanation {
  const { layers } = params;
  const columns = columnsOf(layers, table);
  const n = rowsOf(table);
  const l = table.names.length;
  const zScores = new Float64Array(n * layers.length);
  for (let i = 0; i < n; i++) {
    for (const [k, { mean, sd }] of layers.entries()) {
      zScores[i * layers.length + k] = (logSqNorm(table.sqNorms[i * l + columns[k]!]!) - mean) / sd;
    }
  }
  return { names: layers.map(({ name }) => name), zScores };
}

/** The smallest positive float32. */
const SMALLEST_SQ_NORM = 2 ** -149;

/**
 * log f, where f below 2^-149 counts as 2^-149. The runtime computes norms in float32, in which an exact zero means "below
 * 2^-149": so a zero norm is as surprising as the smallest norm that could have been measured. That is tens to hundreds of
 * standard deviations for any layer that is not dead, yet finite, so rows with zeros still rank among themselves and scores
 * survive JSON, which has no Infinity.
 */
export function logSqNorm(f: number): number {
  return Math.log(Math.max(f, SMALLEST_SQ_NORM));
}

/** Standard deviations of log f up to this are rounding: a relative error of 1e-6 is what float32 sums leave. */
const NO_SPREAD = 1e-6;
const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

/** The normal of every layer's log norm; the layers, and `like`, as `Detector.fit` has them. */
export function fitNormal(table: FeatureTable, like?: NormalParams): NormalParams {
  const n = rowsOf(table);
  if (n < 2) throw new DataError(`${table.meta.data}: has ${n} group, a standard deviation needs at least 2`);
  const l = table.names.length;
  const estimate = (j: number): { mean: number; sd: number; zeros: number } => {
    let zeros = 0;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const f = table.sqNorms[i * l + j]!;
      if (f === 0) zeros++;
      sum += logSqNorm(f);
    }
    const mean = sum / n;
    let squares = 0;
    for (let i = 0; i < n; i++) squares += (logSqNorm(table.sqNorms[i * l + j]!) - mean) ** 2;
    return { mean, sd: Math.sqrt(squares / (n - 1)), zeros };
  };

  if (like !== undefined) {
    const columns = columnsOf(like.layers, table);
    const layers = like.layers.map((layer, k) => {
      const { mean, sd } = estimate(columns[k]!);
      return sd > NO_SPREAD ? { name: layer.name, mean, sd } : layer;
    });
    return { layers, dropped: like.dropped };
  }

  const layers: NormalLayer[] = [];
  const dropped: DroppedLayer[] = [];
  for (const [j, name] of table.names.entries()) {
    const { mean, sd, zeros } = estimate(j);
    if (zeros > 0) dropped.push({ name, reason: `squared norm is 0 in ${zeros} of ${n} fit groups` });
    else if (!(sd > NO_SPREAD))
      dropped.push({ name, reason: `log squared norm is constant (standard deviation ${sd})` });
    else layers.push({ name, mean, sd });
  }
  return { layers: someLayers(layers, dropped, table), dropped };
}

/** `layers`, if there are any: a detector without layers would call every input equally normal. */
export function someLayers<T>(
  layers: readonly T[],
  dropped: readonly DroppedLayer[],
  table: FeatureTable,
): readonly T[] {
  if (layers.length > 0) return layers;
  const first = `'${dropped[0]!.name}': ${dropped[0]!.reason}`;
  throw new DataError(`${table.meta.data}: none of the ${dropped.length} layers can be fitted (${first}, …)`);
}

/** Sums `term(layer, f)` over the layers, for every row. */
export function scoreByLayer<T extends { readonly name: string }>(
  params: { readonly layers: readonly T[] },
  table: FeatureTable,
  term: (layer: T, f: number) => number,
): Float64Array {
  const columns = columnsOf(params.layers, table);
  const l = table.names.length;
  return Float64Array.from(table.nll, (_, i) => {
    let sum = 0;
    for (const [k, layer] of params.layers.entries()) sum += term(layer, table.sqNorms[i * l + columns[k]!]!);
    return sum;
  });
}

/** The table's column of each layer. */
export function columnsOf(layers: readonly { readonly name: string }[], table: FeatureTable): readonly number[] {
  const position = new Map(table.names.map((name, j) => [name, j]));
  return layers.map(({ name }) => {
    const j = position.get(name);
    if (j === undefined)
      throw new ModelError(`${table.meta.data}: has no layer '${name}', which the detector was fitted on`);
    return j;
  });
}
