// A data set in; its examples in batches that all have the size of the runs they are for out.

import type { Batch, Dataset, Range } from '../data/dataset.ts';

/** The examples of one run. */
export interface Run {
  /**
   * `size` examples. The last of the data set fills up what is left of the last batch: what comes out for it is not to
   * be used.
   */
  readonly batch: Batch;
  /** Examples that are no filling. */
  readonly count: number;
  /** [size] where each stands in the data set. */
  readonly indices: readonly number[];
}

/** The examples of `range` in runs of `size`. */
export async function* inRuns(data: Dataset, size: number, range?: Range): AsyncIterable<Run> {
  for await (const batch of data.batches(size, range)) {
    const indices = Array.from({ length: size }, (_, i) => batch.start + Math.min(i, batch.n - 1));
    yield { batch: filled(batch, size), count: batch.n, indices };
  }
}

/** The batch with its last example repeated up to `size`. */
function filled(batch: Batch, size: number): Batch {
  if (batch.n === size) return batch;
  const arrays = Object.entries(batch.arrays).map(([name, { data, shape }]) => {
    const stride = data.length / batch.n;
    const make = data.constructor as new (length: number) => typeof data;
    const grown = new make(size * stride);
    grown.set(data as never);
    for (let i = batch.n; i < size; i++) grown.copyWithin(i * stride, (batch.n - 1) * stride, batch.n * stride);
    return [name, { data: grown, shape: [size, ...shape.slice(1)] }] as const;
  });
  return { ...batch, n: size, arrays: Object.fromEntries(arrays) };
}
