// One layer's squared norms in; scaled χ² and log-normal fitted to them, which fits better, and quantile plots out.

import gammainc from '@stdlib/math-base-special-gammainc';
import gammaincinv from '@stdlib/math-base-special-gammaincinv';
import gammaln from '@stdlib/math-base-special-gammaln';
import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import normalQuantile from '@stdlib/stats-base-dists-normal-quantile';
import { DataError } from '../errors.ts';

/** f / scale ~ χ² with `degrees` degrees of freedom, or log f ~ N(mean, sd²). */
export type Distribution =
  | { readonly family: 'chi2'; readonly degrees: number; readonly scale: number }
  | { readonly family: 'log-normal'; readonly mean: number; readonly sd: number };

/** A distribution and how well it describes the values it was fitted on. */
export interface ScoredFit {
  readonly distribution: Distribution;
  /** Σ_i log p(f_i), in nats; densities of f, not of its logarithm (which adds the same constant to all fits). */
  readonly logLikelihood: number;
  /** Akaike's criterion, 2 · fitted parameters − 2 log-likelihood; lower is better. */
  readonly aic: number;
  /**
   * Kolmogorov–Smirnov distance, sup |empirical − fitted cdf|. Its usual tables do not apply, since the fit has seen
   * the values (Lilliefors 1967).
   */
  readonly ks: number;
}

/** The distributions that `LayerFits` compares. */
export type FitName = 'chi2' | 'chi2-free' | 'log-normal';

/**
 * What the squared norms f of one layer are distributed like: three fits, and which has the lowest AIC (Akaike 1974).
 */
export interface LayerFits {
  /** Degrees of freedom dim θ_j, scale = mean / dim: the paper's claim, one fitted parameter. */
  readonly chi2: ScoredFit;
  /**
   * Degrees 2 mean² / variance and scale variance / (2 mean), from the moments: what dependent gradient entries would
   * look like.
   */
  readonly 'chi2-free': ScoredFit;
  /** Mean and unbiased standard deviation of log f: the detector's model. */
  readonly 'log-normal': ScoredFit;
  /** The one with the lowest AIC. */
  readonly best: FitName;
  /** Whichever of the paper's two, scaled χ² and log-normal, has the lower AIC. */
  readonly better: 'chi2' | 'log-normal';
}

/**
 * Fits all three to the squared norms of a layer of `dim` weights. Throws a DataError for fewer than two values, a
 * value that is not finite and positive, or values that are all equal.
 */
export function compareFits(values: ArrayLike<number>, dim: number): LayerFits {
  const ascending = Float64Array.from(values).sort();
  const n = ascending.length;
  const odd = ascending.find((f) => !(f > 0 && f < Infinity));
  if (odd !== undefined) throw new DataError(`distribution of norms: a squared norm is ${odd}, expected > 0`);
  if (n < 2 || ascending[0] === ascending[n - 1]) {
    throw new DataError(`distribution of norms: has ${n} values without spread, expected at least 2 different ones`);
  }
  const { mean, variance } = moments(ascending);
  const logs = moments(ascending.map(Math.log));
  const scored = (distribution: Distribution, parameters: number): ScoredFit => {
    const logLikelihood = ascending.reduce((sum, f) => sum + logDensity(distribution, f), 0);
    return {
      distribution,
      logLikelihood,
      aic: 2 * (parameters - logLikelihood),
      ks: ksDistance(ascending, distribution),
    };
  };
  const fits = {
    chi2: scored({ family: 'chi2', degrees: dim, scale: mean / dim }, 1),
    'chi2-free': scored({ family: 'chi2', degrees: (2 * mean * mean) / variance, scale: variance / (2 * mean) }, 2),
    'log-normal': scored({ family: 'log-normal', mean: logs.mean, sd: Math.sqrt(logs.variance) }, 2),
  };
  const names = Object.keys(fits) as FitName[];
  return {
    ...fits,
    best: names.reduce((a, b) => (fits[b].aic < fits[a].aic ? b : a)),
    better: fits.chi2.aic < fits['log-normal'].aic ? 'chi2' : 'log-normal',
  };
}

/** The share of norms ≤ f (0 to 1) under a distribution, for f ≥ 0. */
export function cdfOf(distribution: Distribution, f: number): number {
  if (distribution.family === 'log-normal') {
    return Math.exp(logcdf((Math.log(f) - distribution.mean) / distribution.sd, 0, 1));
  }
  return gammainc(f / distribution.scale / 2, distribution.degrees / 2); // regularised, lower
}

/** The f with cdf p, 0 < p < 1. */
export function quantileOf(distribution: Distribution, p: number): number {
  if (distribution.family === 'log-normal') {
    return Math.exp(distribution.mean + distribution.sd * normalQuantile(p, 0, 1));
  }
  return 2 * distribution.scale * gammaincinv(p, distribution.degrees / 2);
}

/** A point of a quantile plot: on the diagonal where the distribution is right. */
export interface QqPoint {
  readonly theoretical: number;
  readonly observed: number;
}

/** Some of n values, ascending: evenly spread over their ranks, both ends among them. */
export interface OrderStatistics {
  readonly n: number;
  readonly observed: readonly number[];
}

/** At most `limit` of the values. */
export function orderStatistics(values: ArrayLike<number>, limit = 200): OrderStatistics {
  const ascending = Float64Array.from(values).sort();
  const n = ascending.length;
  const count = Math.min(n, limit);
  return { n, observed: Array.from({ length: count }, (_, k) => ascending[rankOf(k, count, n)]!) };
}

const rankOf = (k: number, count: number, n: number) => (count === 1 ? 0 : Math.round((k * (n - 1)) / (count - 1)));

/** Observed order statistics against the distribution's quantiles at (i − ½)/n (Hazen's positions). */
export function qqPoints({ n, observed }: OrderStatistics, distribution: Distribution): QqPoint[] {
  return observed.map((value, k) => ({
    theoretical: quantileOf(distribution, (rankOf(k, observed.length, n) + 0.5) / n),
    observed: value,
  }));
}

function logDensity(distribution: Distribution, f: number): number {
  if (distribution.family === 'log-normal') {
    const z = (Math.log(f) - distribution.mean) / distribution.sd;
    return -0.5 * z * z - Math.log(distribution.sd) - 0.5 * Math.log(2 * Math.PI) - Math.log(f);
  }
  const half = distribution.degrees / 2;
  const u = f / distribution.scale;
  return (half - 1) * Math.log(u) - u / 2 - half * Math.LN2 - gammaln(half) - Math.log(distribution.scale);
}

function ksDistance(ascending: Float64Array, distribution: Distribution): number {
  const n = ascending.length;
  return ascending.reduce((most, f, i) => {
    const p = cdfOf(distribution, f);
    return Math.max(most, (i + 1) / n - p, p - i / n);
  }, 0);
}

/** Mean and unbiased variance. */
function moments(values: Float64Array): { readonly mean: number; readonly variance: number } {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v / n, 0);
  return { mean, variance: values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1) };
}
