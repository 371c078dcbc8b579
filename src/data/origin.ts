// Which examples of which source a data set holds: what is left the same by slices, selections, borders and resampling.

/** Consecutive examples start..end-1. */
export type Run = readonly [start: number, end: number];

/**
 * Where the examples of a data set come from. Two data sets with the same `fingerprint` here were made from the same
 * source, whatever was done to its examples since; those that both hold are told by `shared`.
 */
export interface Origin {
  /** Of the data set that a reader made, before any transform: see `Dataset.fingerprint`. */
  readonly fingerprint: string;
  /**
   * Indices in that data set of the examples, in their order, as runs of consecutive ones: one run for a slice of a
   * slice.
   */
  readonly runs: readonly Run[];
}

/** All of a source. */
export const wholeOf = (fingerprint: string, length: number): Origin => ({ fingerprint, runs: [[0, length]] });

/** Of the examples start..end-1 of a data set. */
export function sliceOf({ fingerprint, runs }: Origin, start: number, end: number): Origin {
  const kept: Run[] = [];
  let at = 0;
  for (const [first, last] of runs) {
    const from = Math.max(start, at);
    const to = Math.min(end, at + last - first);
    if (from < to) kept.push([first + from - at, first + to - at]);
    at += last - first;
  }
  return { fingerprint, runs: kept };
}

/** Of the examples of a data set at `indices`, in their order. */
export function pickOf(origin: Origin, indices: ArrayLike<number>): Origin {
  const runs: [start: number, end: number][] = [];
  const indexOf = indexIn(origin);
  for (let i = 0; i < indices.length; i++) {
    const index = indexOf(indices[i]!);
    const last = runs.at(-1);
    if (last?.[1] === index) last[1]++;
    else runs.push([index, index + 1]);
  }
  return { fingerprint: origin.fingerprint, runs };
}

/** A function from the index of an example in the data set to its index in the source, in O(log runs). */
export function indexIn({ runs }: Origin): (i: number) => number {
  const ends: number[] = []; // in the data set, of each run
  for (const [first, last] of runs) ends.push((ends.at(-1) ?? 0) + last - first);
  return (i) => {
    let [low, high] = [0, ends.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (i < ends[middle]!) high = middle;
      else low = middle + 1;
    }
    return runs[low]![1] - (ends[low]! - i);
  };
}

/** How many different examples of the source both hold; 0 for different sources. */
export function shared(a: Origin, b: Origin): number {
  if (a.fingerprint !== b.fingerprint) return 0;
  const [left, right] = [merged(a.runs), merged(b.runs)];
  let [i, j, count] = [0, 0, 0];
  while (i < left.length && j < right.length) {
    const [one, other] = [left[i]!, right[j]!];
    count += Math.max(0, Math.min(one[1], other[1]) - Math.max(one[0], other[0]));
    if (one[1] < other[1]) i++;
    else j++;
  }
  return count;
}

/** Of the examples that any of several sets of one source hold, ascending. */
export function unionOf(origins: readonly Origin[]): Origin {
  return { fingerprint: origins[0]!.fingerprint, runs: merged(origins.flatMap(({ runs }) => runs)) };
}

/** The same indices, ascending and once each, in as few runs as there can be. */
function merged(runs: readonly Run[]): readonly Run[] {
  const out: [start: number, end: number][] = [];
  for (const [start, end] of runs.toSorted((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else out.push([start, end]);
  }
  return out;
}
