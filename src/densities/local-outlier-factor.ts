// Features in; by how much a point's surroundings are emptier than those of its nearest fit rows out.

import { DataError } from '../errors.ts';
import { type Rows, rowOf } from './rows.ts';

/** Fit rows with what scoring needs of them. */
export interface LocalOutlierFactor {
  readonly rows: Rows;
  /** Neighbours, k; less than the number of rows. */
  readonly neighbours: number;
  /** [n] distance of each row to its k-th nearest other row. */
  readonly reach: Float64Array;
  /** [n] local reachability density of each row. */
  readonly density: Float64Array;
}

/** Added to a mean reachability distance, so that rows that repeat have a density: scikit-learn's. */
const LEAST = 1e-10;

/**
 * Local outlier factors of new points (Breunig, Kriegel, Ng & Sander, "LOF: identifying density-based local outliers",
 * 2000), by Euclidean distance. n² p additions and multiplications. Throws a DataError unless 1 <= k < n.
 */
export function fitLocalOutlierFactor(rows: Rows, neighbours: number): LocalOutlierFactor {
  const { n } = rows;
  if (!(Number.isInteger(neighbours) && neighbours >= 1 && neighbours < n)) {
    throw new DataError(`${neighbours} neighbours among ${n} rows, expected 1 to ${n - 1}`);
  }
  const near = Array.from({ length: n }, (_, i) => nearest(rows, rowOf(rows, i), neighbours, i));
  const reach = Float64Array.from(near, ({ distance }) => distance.at(-1)!);
  const density = Float64Array.from(near, (of) => densityOf(of, reach));
  return { rows, neighbours, reach, density };
}

/** [n] factors: about 1 among the fit rows, larger where there are fewer neighbours than they have. */
export function localOutlierFactors(fit: LocalOutlierFactor, points: Rows): Float64Array {
  return Float64Array.from({ length: points.n }, (_, i) => {
    const near = nearest(fit.rows, rowOf(points, i), fit.neighbours);
    const around = near.index.reduce((sum, k) => sum + fit.density[k]!, 0) / fit.neighbours;
    return around / densityOf(near, fit.reach);
  });
}

interface Near {
  readonly index: readonly number[];
  readonly distance: readonly number[];
}

/** One over the mean of max(distance to the neighbour, the neighbour's own reach). */
function densityOf({ index, distance }: Near, reach: Float64Array): number {
  const sum = index.reduce((total, k, i) => total + Math.max(distance[i]!, reach[k]!), 0);
  return 1 / (sum / index.length + LEAST);
}

/** The nearest rows, nearest first; of equally near ones the earlier first. `without`: a row that does not count. */
export function nearest(rows: Rows, point: Float64Array, count: number, without = -1): Near {
  const index: number[] = [];
  const squares: number[] = [];
  for (let i = 0; i < rows.n; i++) {
    if (i === without) continue;
    const limit = index.length < count ? Infinity : squares[count - 1]!;
    const square = sqDistance(rowOf(rows, i), point, limit);
    if (!(square < limit)) continue;
    let at = index.length < count ? index.length : count - 1;
    for (; at > 0 && squares[at - 1]! > square; at--) {
      squares[at] = squares[at - 1]!;
      index[at] = index[at - 1]!;
    }
    squares[at] = square;
    index[at] = i;
  }
  return { index, distance: squares.map(Math.sqrt) };
}

/** Stops early, with what it has, once that is no less than the limit. */
function sqDistance(a: Float64Array, b: Float64Array, limit: number): number {
  let sum = 0;
  for (let j = 0; j < a.length; ) {
    for (const end = Math.min(a.length, j + 32); j < end; j++) sum += (a[j]! - b[j]!) ** 2;
    if (sum >= limit) return sum;
  }
  return sum;
}
