// Several samples in; histograms over shared bins out.

import { quantile } from '../densities/quantile.ts';
import { DataError } from '../errors.ts';

/** Shares of several samples in the same bins. */
export interface Histogram {
  /** [bins + 1] ascending, evenly spaced. */
  readonly edges: Float64Array;
  /** [samples][bins] share of the sample in each bin; they sum to 1. */
  readonly shares: readonly Float64Array[];
  /** [samples] share of the sample that lies left of all bins, and right of them; it counts to the outer bins. */
  readonly outside: readonly { readonly below: number; readonly above: number }[];
}

/**
 * Histograms of all samples over the same `bins` bins, which span all finite values but the share `trim` of them at
 * either end (default 0.001); what lies outside, infinities included, counts to the outer bins. With `reach`, the bins
 * go no further than so many times the first sample's 90 % range beyond that range, so that a sample far away does not
 * squeeze it into one bin. A single value gets bins of total width 1 around it. Bin k holds edges[k] ≤ v < edges[k +
 * 1], the last one its right edge too. Throws a DataError for an empty sample, a NaN, or no finite value at all.
 */
export function histogram(
  samples: readonly ArrayLike<number>[],
  options: { readonly bins: number; readonly trim?: number; readonly reach?: number },
): Histogram {
  const { bins, trim = 0.001, reach } = options;
  for (const [k, sample] of samples.entries()) {
    if (sample.length === 0) throw new DataError(`histogram: sample ${k} is empty`);
    for (let i = 0; i < sample.length; i++) {
      if (Number.isNaN(sample[i]!)) throw new DataError(`histogram: value ${i} of sample ${k} is NaN`);
    }
  }
  const ascending = (s: ArrayLike<number>) => Float64Array.from(Array.from(s).filter(Number.isFinite)).sort();
  const finite = ascending(samples.flatMap((s) => Array.from(s)));
  if (finite.length === 0) throw new DataError('histogram: there is no finite value');
  let low = finite[Math.floor((finite.length - 1) * trim)]!;
  let high = finite[Math.ceil((finite.length - 1) * (1 - trim))]!;
  if (reach !== undefined) {
    const first = ascending(samples[0]!);
    const [from, to] = [quantile(first, 0.05), quantile(first, 0.95)];
    const most = reach * (to - from);
    if (most > 0) [low, high] = [Math.max(low, from - most), Math.min(high, to + most)];
  }
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
  const edges = Float64Array.from({ length: bins + 1 }, (_, k) => (k === bins ? high : low + k * width));
  const outside = samples.map((sample) => {
    const share = (lies: (v: number) => boolean) => Array.from(sample).filter(lies).length / sample.length;
    return { below: share((v) => v < low), above: share((v) => v > high) };
  });
  return { edges, shares, outside };
}
