// A fit set and a detector in; scores of examples the detector has not seen, and the p-values and verdicts they
// support, out.

import { checkArguments, numbers, objectWith, wholeFrom } from '../arguments.ts';
import { DataError, UsageError } from '../errors.ts';
import { type FeatureTable, pickRows, rowsOf } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import type { Detector } from './detector.ts';

/** Parts of the cross-fit, and so the fewest groups a fit set may have (the folds' complements then have 4). */
export const FOLDS = 5;

/**
 * Scores of the fit groups, each by a fit that did not see it: the groups are dealt at random into five folds, and each
 * fold is scored by a fit on the other four. Ascending, [n].
 *
 * The final detector is fitted on all groups, as in the paper, so scoring the fit set with it would be flattery, and
 * holding a part back would waste data. The cross-fit scores are honest, if anything a little too high, as their fits
 * saw a fifth less: p-values err on the safe side. Throws a DataError for fewer than five groups.
 */
export function calibrate<P extends object>(
  detector: Detector<P>,
  params: P,
  table: FeatureTable,
  seed: number,
): number[] {
  const n = rowsOf(table);
  if (n < FOLDS) {
    throw new DataError(`${table.meta.data}: has ${n} groups of ${table.group} to fit on, expected at least ${FOLDS}`);
  }
  // Random folds: file order may be sorted by class or by source.
  const order = new RandomStream(seed, 'calibration').permutation(table.group, n);
  const scores: number[] = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const heldOut = order.filter((_, k) => k % FOLDS === fold);
    const others = order.filter((_, k) => k % FOLDS !== fold);
    const fitted = detector.fit(pickRows(table, others), params);
    for (const score of detector.score(fitted, pickRows(table, heldOut))) scores.push(score);
  }
  return scores.sort((a, b) => a - b);
}

/**
 * Conformal p-values: p(s) = (1 + #{calibration scores ≥ s}) / (n + 1). For an exchangeable in-distribution input, P(p
 * ≤ α) ≤ α. (Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", 2005.) `calibration` is ascending. A
 * score that is NaN has no rank, and NaN for its p-value.
 */
export function pValues(calibration: readonly number[], scores: ArrayLike<number>): Float64Array {
  const n = calibration.length;
  return Float64Array.from(scores, (s) => (Number.isNaN(s) ? s : (1 + n - countBelow(calibration, s)) / (n + 1)));
}

/**
 * The score above which an input is called out of distribution at false-positive rate `alpha`: score > threshold
 * exactly when p ≤ alpha. Throws a UsageError for a rate outside (0, 1) or too small for n calibration scores (below 1
 * / (n + 1)).
 */
export function threshold(calibration: readonly number[], alpha: number): number {
  checkArguments('threshold', { calibration }, { calibration: numbers });
  const n = calibration.length;
  checkRate(n, alpha);
  // then down to the largest count whose p is <= alpha, rounding aside
  let above = Math.min(n, Math.floor(alpha * (n + 1)));
  while ((1 + above) / (n + 1) > alpha) above--;
  return calibration[n - 1 - above]!; // above < n, because alpha < 1
}

/**
 * The verdicts at false-positive rate `alpha`: out of distribution where p ≤ alpha. Errors as `threshold`, and a
 * DataError for a p-value that is NaN: about an input whose features are not finite there is nothing to say, neither in
 * nor out (leave it out by `finiteRows`).
 */
export function verdicts(
  scored: { readonly pValues: Float64Array; readonly calibrationSize: number },
  alpha: number,
): boolean[] {
  const rules = { pValues: numbers, calibrationSize: wholeFrom(1) };
  checkArguments(
    'verdicts',
    { scored },
    { scored: objectWith(rules, '{ pValues, calibrationSize }, as scoreTable gives it') },
  );
  checkRate(scored.calibrationSize, alpha);
  const odd = scored.pValues.findIndex((p) => !(p >= 0 && p <= 1));
  if (odd >= 0) {
    const p = scored.pValues[odd];
    throw new DataError(
      `row ${odd} has the p-value ${p}, expected 0 to 1: leave out rows whose features are not finite`,
    );
  }
  return Array.from(scored.pValues, (p) => p <= alpha);
}

function checkRate(n: number, alpha: number): void {
  if (!(alpha > 0 && alpha < 1)) throw new UsageError(`false-positive rate is ${alpha}, expected between 0 and 1`);
  if (1 / (n + 1) > alpha) {
    const needed = Math.ceil(1 / alpha - 1e-9) - 1;
    throw new UsageError(
      `a false-positive rate of ${alpha} needs at least ${needed} fit groups, the detector has ${n}`,
    );
  }
}

/** Number of entries of the ascending list that are < s. */
function countBelow(ascending: readonly number[], s: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < s) low = middle + 1;
    else high = middle;
  }
  return low;
}
