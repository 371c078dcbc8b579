// Squared norms and layer sizes in; scores under "f_j / α_j is χ² with dim θ_j degrees of freedom" out.

import gammaln from '@stdlib/math-base-special-gammaln';
import * as z from 'zod';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import type { Detector } from './detector.ts';
import {
  columnsOf,
  type DroppedLayer,
  droppedSchema,
  floorOf,
  floorSchema,
  logSqNorm,
  normsOf,
  scoreByLayer,
  someLayers,
  tooManyZeros,
} from './normal.ts';

/** One layer's model: if s_j ~ N(0, αI) then f / α is χ² with k = dim θ_j degrees of freedom. */
export interface Chi2Layer {
  readonly name: string;
  /** k */
  readonly dim: number;
  /** α: the mean of f over the fit groups, divided by k. */
  readonly scale: number;
  /** As of a NormalLayer. */
  readonly floor?: number;
}

/** What a fit of `chi2` leaves: a scaled χ² for each layer's squared norm, and the layers that the score is without. */
export interface Chi2Params {
  readonly layers: readonly Chi2Layer[];
  /** Layers whose squared norm is 0 in most fit groups. */
  readonly dropped: readonly DroppedLayer[];
}

/**
 * −Σ_j of the log-density of log f_j. The density of the logarithm, not of f_j: otherwise small layers (k ≤ 2) would
 * call a vanishing gradient the most normal of all. With u = f/α ~ χ²_k, the density of log f is u · χ²_k(u), so its
 * logarithm is
 *
 *     (k/2) log u − u/2 − (k/2) log 2 − log Γ(k/2)
 */
export const chi2: Detector<Chi2Params> = {
  name: 'chi2',
  about: 'negative log-density of the log squared gradient norms, scaled χ² per layer',
  needsDims: true,
  params: z.strictObject({
    layers: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          dim: z.int().min(1),
          scale: z.number().positive(),
          floor: floorSchema,
        }),
      )
      .min(1) as z.ZodType<readonly Chi2Layer[]>,
    dropped: droppedSchema,
  }),
  fit,
  score: (params, table) => {
    const constants = new Map(
      params.layers.map(({ name, dim }) => [name, (dim / 2) * Math.LN2 + gammaln(dim / 2)] as const),
    );
    return scoreByLayer(params, table, ({ name, dim, scale, floor }, f) => {
      const logU = logSqNorm(f, floor) - Math.log(scale);
      return Math.max(f, floor ?? 0) / scale / 2 - (dim / 2) * logU + constants.get(name)!;
    });
  },
};

function fit(table: FeatureTable, like?: Chi2Params): Chi2Params {
  const { dims, names } = table;
  if (dims === undefined) {
    throw new DataError(`${table.meta.data}: the table has no dims (sizes of the layers), which chi2 needs`);
  }
  const n = rowsOf(table);
  const scaleOf = (j: number): number => {
    let mean = 0; // running mean: a sum of large norms could overflow
    for (const [i, f] of normsOf(table, j).entries()) mean += (f - mean) / (i + 1);
    return mean / dims[j]!;
  };

  if (like !== undefined) {
    const columns = columnsOf(like.layers, table);
    const layers = like.layers.map((layer, k) => {
      const scale = scaleOf(columns[k]!);
      return scale > 0 ? { ...layer, scale } : layer;
    });
    return { layers, dropped: like.dropped };
  }

  const layers: Chi2Layer[] = [];
  const dropped: DroppedLayer[] = [];
  for (const [j, name] of names.entries()) {
    const norms = normsOf(table, j);
    const dead = tooManyZeros(norms.filter((f) => f === 0).length, n);
    const floor = floorOf(norms);
    const scale = scaleOf(j);
    if (dead !== undefined) dropped.push({ name, reason: dead });
    else if (scale === 0) dropped.push({ name, reason: `the mean squared norm is too small to divide by ${dims[j]}` });
    else layers.push({ name, dim: dims[j]!, scale, ...defined({ floor }) });
  }
  return { layers: someLayers(layers, dropped, table), dropped };
}
