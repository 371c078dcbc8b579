// Several samples in; histograms over shared bins out.

import { DataError } from '../errors.ts';

export interface Histogram {
  /** [bins + 1] ascending, evenly spaced. */
  readonly edges: Float64Array;
  /** [samples][bins] share of the sample in each bin; they sum to 1. */
  readonly shares: readonly Float64Array[];
}

/**
 * Histograms of all samples over the same `bins` bins, which span all finite values but the share `trim` of them at either end
 * (default 0.001); what lies outside, infinities included, counts to the outer bins. A single value gets bins of total width 1
 * around it. Bin k holds edges[k] ≤ v < edges[k + 1], the last one its right edge too.
 * Throws a DataError for an empty sample, a NaN, or no finite value at all.
 */
export function histogram(
  samples: readonly ArrayLike<number>[],
  options: { readonly bins: number; readonly trim?: number },
): Histogram {
  const { bins, trim = 0.001 } = options;
  for (const [k, sample] of samples.entries()) {
    if (sample.length === 0) throw new DataError(`histogram: sample ${k} is empty`);
    for (let i = 0; i < sample.length; i++) {
      if (Number.isNaN(sample[i]!)) throw new DataError(`histogram: value ${i} of sample ${k} is NaN`);
    }
  }
  const finite = Float64Array.from(samples.flatMap((s) => Array.from(s).filter(Number.isFinite))).sort();
  if (finite.length === 0) throw new DataError('histogram: there is no finite value');
  let low = finite[Math.floor((finite.length - 1) * trim)]!;
  let high = finite[Math.ceil((finite.length - 1) * (1 - trim))]!;
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const width = (high - low) / bins;
  const shares = samples.map((sample) => {
    const counts = new Float64Array(bins);
    for (let i = 0; i < sample.length; i++) {
      const bin = Math.floor((sample[i]! - low) / width);
      counts[Math.min(bins - 1, Math.max(0, bin))]!++;
    }
    return counts.map((c) => c / sample.length);
  });
  return { edges: Float64Array.from({ length: bins + 1 }, (_, k) => (k === bins ? high : low + k * width)), shares };
}

/** The p-quantile of an ascending list, linear between order statistics (type 7 of Hyndman and Fan 1996). */
export function quantile(ascending: ArrayLike<number>, p: number): number {
  const at = (ascending.length - 1) * p;
  const below = ascending[Math.floor(at)]!;
  return below + (at - Math.floor(at)) * (ascending[Math.ceil(at)]! - below);
}
