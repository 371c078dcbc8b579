// Columns of a table in, whatever the file's format; the examples in the columns that are chosen out.

import { DataError } from '../errors.ts';
import { type StoredArray, sizeOf } from './dataset.ts';

/** Numbers of one type. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/**
 * Numbers as a data set keeps them: bytes as pixels, integers of 32 and 64 bits as int64, everything else as float32.
 * `shape` is that of one example. Throws a DataError for what is not finite in float32, with the row it is in, and for
 * unsigned integers beyond int64.
 */
export function storedNumbers(values: Numbers, shape: readonly number[], where: string): StoredArray {
  if (values instanceof Uint8Array) return { data: values, shape, pixels: true };
  if (values instanceof BigInt64Array) return { data: values, shape };
  const size = Math.max(1, sizeOf(shape));
  if (values instanceof BigUint64Array) {
    const at = values.findIndex((value) => value >= 2n ** 63n);
    if (at >= 0) {
      throw new DataError(`${where}: example ${Math.floor(at / size)} holds ${values[at]}, expected less than 2^63`);
    }
    return { data: new BigInt64Array(values.buffer, values.byteOffset, values.length), shape };
  }
  if (values instanceof Int32Array || values instanceof Uint32Array) {
    return { data: BigInt64Array.from(values, BigInt), shape };
  }
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new DataError(`${where}: example ${Math.floor(at / size)} holds ${values[at]}, expected finite numbers`);
  }
  return { data, shape };
}

/**
 * Numbers as JavaScript has them, as a table of text gives them: float32, or int64 where they are whole and float32
 * would round them.
 */
export function storedFloats(values: Float64Array, shape: readonly number[], where: string): StoredArray {
  const large = values.some((v) => Math.abs(v) > 2 ** 24);
  if (large && values.every((v) => Number.isSafeInteger(v))) {
    return { data: BigInt64Array.from(values, BigInt), shape };
  }
  return storedNumbers(values, shape, where);
}

/**
 * The names of `column`: one, or several of single numbers, separated by commas, unless one column has a comma in its
 * name.
 */
export function namesOf(column: string, known: readonly string[]): readonly string[] {
  return known.includes(column) ? [column] : column.split(',').map((name) => name.trim());
}

/** What columns of labels are called. */
const LABELS = /^(labels?|class|classes|target|targets|digit|category|y)$/i;

/** What columns of pixels are called, one of them each: pixel12, 3x28, 17. */
const PIXELS = /^((pixel|pix|px|p)?[-_ ]?\d+|\d+x\d+)$/i;

/**
 * Of columns with a number each, the one that says of what class a row is, and is no part of the example: the only one
 * with such a name, where all others are called like pixels, or an example of the shape `like` has as many numbers as
 * there are others. Undefined where there is none, or where an example has a number from every column.
 */
export function labelAmong(names: readonly string[], like: readonly number[] | undefined): string | undefined {
  const [label, ...more] = names.filter((name) => LABELS.test(name));
  const size = like && sizeOf(like);
  if (label === undefined || more.length > 0 || names.length === 1 || size === names.length) return undefined;
  const isSure = size === names.length - 1 || names.every((name) => name === label || PIXELS.test(name));
  return isSure ? label : undefined;
}

/** Whether a column is one that pandas writes for its index: by its name, or without one as the first of a CSV file. */
export const isRowIndex = (name: string): boolean => /^(__index_level_\d+__|Unnamed: 0)$/.test(name);

/** Of a column that was left out. */
export const leftNote = (path: string, name: string): string =>
  `${path}: the column '${name}' is taken for ${isRowIndex(name) || name === '' ? 'an index of rows' : 'a label'} and left out`;

/** For messages: what there is to choose from. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ');
  return names.length > 20 ? `${shown}, … (${names.length})` : shown || '(none)';
}
