// The negative log-likelihood or the total norm in; the scores of the detectors that look at one number out.

import * as z from 'zod';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import type { Detector } from './detector.ts';

/** Nothing to fit. */
export type NoParams = Readonly<Record<string, never>>;

/** What a fit of `typicality` leaves. (Nalisnick et al. 2019) */
export interface TypicalityParams {
  /** Mean nll of the fit groups: an estimate of B times the model's entropy, in nats. */
  readonly meanNll: number;
}

const noParams: z.ZodType<NoParams> = z.strictObject({}) as z.ZodType<NoParams>;

/** Score = nll: the less likely, the more out of distribution. */
export const likelihood: Detector<NoParams> = {
  name: 'likelihood',
  about: 'negative log-likelihood',
  needsDims: false,
  params: noParams,
  fit: () => ({}),
  score: (_, table) => Float64Array.from(table.nll),
};

/**
 * Score = |nll − mean nll of the fit groups|. (Nalisnick et al. 2019, "Detecting out-of-distribution inputs …
 * typicality")
 */
export const typicality: Detector<TypicalityParams> = {
  name: 'typicality',
  about: 'distance of the negative log-likelihood from its mean over the fit set',
  needsDims: false,
  params: z.strictObject({ meanNll: z.number() }),
  fit: (table) => ({ meanNll: table.nll.reduce((sum, nll) => sum + nll, 0) / rowsOf(table) }),
  score: ({ meanNll }, table) => table.nll.map((nll) => Math.abs(nll - meanNll)),
};

/**
 * Score = Σ_j f_j, the squared norm of the whole gradient. Layers of large scale drown the others; that is its point.
 */
export const totalNorm: Detector<NoParams> = {
  name: 'total-norm',
  about: 'squared norm of the gradient over all parameters',
  needsDims: false,
  params: noParams,
  fit: () => ({}),
  score: (_, table) => totals(table),
};

function totals({ nll, names, sqNorms }: FeatureTable): Float64Array {
  const l = names.length;
  return Float64Array.from(nll, (_, i) => {
    let sum = 0;
    for (let j = 0; j < l; j++) sum += sqNorms[i * l + j]!;
    return sum;
  });
}
