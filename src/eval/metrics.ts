// Scores of in-distribution and of out-of-distribution inputs in (higher = more out of distribution); AUROC, average
// precision, false-positive rate and ROC curve out.

import { DataError } from '../errors.ts';

/** How many scores of each kind lie at each distinct value, ascending. All the metrics are functions of this. */
export interface Ranking {
  /** Distinct scores, ascending. */
  readonly values: Float64Array;
  /** Number of in-distribution scores at each value. */
  readonly inCounts: Uint32Array;
  /** Number of out-of-distribution scores at each value. */
  readonly oodCounts: Uint32Array;
  readonly nIn: number;
  readonly nOod: number;
}

/**
 * Sorts both lists of scores together. ±Infinity is allowed and ranks first and last (two equal infinities tie). Throws
 * a DataError for an empty list or a NaN.
 */
export function rank(inScores: ArrayLike<number>, oodScores: ArrayLike<number>): Ranking {
  const sortedIn = sorted(inScores, 'in-distribution');
  const sortedOod = sorted(oodScores, 'out-of-distribution');
  const values: number[] = [];
  const inCounts: number[] = [];
  const oodCounts: number[] = [];
  let i = 0;
  let j = 0;
  while (i < sortedIn.length || j < sortedOod.length) {
    const value = Math.min(sortedIn[i] ?? Infinity, sortedOod[j] ?? Infinity);
    const [startIn, startOod] = [i, j];
    while (i < sortedIn.length && sortedIn[i] === value) i++;
    while (j < sortedOod.length && sortedOod[j] === value) j++;
    values.push(value);
    inCounts.push(i - startIn);
    oodCounts.push(j - startOod);
  }
  return {
    values: Float64Array.from(values),
    inCounts: Uint32Array.from(inCounts),
    oodCounts: Uint32Array.from(oodCounts),
    nIn: sortedIn.length,
    nOod: sortedOod.length,
  };
}

function sorted(scores: ArrayLike<number>, what: string): Float64Array {
  if (scores.length === 0) throw new DataError(`there are no ${what} scores, expected at least 1`);
  for (let i = 0; i < scores.length; i++) {
    if (typeof scores[i] !== 'number' || Number.isNaN(scores[i])) {
      throw new DataError(`${what} score ${i} is ${scores[i]}, expected a number`);
    }
  }
  // -0 and 0 are one value to us but not to the sort of a Float64Array; adding 0 turns -0 into 0.
  return Float64Array.from(scores, (s) => s + 0).sort();
}

/**
 * P(ood score > in score) + ½ P(equal) over all pairs: the area under the ROC curve, exact, ties counted half.
 *
 * The paper takes in-distribution as the positive class and a score that is *low* when out of distribution, S = −score.
 * Then its AUROC is P(S_in > S_ood) + ½ P(equal), the same number as this one.
 */
export function auroc(inScores: ArrayLike<number>, oodScores: ArrayLike<number>): number {
  return aurocOf(rank(inScores, oodScores));
}

/** AUROC of ranked scores. */
export function aurocOf({ inCounts, oodCounts, nIn, nOod }: Omit<Ranking, 'values'>): number {
  let below = 0; // in-distribution scores under the present value
  let pairs = 0;
  for (let k = 0; k < inCounts.length; k++) {
    pairs += oodCounts[k]! * (below + inCounts[k]! / 2); // multiples of ½ below 2^52: exact
    below += inCounts[k]!;
  }
  return pairs / (nIn * nOod);
}

/**
 * Average precision with *in-distribution* as the positive class, as the paper's AUROC has it: inputs are accepted from
 * the lowest score up, and AP = Σ_k (R_k − R_{k−1}) P_k with recall R and precision P after each distinct score. Equal
 * scores are accepted together, so their order does not matter. A detector that knows nothing has nIn / (nIn + nOod).
 */
export function aupr(inScores: ArrayLike<number>, oodScores: ArrayLike<number>): number {
  return auprOf(rank(inScores, oodScores));
}

/** Average precision of ranked scores. */
export function auprOf({ inCounts, oodCounts, nIn }: Ranking): number {
  let acceptedIn = 0;
  let acceptedOod = 0;
  let sum = 0;
  for (let k = 0; k < inCounts.length; k++) {
    acceptedIn += inCounts[k]!;
    acceptedOod += oodCounts[k]!;
    sum += inCounts[k]! * (acceptedIn / (acceptedIn + acceptedOod));
  }
  return sum / nIn;
}

/**
 * The fraction of out-of-distribution inputs accepted when at least 95 % of the in-distribution ones are: those whose
 * score is at most t, the least in-distribution score with 95 % at or below it. Lower is better.
 */
export function fpr95(inScores: ArrayLike<number>, oodScores: ArrayLike<number>): number {
  return fpr95Of(rank(inScores, oodScores));
}

/** FPR95 of ranked scores. */
export function fpr95Of({ inCounts, oodCounts, nIn, nOod }: Ranking): number {
  let acceptedIn = 0;
  let acceptedOod = 0;
  for (let k = 0; k < inCounts.length; k++) {
    acceptedIn += inCounts[k]!;
    acceptedOod += oodCounts[k]!;
    if (acceptedIn * 100 >= nIn * 95) break; // in integers: 0.95 is no binary fraction
  }
  return acceptedOod / nOod;
}

/** A point of a ROC curve with in-distribution as the positive class. */
export interface RocPoint {
  /** Fraction of out-of-distribution inputs accepted. */
  readonly fpr: number;
  /** Fraction of in-distribution inputs accepted. */
  readonly tpr: number;
}

/**
 * The ROC curve from (0, 0) to (1, 1), acceptance growing with the score; straight lines between points (ties). At most
 * `limit` points (>= 2), spread evenly along the path fpr + tpr, so that steep and flat parts keep as many; for plots
 * only, the area is `auroc`.
 */
export function rocCurve(inScores: ArrayLike<number>, oodScores: ArrayLike<number>, limit = 200): RocPoint[] {
  const { inCounts, oodCounts, nIn, nOod } = rank(inScores, oodScores);
  const points: RocPoint[] = [{ fpr: 0, tpr: 0 }];
  let acceptedIn = 0;
  let acceptedOod = 0;
  for (let k = 0; k < inCounts.length; k++) {
    acceptedIn += inCounts[k]!;
    acceptedOod += oodCounts[k]!;
    points.push({ fpr: acceptedOod / nOod, tpr: acceptedIn / nIn });
  }
  if (points.length <= limit) return points;
  // One point for each of limit − 1 equal steps of the path, the first that reaches it; the last step ends at (1, 1).
  const kept: RocPoint[] = [points[0]!];
  for (const point of points.slice(1)) {
    const { fpr, tpr } = point;
    if (fpr + tpr >= (2 * kept.length) / (limit - 1) && kept.length < limit - 1) kept.push(point);
  }
  kept.push(points.at(-1)!);
  return kept;
}
