// Squared norms in; scores under "log f_j is normal, layers independent" out: the paper's layer-wise norms, and
// Fisher's method on the same model.

import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import * as z from 'zod';
import { aList, checkArguments, objectWith, table as tableRule } from '../arguments.ts';
import { defined } from '../defined.ts';
import { DataError, ModelError } from '../errors.ts';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import type { Detector } from './detector.ts';

/** One layer's model: log f ~ N(mean, sd²). `sd` is the unbiased estimate, but not below `SMALLEST_SD`. */
export interface NormalLayer {
  readonly name: string;
  readonly mean: number;
  readonly sd: number;
  /** Squared norms below this count as this, see `floorOf`; left out: 2^-149. */
  readonly floor?: number;
}

/** A layer left out of the score, and why. */
export interface DroppedLayer {
  readonly name: string;
  readonly reason: string;
}

/**
 * What a fit of independent normals of log f_j leaves: mean and standard deviation for each layer, and the layers that
 * the score is without.
 */
export interface NormalParams {
  readonly layers: readonly NormalLayer[];
  readonly dropped: readonly DroppedLayer[];
}

const layerName = z.string().min(1);
export const droppedSchema = z.array(z.strictObject({ name: layerName, reason: z.string() }));
export const floorSchema = z.number().positive().optional();
/**
 * Logarithms of positive doubles lie between −745 and 710: no fit has a mean beyond, or a standard deviation above
 * their range.
 */
const MOST_LOG = 800;

/** Standard deviations of log f up to this are rounding: a relative error of 1e-6 is what float32 sums leave. */
const NO_SPREAD = 1e-6;
/**
 * Least scale of a layer that has any spread: half of all norms are off by up to 1e-5, which must not count as a
 * distance.
 */
const SMALLEST_SD = 1e-5;
const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

/** The keys of NormalParams, for detectors that have more. */
export const normalShape = {
  layers: z
    .array(
      z.strictObject({
        name: layerName,
        mean: z.number().min(-MOST_LOG).max(MOST_LOG),
        sd: z
          .number()
          .positive({ abort: true })
          .min(NO_SPREAD)
          .max(2 * MOST_LOG),
        floor: floorSchema,
      }),
    )
    .min(1) as z.ZodType<readonly NormalLayer[]>,
  dropped: droppedSchema,
};
const normalSchema = z.strictObject(normalShape);

/**
 * The paper's score: S(x) = −Σ_j log N(log f_j(x); μ_j, σ_j²), in nats.
 * Layers whose norm is zero in most of the fit set, or has no spread there, are dropped and listed.
 */
export const layerNorms: Detector<NormalParams> = {
  name: 'layer-norms',
  about: 'negative log-density of the log squared gradient norms, normal and independent per layer',
  needsDims: false,
  params: normalSchema,
  fit: fitNormal,
  score: (params, table) =>
    scoreByLayer(params, table, ({ mean, sd, floor }, f) => {
      const z = (logSqNorm(f, floor) - mean) / sd;
      return z * z * 0.5 + Math.log(sd) + HALF_LOG_2PI;
    }),
};

/**
 * Fisher's method (R. A. Fisher 1925): −2 Σ_j log p_j with p_j = 2 Φ(−|z_j|), the two-sided p-value of log f_j under
 * its normal. Computed with log Φ, since p itself underflows from |z| = 38 on.
 */
export const fisher: Detector<NormalParams> = {
  name: 'fisher',
  about: "Fisher's method on two-sided p-values of the log squared gradient norms",
  needsDims: false,
  params: normalSchema,
  fit: fitNormal,
  score: (params, table) =>
    scoreByLayer(
      params,
      table,
      ({ mean, sd, floor }, f) => -2 * (Math.LN2 + logcdf(-Math.abs((logSqNorm(f, floor) - mean) / sd), 0, 1)),
    ),
};

/** Which layers make a row surprising. */
export interface Explanation {
  /** The K layers the detector uses: those of the table without the dropped ones. */
  readonly names: readonly string[];
  /** [n, K] row-major: (log f_j − μ_j) / σ_j. The layer's share of the score is z²/2 plus a constant of the layer. */
  readonly zScores: Float64Array;
}

/**
 * The z-score of every layer of every row; NaN for a norm that is NaN. Throws a ModelError for a table of other layers
 * and a DataError for a z-score that is beyond all numbers.
 */
