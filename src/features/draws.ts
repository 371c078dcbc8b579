// Several draws of a model's random inputs for every example: how a run is divided among them, and what their results
// come to together.

import type { TensorData } from '../engine/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { View } from './table-head.ts';

/** How the examples of runs share a batch with the other draws of their noise. */
export interface Division {
  /** Draws in one run; divides their number. */
  readonly together: number;
  /** Examples of a run at most: whole groups. */
  readonly most: number;
}

/** As many draws in a run of `batch` rows as leave room for a group. */
export function dividedBatch(batch: number, group: number, draws: number): Division {
  let together = 1;
  for (let d = 2; d <= draws; d++) if (draws % d === 0 && d * group <= batch) together = d;
  return { together, most: Math.floor(batch / (together * group)) * group };
}

/** What was measured of m groups: [m], and [m, L] or [m, columns], row-major. */
export interface Measured {
  readonly nll: Float64Array;
  readonly sqNorms: Float64Array;
  readonly views: Readonly<Partial<Record<View, Float64Array>>>;
}

/** Of tensors that have the rows of `of` draws one after another, those of draw k. */
export function drawOf<T extends { readonly data: TensorData['data']; readonly shape: Shape }>(
  all: Readonly<Record<string, T>>,
  k: number,
  of: number,
): Readonly<Record<string, T>> {
  if (of === 1) return all;
  return Object.fromEntries(
    Object.entries(all).map(([name, { data, shape, ...rest }]) => {
      const size = data.length / of;
      const own = data.subarray(k * size, (k + 1) * size);
      return [name, { ...rest, data: own, shape: [shape[0]! / of, ...shape.slice(1)] } as unknown as T];
    }),
  );
}

/**
 * Means over draws: of squared norms, in either metric, those of their logarithms, hence geometric ones; of everything
 * else plain ones. A squared norm that is 0 in any draw has the logarithm −∞ there, and so is 0. NaN stays NaN. One
 * draw is itself, to the bit.
 */
export function meanOverDraws(draws: readonly Measured[]): Measured {
  const [first] = draws as readonly [Measured, ...Measured[]];
  if (draws.length === 1) return first;
  const mean = (of: (one: Measured) => Float64Array) => averaged(draws.map(of));
  const logMean = (of: (one: Measured) => Float64Array) =>
    averaged(draws.map((one) => of(one).map(Math.log))).map(Math.exp);
  return {
    nll: mean(({ nll }) => nll),
    sqNorms: logMean(({ sqNorms }) => sqNorms),
    views: Object.fromEntries(
      (Object.keys(first.views) as View[]).map((view) => {
        const values = ({ views }: Measured) => views[view]!;
        return [view, view === 'fisher' ? logMean(values) : mean(values)];
      }),
    ),
  };
}

const averaged = (all: readonly Float64Array[]): Float64Array =>
  all[0]!.map((_, i) => all.reduce((sum, values) => sum + values[i]!, 0) / all.length);
