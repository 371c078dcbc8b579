// What a detector is: fitted on one feature table, it gives every row of another a score, higher = more out of
// distribution.

import type * as z from 'zod';
import { UsageError } from '../errors.ts';
import type { FeatureTable } from '../features/table.ts';
import type { View } from '../features/table-head.ts';

/** `P` is what fitting leaves: plain JSON, checked by `params` when it comes back from a file. */
export interface Detector<P extends object> {
  /** In files and results. */
  readonly name: string;
  /** One line for help texts and reports. */
  readonly about: string;
  /** Whether tables without `dims` are refused. */
  readonly needsDims: boolean;
  /** What it reads of tables beside nll and norms; left out: nothing. It is fitted where all of these are there. */
  readonly views?: readonly View[];
  readonly params: z.ZodType<P>;
  /**
   * Fits on all rows. With `like` (a fit on more rows, of which these are part) exactly the layers of `like` are used,
   * and one that cannot be fitted on these rows alone keeps the values of `like`: so that held-out scores are sums over
   * the same layers as the final ones. Throws a DataError when there is nothing to fit on.
   */
  fit(table: FeatureTable, like?: P): P;
  /** [n] scores. A table that is checked and of the model fitted on gives no NaN. */
  score(params: P, table: FeatureTable): Float64Array;
}

/**
 * A detector of your own, to be given to `fitDetectors`, `parseDetector` (or `readDetector`) and `scoreTable` beside or
 * in place of ours. Left out, `needsDims` is false. Throws a UsageError for a name that is not made of small letters,
 * digits and dashes.
 */
export function defineDetector<P extends object>(
  detector: Omit<Detector<P>, 'needsDims'> & { readonly needsDims?: boolean },
): Detector<P> {
  if (!/^[a-z][a-z0-9-]*$/.test(detector.name)) {
    throw new UsageError(`a detector is named '${detector.name}', expected small letters, digits and dashes`);
  }
  return { needsDims: false, ...detector };
}
