// Ranked scores and a seed in; a confidence interval of the AUROC out.

import { quantile } from '../densities/quantile.ts';
import { UsageError } from '../errors.ts';
import { RandomStream } from '../tensor/random.ts';
import { aurocOf, type Ranking } from './metrics.ts';

/**
 * Of `aurocInterval`: the seed of the draws, how many there are (an integer from 1), the level of the interval (between
 * 0 and 1).
 */
export interface BootstrapOptions {
  readonly seed: number;
  /** Default 1000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
}

/** Ends of an interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Percentile interval of the AUROC by the stratified bootstrap (Efron and Tibshirani, "An introduction to the
 * bootstrap", 1993, ch. 13): in-distribution and out-of-distribution scores are each resampled with replacement, to
 * their own number.
 *
 * A resample never changes the order of the values, only how often each occurs; so it is drawn as counts on the
 * ranking, without sorting, in O(nIn + nOod). The randomness of resample r depends on (seed, r) alone. Throws a
 * UsageError for a number of resamples that is no integer from 1, or a level outside (0, 1).
 */
export function aurocInterval(ranking: Ranking, { seed, resamples = 1000, level = 0.95 }: BootstrapOptions): Interval {
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new UsageError(`number of resamples is ${resamples}, expected an integer >= 1`);
  }
  if (!(level > 0 && level < 1)) throw new UsageError(`confidence level is ${level}, expected between 0 and 1`);
  const { nIn, nOod } = ranking;
  const inSampler = new CountSampler(ranking.inCounts, nIn, new RandomStream(seed, 'bootstrap-in'));
  const oodSampler = new CountSampler(ranking.oodCounts, nOod, new RandomStream(seed, 'bootstrap-ood'));
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    values[r] = aurocOf({ inCounts: inSampler.draw(r), oodCounts: oodSampler.draw(r), nIn, nOod });
  }
  values.sort();
  return { low: quantile(values, (1 - level) / 2), high: quantile(values, (1 + level) / 2) };
}

/** Draws multinomial counts: n draws with replacement from n scores, counted by the distinct value they have. */
class CountSampler {
  readonly #valueOf: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #uniforms: Float64Array;
  readonly #stream: RandomStream;

  constructor(counts: Uint32Array, n: number, stream: RandomStream) {
    this.#valueOf = new Uint32Array(n); // [n] index of the distinct value of each score
    let at = 0;
    for (let k = 0; k < counts.length; k++) {
      this.#valueOf.fill(k, at, at + counts[k]!);
      at += counts[k]!;
    }
    this.#counts = new Uint32Array(counts.length);
    this.#uniforms = new Float64Array(n);
    this.#stream = stream;
  }

  /** The counts of resample r; valid until the next call. */
  draw(r: number): Uint32Array {
    const uniforms = this.#uniforms;
    const n = uniforms.length;
    this.#stream.uniform(r, uniforms);
    this.#counts.fill(0);
    // uniform() has 24 bits, so the chances of two scores differ by a relative n / 2^24 at most: nothing for n < 10^5.
    for (let i = 0; i < n; i++) this.#counts[this.#valueOf[Math.floor(uniforms[i]! * n)]!]!++;
    return this.#counts;
  }
}
