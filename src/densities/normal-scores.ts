// Scores of inputs that a view was not fitted on in; a scale on which any view's scores are standard normal for such
// inputs out.

import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import quantileOf from '@stdlib/stats-base-dists-normal-quantile';
import { DataError } from '../errors.ts';
import { quantile } from './quantile.ts';

/** An increasing map from scores to normal quantiles: a line between neighbouring knots, and beyond the outermost. */
export interface NormalScores {
  /** [m] scores, ascending, m ≥ 1. */
  readonly scores: readonly number[];
  /** [m] their quantiles. */
  readonly z: readonly number[];
  /** Below the first and above the last knot. */
  readonly slopes: readonly [low: number, high: number];
}

/** Shares of the calibration scores: where the lines begin, and where the points lie that they are laid through. */
const TAIL = { end: 0.01, start: 0.2 };
const KNOTS = 129;

/**
 * z(s) = Φ⁻¹(mean_i Φ((s − s_i) / h)), the normal quantile of a distribution function smoothed by Gaussian kernels of
 * width h = 0.9 min(sd, IQR / 1.34) m^(−1/5) (Silverman, "Density estimation for statistics and data analysis", 1986,
 * eq. 3.31), at 129 quantiles of the scores. Ranks would tie beyond the largest score, and what is far could not be
 * told from what is farther; a Gaussian kernel alone would make them explode. So the map goes on as a line from where
 * one in a hundred scores is left. Throws a DataError for fewer than two scores or one that is not finite.
 */
export function fitNormalScores(found: ArrayLike<number>): NormalScores {
  const given = ascending(found);
  const m = given.length;
  const width = widthOf(given);
  const smoothed = (s: number): number => {
    let below = 0;
    for (const one of given) below += Math.exp(logcdf((s - one) / width, 0, 1));
    return quantileOf(below / m, 0, 1);
  };
  const [end, start] = [Math.max(TAIL.end, 1 / m), Math.max(TAIL.start, 3 / m)];
  const scores: number[] = [];
  for (let k = 0; k < KNOTS; k++) {
    const s = quantile(given, end + ((1 - 2 * end) * k) / (KNOTS - 1));
    if (scores.length === 0 || s > scores.at(-1)!) scores.push(s);
  }
  const z = scores.map(smoothed);
  const slope = (outer: number, zOuter: number, inner: number) =>
    // Where scores repeat, so that there is no slope between the two, the kernel's own.
    outer === inner ? 1 / width : (zOuter - smoothed(inner)) / (outer - inner);
  return {
    scores,
    z,
    slopes: [
      slope(scores[0]!, z[0]!, quantile(given, start)),
      slope(scores.at(-1)!, z.at(-1)!, quantile(given, 1 - start)),
    ],
  };
}

/** Order statistics that are knots by themselves at the upper end. */
const RANKED = 32;

/**
 * The same by ranks alone, for what is to be a p-value: the i-th largest of m scores has the quantile of 1 − i / (m +
 * 1), so that one of m + 1 that are exchangeable is above the largest with the chance 1 / (m + 1), and so on. The
 * largest 32 are knots, and 129 quantiles between them and the one in a hundred at the other end; beyond the largest
 * the map goes on as the line through it and the one in five. Throws as `fitNormalScores`.
 */
export function fitRanks(found: ArrayLike<number>): NormalScores {
  const given = ascending(found);
  const m = given.length;
  const zAt = (place: number) => quantileOf((place + 1) / (m + 1), 0, 1);
  const first = Math.max(0, m - RANKED);
  const places = Array.from({ length: KNOTS }, (_, k) => {
    const from = Math.min(first, TAIL.end * (m - 1));
    return from + ((first - from) * k) / KNOTS;
  });
  for (let i = first; i < m; i++) places.push(i);
  const [scores, z]: [number[], number[]] = [[], []];
  for (const place of places.toReversed()) {
    const s = quantile(given, place / (m - 1));
    if (s === scores[0]) {
      z[0] = zAt(place); // of scores that repeat, all count as above
      continue;
    }
    scores.unshift(s);
    z.unshift(zAt(place));
  }
  const width = widthOf(given);
  const slope = (end: number, zEnd: number, place: number) => {
    const inner = quantile(given, place / (m - 1));
    return inner === end ? 1 / width : (zEnd - zAt(place)) / (end - inner);
  };
  const start = Math.max(TAIL.start, 3 / m) * (m - 1);
  return { scores, z, slopes: [slope(scores[0]!, z[0]!, start), slope(scores.at(-1)!, z.at(-1)!, m - 1 - start)] };
}

/**
 * No z is further out than this: where all calibration scores are the same, a line through them is as steep as rounding
 * makes it, and one input would outshout all others.
 */
const FURTHEST = 1000;

/** [n] z, within ±1000; NaN stays NaN. */
export function normalScores({ scores, z, slopes }: NormalScores, given: ArrayLike<number>): Float64Array {
  const last = scores.length - 1;
  const bounded = (v: number) => Math.min(FURTHEST, Math.max(-FURTHEST, v));
  return Float64Array.from(given, (s) => {
    if (Number.isNaN(s)) return s;
    if (s <= scores[0]!) return bounded(z[0]! + slopes[0] * (s - scores[0]!));
    if (s >= scores[last]!) return bounded(z[last]! + slopes[1] * (s - scores[last]!));
    let [low, high] = [0, last];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (scores[middle]! <= s) low = middle;
      else high = middle;
    }
    const share = (s - scores[low]!) / (scores[high]! - scores[low]!);
    return z[low]! + share * (z[high]! - z[low]!);
  });
}

/** −ln P(Z > z) of a standard normal Z: what surprises, in nats; about z²/2 for large z. */
export const surprise = (z: number): number => -logcdf(-z, 0, 1);

function ascending(found: ArrayLike<number>): Float64Array {
  const given = Float64Array.from(found).sort();
  if (given.length < 2) throw new DataError(`a distribution of ${given.length} scores, expected at least 2`);
  const odd = given.find((s) => !Number.isFinite(s));
  if (odd !== undefined) throw new DataError(`a calibration score is ${odd}, expected a finite number`);
  return given;
}

function widthOf(given: Float64Array): number {
  const m = given.length;
  const mean = given.reduce((sum, s) => sum + s, 0) / m;
  const sd = Math.sqrt(given.reduce((sum, s) => sum + (s - mean) ** 2, 0) / (m - 1));
  const iqr = quantile(given, 0.75) - quantile(given, 0.25);
  const spread = iqr > 0 ? Math.min(sd, iqr / 1.34) : sd;
  // All scores are equal: any width will do that is not lost in rounding.
  return spread > 0 ? 0.9 * spread * m ** -0.2 : Math.max(1e-9, 1e-9 * Math.abs(mean));
}