export function explain(params: NormalParams, table: FeatureTable): Explanation {
  checkArguments(
    'explain',
    { params, table },
    { params: objectWith({ layers: aList }, 'the parameters of layer-norms'), table: tableRule },
  );
  const { layers } = params;
  const columns = columnsOf(layers, table);
  const n = rowsOf(table);
  const l = table.names.length;
  const zScores = new Float64Array(n * layers.length);
  for (let i = 0; i < n; i++) {
    for (const [k, { name, mean, sd, floor }] of layers.entries()) {
      const f = table.sqNorms[i * l + columns[k]!]!;
      const z = (logSqNorm(f, floor) - mean) / sd;
      if (!Number.isFinite(z) && !Number.isNaN(f)) {
        const place = `${table.meta.data}: row ${i}, layer '${name}'`;
        throw new DataError(
          `${place}: a squared norm of ${f} has no distance from a mean of ${mean} in units of ${sd}`,
        );
      }
      zScores[i * layers.length + k] = z;
    }
  }
  return { names: layers.map(({ name }) => name), zScores };
}

/** The smallest positive float32. */
const SMALLEST_SQ_NORM = 2 ** -149;

/**
 * log f, where f below `floor` counts as `floor`. Without one the floor is 2^-149, the smallest number in float32, in
 * which a model computes: so a zero norm is as surprising as the smallest that could have been measured. That is tens
 * to hundreds of standard deviations for any layer that is not dead, yet finite, so rows with zeros still rank among
 * themselves and scores survive JSON, which has no Infinity.
 */
export function logSqNorm(f: number, floor = SMALLEST_SQ_NORM): number {
  return Math.log(Math.max(f, floor));
}

/** Norms that are this much smaller than any of the fit set are all the same to a detector. */
const FAR_BELOW = 2 ** -100;

/**
 * What smaller norms of a layer count as, from its norms in the fit set. Where a zero is among them (a black image
 * leaves the first layer without a gradient) it is nothing unheard of, and counts as the least of the others. Where
 * none is, a zero must stay surprising: 2^-149, or far below the least where that is smaller itself. Undefined stands
 * for 2^-149.
 */
export function floorOf(norms: readonly number[]): number | undefined {
  const least = norms.reduce((low, f) => (f > 0 && f < low ? f : low), Infinity);
  if (least === Infinity) return undefined;
  if (norms.includes(0)) return least;
  const far = least * FAR_BELOW;
  return far < SMALLEST_SQ_NORM ? Math.max(far, Number.MIN_VALUE) : undefined;
}

/** Why a layer whose norm is zero in `zeros` of n fit groups cannot be used; undefined where it can. */
export function tooManyZeros(zeros: number, n: number): string | undefined {
  return zeros > n / 2 ? `squared norm is 0 in ${zeros === n ? 'all' : zeros} of ${n} fit groups` : undefined;
}

/** The normal of every layer's log norm; the layers, and `like`, as `Detector.fit` has them. */
export function fitNormal(table: FeatureTable, like?: NormalParams): NormalParams {
  const n = rowsOf(table);
  if (n < 2) throw new DataError(`${table.meta.data}: has ${n} group, a standard deviation needs at least 2`);
  const estimate = (norms: readonly number[], floor: number | undefined): { mean: number; sd: number } => {
    const logs = norms.map((f) => logSqNorm(f, floor));
    const mean = logs.reduce((sum, log) => sum + log, 0) / n;
    return { mean, sd: Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (n - 1)) };
  };

  if (like !== undefined) {
    const columns = columnsOf(like.layers, table);
    const layers = like.layers.map((layer, k) => {
      const { mean, sd } = estimate(normsOf(table, columns[k]!), layer.floor);
      return sd > NO_SPREAD ? { ...layer, mean, sd: Math.max(sd, SMALLEST_SD) } : layer;
    });
    return { layers, dropped: like.dropped };
  }

  const layers: NormalLayer[] = [];
  const dropped: DroppedLayer[] = [];
  for (const [j, name] of table.names.entries()) {
    const norms = normsOf(table, j);
    const floor = floorOf(norms);
    const { mean, sd } = estimate(norms, floor);
    const dead = tooManyZeros(norms.filter((f) => f === 0).length, n);
    if (dead !== undefined) dropped.push({ name, reason: dead });
    else if (!(sd > NO_SPREAD))
      dropped.push({ name, reason: `log squared norm is constant (standard deviation ${sd})` });
    else layers.push({ name, mean, sd: Math.max(sd, SMALLEST_SD), ...defined({ floor }) });
  }
  return { layers: someLayers(layers, dropped, table), dropped };
}

/** [n] a layer's squared norms. */
export function normsOf({ nll, names, sqNorms }: FeatureTable, j: number): number[] {
  return Array.from(nll, (_, i) => sqNorms[i * names.length + j]!);
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
