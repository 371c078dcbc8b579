// The values of one page of a Parquet column: bytes, their type and encoding in; numbers or byte strings out.
//
// Encodings.md of github.com/apache/parquet-format. Deltas are unpacked by hyparquet, which is given no more than the
// page and only after the sizes in its header were found to be possible.

import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { DataError } from '../errors.ts';
import { type Cursor, readVarint } from './thrift.ts';

/** By number in the format. */
export const encodings = [
  'PLAIN',
  'unknown',
  'PLAIN_DICTIONARY',
  'RLE',
  'BIT_PACKED',
  'DELTA_BINARY_PACKED',
  'DELTA_LENGTH_BYTE_ARRAY',
  'DELTA_BYTE_ARRAY',
  'RLE_DICTIONARY',
  'BYTE_STREAM_SPLIT',
] as const;
export type Encoding = (typeof encodings)[number];

/** Values of one column; Booleans as bytes 0 and 1. */
export type Values = readonly Uint8Array[] | Int32Array | BigInt64Array | Float32Array | Float64Array | Uint8Array;

/** How the values of a column are stored, as the format names it. */
export interface Physical {
  readonly type: string;
  /** Bytes of each of FIXED_LEN_BYTE_ARRAY. */
  readonly length?: number | undefined;
}

/** Exactly `count` values from all the bytes of a page. Throws a DataError for damage and what is not known. */
export function decodeValues(
  physical: Physical,
  encoding: Encoding,
  bytes: Uint8Array,
  count: number,
  where: string,
): Values {
  const { type } = physical;
  if (encoding === 'PLAIN') return plain(physical, bytes, count, where);
  if (encoding === 'BYTE_STREAM_SPLIT') return plain(physical, gathered(physical, bytes, count, where), count, where);
  if (encoding === 'RLE' && type === 'BOOLEAN') {
    const length = bytes.length < 4 ? Infinity : uint32(bytes, 0);
    if (length > bytes.length - 4)
      throw new DataError(`${where}: a page of ${bytes.length} bytes ends within its runs`);
    return Uint8Array.from(readRuns(bytes.subarray(4, 4 + length), 1, count, where));
  }
  if (encoding === 'DELTA_BINARY_PACKED' && (type === 'INT32' || type === 'INT64')) {
    const cursor: Cursor = { where, bytes, at: 0 };
    return deltas(cursor, count, type === 'INT32' ? new Int32Array(count) : new BigInt64Array(count));
  }
  if (encoding === 'DELTA_LENGTH_BYTE_ARRAY' && type === 'BYTE_ARRAY') {
    const cursor: Cursor = { where, bytes, at: 0 };
    return texts(cursor, deltas(cursor, count, new Int32Array(count)));
  }
  if (encoding === 'DELTA_BYTE_ARRAY' && (type === 'BYTE_ARRAY' || type === 'FIXED_LEN_BYTE_ARRAY')) {
    const cursor: Cursor = { where, bytes, at: 0 };
    const shared = deltas(cursor, count, new Int32Array(count));
    const rests = texts(cursor, deltas(cursor, count, new Int32Array(count)));
    let last = new Uint8Array();
    return rests.map((rest, i) => {
      const kept = shared[i]!;
      if (kept < 0 || kept > last.length) {
        throw new DataError(
          `${where}: value ${i} of a page begins like the one before for ${kept} bytes, that has ${last.length}`,
        );
      }
      const value = new Uint8Array(kept + rest.length);
      value.set(last.subarray(0, kept));
      value.set(rest, kept);
      last = value;
      return value;
    });
  }
  throw new DataError(`${where}: a page has the encoding ${encoding} for values of type ${type}, which is not read`);
}

const sizes: Readonly<Record<string, number>> = { INT32: 4, INT64: 8, INT96: 12, FLOAT: 4, DOUBLE: 8 };

function sizeOf({ type, length }: Physical, where: string): number {
  const size = type === 'FIXED_LEN_BYTE_ARRAY' ? length : sizes[type];
  if (size === undefined || size < 1) throw new DataError(`${where}: values of type ${type} are not read`);
  return size;
}

function plain(physical: Physical, bytes: Uint8Array, count: number, where: string): Values {
  const { type } = physical;
  if (type === 'BYTE_ARRAY') return plainByteArrays(bytes, count, where);
  if (type === 'BOOLEAN') {
    if (bytes.length !== Math.ceil(count / 8)) throw wrongSize(count, bytes, Math.ceil(count / 8), where);
    return Uint8Array.from({ length: count }, (_, i) => (bytes[i >> 3]! >> (i & 7)) & 1);
  }
  const size = sizeOf(physical, where);
  if (bytes.length !== size * count) throw wrongSize(count, bytes, size * count, where);
  if (type === 'FIXED_LEN_BYTE_ARRAY' || type === 'INT96') {
    return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  }
  const { buffer } = bytes.slice(); // typed arrays need an aligned start
  if (type === 'INT32') return new Int32Array(buffer);
  if (type === 'INT64') return new BigInt64Array(buffer);
  return type === 'FLOAT' ? new Float32Array(buffer) : new Float64Array(buffer);
}

/** BYTE_STREAM_SPLIT: all first bytes, then all second ones, and so on; here each value's together. */
function gathered(physical: Physical, bytes: Uint8Array, count: number, where: string): Uint8Array {
  const size = sizeOf(physical, where);
  if (bytes.length !== size * count) throw wrongSize(count, bytes, size * count, where);
  const out = new Uint8Array(bytes.length);
  for (let k = 0; k < size; k++) for (let i = 0; i < count; i++) out[i * size + k] = bytes[k * count + i]!;
  return out;
}

