// Rows of numbers with one column for each feature: what densities are fitted on and what they score.

import { DataError } from '../errors.ts';

/** n rows of p features, row-major [n, p]. */
export interface Rows {
  readonly n: number;
  readonly p: number;
  readonly data: Float64Array;
}

/**
 * Rows over `data` [n, p]. Throws a DataError where its length is no multiple of p, or where there is no row or no
 * column.
 */
export function rowsOver(data: Float64Array, p: number): Rows {
  const n = data.length / p;
  if (p < 1 || n < 1 || !Number.isInteger(n)) {
    throw new DataError(`${data.length} numbers do not make rows of ${p} features, expected at least one row`);
  }
  return { n, p, data };
}

/** Row i, a view. */
export const rowOf = ({ p, data }: Rows, i: number): Float64Array => data.subarray(i * p, (i + 1) * p);

/** The rows of these indices, copied; an index may repeat. */
export function pick(rows: Rows, indices: ArrayLike<number>): Rows {
  const data = new Float64Array(indices.length * rows.p);
  for (let k = 0; k < indices.length; k++) data.set(rowOf(rows, indices[k]!), k * rows.p);
  return rowsOver(data, rows.p);
}

/**
 * Rows side by side: the columns of the first, then those of the second, and so on. Throws a DataError where their
 * numbers differ.
 */
export function beside(parts: readonly Rows[]): Rows {
  const { n } = parts[0]!;
  const p = parts.reduce((sum, part) => sum + part.p, 0);
  const data = new Float64Array(n * p);
  let column = 0;
  for (const part of parts) {
    if (part.n !== n) throw new DataError(`rows side by side: ${part.n} of them, expected ${n}`);
    for (let i = 0; i < n; i++) data.set(rowOf(part, i), i * p + column);
    column += part.p;
  }
  return { n, p, data };
}

/** The mean of each run of B consecutive rows, [⌊n / B⌋, p]; what does not fill a run at the end is left out. */
export function meansOf(rows: Rows, B: number): Rows {
  if (B === 1) return rows;
  const groups = Math.floor(rows.n / B);
  const data = new Float64Array(groups * rows.p);
  for (let g = 0; g < groups; g++) {
    for (let b = 0; b < B; b++) {
      const row = rowOf(rows, g * B + b);
      for (let j = 0; j < rows.p; j++) data[g * rows.p + j]! += row[j]! / B;
    }
  }
  return rowsOver(data, rows.p);
}

/** The means of the columns, [p]. */
export function columnMeans({ n, p, data }: Rows): Float64Array {
  const mean = new Float64Array(p);
  for (let i = 0; i < n; i++) for (let j = 0; j < p; j++) mean[j]! += data[i * p + j]! / n;
  return mean;
}

/** The covariance matrix of the columns [p, p], divided by n − 1. Throws a DataError for fewer than two rows. */
export function covariance(rows: Rows): Float64Array {
  const { n, p } = rows;
  if (n < 2) throw new DataError(`a covariance of ${n} row, expected at least 2`);
  const mean = columnMeans(rows);
  const sum = new Float64Array(p * p);
  const centred = new Float64Array(p);
  for (let i = 0; i < n; i++) {
    const row = rowOf(rows, i);
    for (let j = 0; j < p; j++) centred[j] = row[j]! - mean[j]!;
    for (let j = 0; j < p; j++) {
      const c = centred[j]! / (n - 1);
      for (let k = 0; k <= j; k++) sum[j * p + k]! += c * centred[k]!;
    }
  }
  for (let j = 0; j < p; j++) for (let k = j + 1; k < p; k++) sum[j * p + k] = sum[k * p + j]!;
  return sum;
}
