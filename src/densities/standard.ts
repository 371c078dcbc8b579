// Features in; the same in units of their spread over the fit rows out.

import { DataError } from '../errors.ts';
import { columnMeans, type Rows, rowOf, rowsOver } from './rows.ts';

/** Mean and standard deviation of the columns that vary. */
export interface Standard {
  /** Number of columns of the rows it was fitted on. */
  readonly p: number;
  /** The q columns that vary, ascending. */
  readonly columns: readonly number[];
  /** [q] */
  readonly mean: readonly number[];
  /** [q], divided by n − 1 */
  readonly sd: readonly number[];
}

/** A column that varies by less than this share of its mean is rounding. */
const NO_SPREAD = 1e-9;
/** Standardised features count as no further than this: one that was nearly constant must not outshout all others. */
const FURTHEST = 1000;

/** Whether any column varies; of fewer than two rows none does. */
export const varies = (rows: Rows): boolean => rows.n > 1 && spreadOf(rows).columns.length > 0;

/** Throws a DataError for fewer than two rows, and where no column varies. */
export function fitStandard(rows: Rows): Standard {
  const { n, p } = rows;
  if (n < 2) throw new DataError(`a standard deviation of ${n} row, expected at least 2`);
  const standard = spreadOf(rows);
  if (standard.columns.length === 0) throw new DataError(`none of ${p} features varies over ${n} rows`);
  return standard;
}

function spreadOf(rows: Rows): Standard {
  const { n, p } = rows;
  const mean = columnMeans(rows);
  const square = new Float64Array(p);
  for (let i = 0; i < n; i++) {
    const row = rowOf(rows, i);
    for (let j = 0; j < p; j++) square[j]! += (row[j]! - mean[j]!) ** 2 / (n - 1);
  }
  const sd = square.map(Math.sqrt);
  const columns = [...sd.keys()].filter((j) => sd[j]! > NO_SPREAD * Math.abs(mean[j]!) && sd[j]! > Number.MIN_VALUE);
  return { p, columns, mean: columns.map((j) => mean[j]!), sd: columns.map((j) => sd[j]!) };
}

/**
 * [n, q] (x − mean) / sd of the columns that vary, kept within ± `furthest`. Throws a DataError for rows of another
 * width.
 */
export function standardise({ p, columns, mean, sd }: Standard, rows: Rows, furthest = FURTHEST): Rows {
  if (rows.p !== p) throw new DataError(`rows of ${rows.p} features, expected ${p}`);
  const q = columns.length;
  const data = new Float64Array(rows.n * q);
  for (let i = 0; i < rows.n; i++) {
    const row = rowOf(rows, i);
    for (let k = 0; k < q; k++) {
      const z = (row[columns[k]!]! - mean[k]!) / sd[k]!;
      data[i * q + k] = Math.min(furthest, Math.max(-furthest, z));
    }
  }
  return rowsOver(data, q);
}