function wrongSize(count: number, bytes: Uint8Array, expected: number, where: string): DataError {
  return new DataError(`${where}: ${count} numbers in a page of ${bytes.length} bytes, expected ${expected}`);
}

/** `count` times a length of 32 bits and as many bytes. */
function plainByteArrays(bytes: Uint8Array, count: number, where: string): Uint8Array[] {
  const values: Uint8Array[] = [];
  let at = 0;
  while (values.length < count) {
    const length = at + 4 > bytes.length ? Infinity : uint32(bytes, at);
    if (length > bytes.length - at - 4) {
      throw new DataError(`${where}: value ${values.length} of ${count} in a page goes beyond its end`);
    }
    values.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  if (at !== bytes.length) throw new DataError(`${where}: ${bytes.length - at} bytes are left after a page's values`);
  return values;
}

/** DELTA_BINARY_PACKED at the cursor, which moves behind it. */
function deltas<T extends Int32Array | BigInt64Array>(cursor: Cursor, count: number, out: T): T {
  const { where, bytes, at } = cursor;
  const [block, minis, total] = [readVarint(cursor), readVarint(cursor), readVarint(cursor)];
  const sensible = block >= 128 && block <= 2 ** 20 && block % 128 === 0 && minis >= 1 && (block / minis) % 32 === 0;
  if (!sensible || total !== count) {
    throw new DataError(
      `${where}: a page says it has ${total} deltas in blocks of ${block} and ${minis} parts, expected ${count}`,
    );
  }
  if (count === 0) {
    readVarint(cursor); // a first value all the same
    return out;
  }
  const own = bytes.slice(at); // so that nothing beyond the page can be read
  const reader = { view: new DataView(own.buffer), offset: 0 };
  try {
    deltaBinaryUnpack(reader, count, out);
  } catch (error) {
    throw new DataError(`${where}: a page ends within its deltas`, { cause: error });
  }
  cursor.at = at + reader.offset;
  return out;
}

/** Byte strings of these lengths, one after the other from the cursor to the end. */
function texts({ where, bytes, at }: Cursor, lengths: Int32Array): Uint8Array[] {
  let next = at;
  const values = Array.from(lengths, (length, i) => {
    if (length < 0 || length > bytes.length - next) {
      throw new DataError(`${where}: value ${i} of ${lengths.length} in a page goes beyond its end`);
    }
    next += length;
    return bytes.subarray(next - length, next);
  });
  if (next !== bytes.length)
    throw new DataError(`${where}: ${bytes.length - next} bytes are left after a page's values`);
  return values;
}

/** The values of a dictionary at these places. */
export function picked(dictionary: Values, indices: Uint32Array, where: string): Values {
  const wrong = indices.find((index) => index >= dictionary.length);
  if (wrong !== undefined) {
    throw new DataError(`${where}: dictionary index ${wrong}, the dictionary has ${dictionary.length}`);
  }
  if (isList(dictionary)) return Array.from(indices, (index) => dictionary[index]!);
  if (dictionary instanceof BigInt64Array) return BigInt64Array.from(indices, (index) => dictionary[index]!);
  const out = new (dictionary.constructor as Float64ArrayConstructor)(indices.length);
  for (let i = 0; i < out.length; i++) out[i] = dictionary[indices[i]!] as number;
  return out as Values;
}

/** Whether values are byte strings. */
export const isList = (values: Values): values is readonly Uint8Array[] => Array.isArray(values);

/** `count` numbers of `width` bits: runs of one value, or of values packed in groups of eight. */
export function readRuns(bytes: Uint8Array, width: number, count: number, where: string): Uint32Array {
  const out = new Uint32Array(count);
  if (width === 0) return out;
  const cursor: Cursor = { where, bytes, at: 0 };
  let seen = 0;
  while (seen < count) {
    const header = readVarint(cursor);
    const left = count - seen;
    const length = Math.floor(header / 2) * (header % 2 === 1 ? 8 : 1);
    if (header % 2 === 1) {
      // The last group is filled up, by DuckDB to 256 values, and a few writers leave the filling out.
      const n = Math.min(length, left);
      const isFilled = (length * width) / 8 <= bytes.length - cursor.at;
      if ((length - 8 >= left && !isFilled) || Math.ceil((n * width) / 8) > bytes.length - cursor.at)
        throw badRun(where, length, left);
      for (let i = 0; i < n; i++) out[seen + i] = readBits(bytes, cursor.at * 8 + i * width, width);
      cursor.at = Math.min(cursor.at + (length * width) / 8, bytes.length);
      seen += n;
    } else {
      const size = Math.ceil(width / 8);
      if (length > left || size > bytes.length - cursor.at) throw badRun(where, length, left);
      out.fill(readBits(bytes, cursor.at * 8, size * 8), seen, seen + length);
      cursor.at += size;
      seen += length;
    }
  }
  return out;
}

/** `width` <= 32 bits from bit `from` on, least significant first. The last may lie in the middle of a byte. */
function readBits(bytes: Uint8Array, from: number, width: number): number {
  let value = 0;
  for (let got = 0; got < width; ) {
    const bit = (from + got) % 8;
    const take = Math.min(8 - bit, width - got);
    const part = (bytes[Math.floor((from + got) / 8)]! >> bit) & ((1 << take) - 1);
    value += part * 2 ** got;
    got += take;
  }
  return value;
}

function badRun(where: string, length: number, left: number): DataError {
  return new DataError(`${where}: a run of ${length} levels or indices does not fit, ${left} are left in its page`);
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
