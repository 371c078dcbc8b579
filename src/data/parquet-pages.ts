// One column chunk of a Parquet file, as bytes -> the byte strings or numbers in it, row by row.
//
// hyparquet reads the footer of a file; the pages are read here because its page reader trusts what it reads: one damaged
// byte in a page header can make it loop for ever or allocate gigabytes. Here every length is compared with what is there
// first. Layout: github.com/apache/parquet-format (README.md, Encodings.md, src/main/thrift/parquet.thrift).

import type { RowGroup } from 'hyparquet';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { crc32 } from './crc32.ts';
import { decodingError } from './decoding.ts';
import { type Cursor, readStruct, readVarint, type Struct } from './thrift.ts';

export interface ColumnChunk {
  /** For messages: the file and the row group. */
  readonly where: string;
  /** The pages: dictionary, if any, and data, each with its header. */
  readonly bytes: Uint8Array;
  /** The compression, as the format names it. */
  readonly codec: string;
  /** The rows of the row group; memory of this order is allocated, so the caller checks that it is plausible. */
  readonly rows: number;
  /** How many of the nested fields are optional: a value whose definition level is lower is absent. */
  readonly maxDefinition: number;
}

/** Where a column lies in its row group: compression, and bytes from..to-1 of the file. */
export interface ChunkPlace {
  readonly codec: string;
  readonly from: number;
  readonly to: number;
}

/** The first and the last bytes of the format: a magic number; length and magic number. */
export const [HEAD, TAIL] = [4, 8] as const;

/** The place of the column with this path in a file of `fileSize` bytes. Throws a DataError where it is not in the file. */
export function placeOf(where: string, fileSize: number, path: string, group: RowGroup): ChunkPlace {
  const chunk = group.columns.find((c) => c.meta_data?.path_in_schema.join('.') === path);
  if (!chunk?.meta_data) throw new DataError(`${where}: has no column ${path}, the header says it has`);
  if (chunk.file_path) throw new DataError(`${where}: lies in another file, '${chunk.file_path}'`);
  const { codec, data_page_offset, dictionary_page_offset, total_compressed_size } = chunk.meta_data;
  // Some writers say 0 where there is no dictionary.
  const dictionary = Number(dictionary_page_offset ?? 0);
  const data = Number(data_page_offset);
  const from = dictionary > 0 ? Math.min(dictionary, data) : data;
  const to = from + Number(total_compressed_size);
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < HEAD || to < from || to > fileSize - TAIL) {
    throw new DataError(
      `${where}: lies at bytes ${from} to ${to}, the file has room from ${HEAD} to ${fileSize - TAIL}`,
    );
  }
  return { codec, from, to };
}

/**
 * The values of a column of byte arrays that does not repeat, `rows` of them; undefined where a row has none. They share
 * memory with the chunk or its pages. Encodings: plain and dictionary, as Arrow, Spark, DuckDB and Polars write pictures.
 * Throws a DataError for whatever is damaged or of another encoding; a page that carries a checksum is checked. Its codec must have been
 * loaded, see `loadCodec`.
 */
export function readByteArrays(chunk: ColumnChunk): (Uint8Array | undefined)[] {
  return readColumn(chunk, plainByteArrays);
}

/** The values of a column of 64-bit floats, as `readByteArrays` reads those of byte arrays. */
export function readDoubles(chunk: ColumnChunk): (number | undefined)[] {
  return readColumn(chunk, plainDoubles);
}

/** `count` values from all the bytes of a page. */
type ReadPlain<T> = (bytes: Uint8Array, count: number, where: string) => T[];

function readColumn<T>(chunk: ColumnChunk, readPlain: ReadPlain<T>): (T | undefined)[] {
  const values: (T | undefined)[] = [];
  const cursor: Cursor = { where: chunk.where, bytes: chunk.bytes, at: 0 };
  let dictionary: readonly T[] | undefined;
  while (values.length < chunk.rows) {
    const page = readPage(cursor);
    if (page.type === 'dictionary') {
      const { count, encoding } = page;
      if (encoding !== 'PLAIN' && encoding !== 'PLAIN_DICTIONARY') throw unsupported(chunk.where, encoding);
      dictionary = readPlain(decompress(chunk, page.body, page.size), count, chunk.where);
    } else if (page.type === 'data') {
      if (page.count > chunk.rows - values.length) {
        const left = `${chunk.rows - values.length} of ${chunk.rows} rows are left`;
        throw new DataError(`${chunk.where}: a page says it has ${page.count} values, where ${left}`);
      }
      const { levels, content } = splitLevels(chunk, page);
      const present = readLevels(chunk, page.count, levels);
      const found = readValues(chunk, page.encoding, content, present.count, dictionary, readPlain);
      let next = 0;
      for (let i = 0; i < page.count; i++) values.push(present.at(i) ? found[next++] : undefined);
    }
  }
  return values;
}

type Encoding = (typeof encodings)[number];

/** By number in the format. */
const encodings = [
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

interface DataPage {
  readonly type: 'data';
  /** Values, absent ones counted. */
  readonly count: number;
  readonly encoding: Encoding;
  readonly body: Uint8Array;
  /** Bytes of the body when decompressed. */
  readonly size: number;
  /** Version 2 alone: bytes of definition levels before the values, and whether the values are compressed. */
  readonly v2?: { readonly levels: number; readonly compressed: boolean };
}

type Page =
  | DataPage
  | {
      readonly type: 'dictionary';
      readonly count: number;
      readonly encoding: Encoding;
      readonly body: Uint8Array;
      readonly size: number;
    }
  | { readonly type: 'other' };

/** The page at the cursor, which moves behind it. */
function readPage(cursor: Cursor): Page {
  const { where, bytes } = cursor;
  if (cursor.at >= bytes.length) throw new DataError(`${where}: the pages end before the rows do`);
  const header = readStruct(cursor);
  const size = numberOf(header, 2, where);
  const packed = numberOf(header, 3, where);
  if (packed > bytes.length - cursor.at) {
    throw new DataError(`${where}: a page says it has ${packed} bytes, where ${bytes.length - cursor.at} are left`);
  }
  const body = bytes.subarray(cursor.at, cursor.at + packed);
  cursor.at += packed;
  const checksum = header.get(4);
  if (typeof checksum === 'number' && crc32(body) !== checksum >>> 0) {
    throw new DataError(`${where}: a page is damaged: its checksum does not match`);
  }
  const [v1, dictionary, v2] = [structOf(header, 5), structOf(header, 7), structOf(header, 8)];
  const type = numberOf(header, 1, where);
  if (type === 0 && v1) {
    return { type: 'data', count: numberOf(v1, 1, where), encoding: encodingOf(v1, 2, where), body, size };
  }
  if (type === 2 && dictionary) {
    const count = numberOf(dictionary, 1, where);
    return { type: 'dictionary', count, encoding: encodingOf(dictionary, 2, where), body, size };
  }
  if (type === 3 && v2) {
    if (numberOf(v2, 6, where) !== 0) throw new DataError(`${where}: a page has repetition levels, expected none`);
    const levels = { levels: numberOf(v2, 5, where), compressed: v2.get(7) !== false };
    return { type: 'data', count: numberOf(v2, 1, where), encoding: encodingOf(v2, 4, where), body, size, v2: levels };
  }
  if (type === 1) return { type: 'other' }; // an index page: nothing in it that we need
  throw new DataError(`${where}: page type is ${type}, expected data or dictionary, with a header for it`);
}

/** A data page's definition levels, still encoded, and its values. */
function splitLevels(chunk: ColumnChunk, page: DataPage): { levels: Uint8Array; content: Uint8Array } {
  const { where, maxDefinition } = chunk;
  if (page.v2) {
    const { levels, compressed } = page.v2;
    if (levels > page.body.length || levels > page.size) {
      throw new DataError(`${where}: a page says it has ${levels} bytes of levels, it has ${page.body.length} in all`);
    }
    const rest = page.body.subarray(levels);
    const content = compressed ? decompress(chunk, rest, page.size - levels) : rest;
    return { levels: page.body.subarray(0, levels), content };
  }
  const content = decompress(chunk, page.body, page.size);
  if (maxDefinition === 0) return { levels: content.subarray(0, 0), content };
  const length = content.length < 4 ? Infinity : uint32(content, 0);
  if (length > content.length - 4) {
    throw new DataError(`${where}: a page of ${content.length} bytes has no room for its definition levels`);
  }
  return { levels: content.subarray(4, 4 + length), content: content.subarray(4 + length) };
}

/** Which of a page's values are there. */
function readLevels(chunk: ColumnChunk, n: number, encoded: Uint8Array): { count: number; at(i: number): boolean } {
  const { maxDefinition, where } = chunk;
  if (maxDefinition === 0) return { count: n, at: () => true };
  const levels = readRuns(encoded, bitsFor(maxDefinition), n, where);
  let count = 0;
  for (const level of levels) {
    if (level > maxDefinition) throw new DataError(`${where}: definition level ${level}, expected 0..${maxDefinition}`);
    if (level === maxDefinition) count++;
  }
  return { count, at: (i) => levels[i] === maxDefinition };
}

function readValues<T>(
  chunk: ColumnChunk,
  encoding: Encoding,
  content: Uint8Array,
  count: number,
  dictionary: readonly T[] | undefined,
  readPlain: ReadPlain<T>,
): readonly T[] {
  const { where } = chunk;
  if (count === 0) return [];
  if (encoding === 'PLAIN') return readPlain(content, count, where);
  if (encoding !== 'RLE_DICTIONARY' && encoding !== 'PLAIN_DICTIONARY') throw unsupported(where, encoding);
  if (!dictionary) throw new DataError(`${where}: a page refers to a dictionary, and none is before it`);
  const width = content[0];
  if (width === undefined || width > 32) throw new DataError(`${where}: dictionary indices of ${width} bits`);
  return Array.from(readRuns(content.subarray(1), width, count, where), (index) => {
    const value = dictionary[index];
    if (value === undefined)
      throw new DataError(`${where}: dictionary index ${index}, the dictionary has ${dictionary.length}`);
    return value;
  });
}

/** `count` times 64 bits. */
function plainDoubles(bytes: Uint8Array, count: number, where: string): number[] {
  if (bytes.length !== 8 * count) {
    throw new DataError(`${where}: ${count} numbers in a page of ${bytes.length} bytes, expected ${8 * count}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => view.getFloat64(8 * i, true));
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

/** `count` numbers of `width` bits: runs of one value, or of values packed in groups of eight. */
function readRuns(bytes: Uint8Array, width: number, count: number, where: string): Uint32Array {
  const out = new Uint32Array(count);
  if (width === 0) return out;
  const cursor: Cursor = { where, bytes, at: 0 };
  let seen = 0;
  while (seen < count) {
    const header = readVarint(cursor);
    const left = count - seen;
    const length = Math.floor(header / 2) * (header % 2 === 1 ? 8 : 1);
    if (header % 2 === 1) {
      // The last group is filled up, and a few writers leave the filling out.
      const n = Math.min(length, left);
      if (length - 8 >= left || Math.ceil((n * width) / 8) > bytes.length - cursor.at)
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

/** Largest size of a page for which no plausible ratio of compression is asked. */
const SMALL_PAGE = 2 ** 24;
/** Deflate's best; pictures are compressed already. */
const MAX_RATIO = 1032;

let compressors: typeof import('hyparquet-compressors').compressors = {};

/**
 * Loads what decompresses pages of this codec, before they are read. Not when this file is: part of it is WebAssembly, which takes gigabytes of
 * addresses, and a program that reads no such file should also start where there are none.
 */
export async function loadCodec(codec: string): Promise<void> {
  if (!['SNAPPY', 'ZSTD', 'LZ4', 'LZ4_RAW'].includes(codec) && (codec !== 'BROTLI' || host().unbrotli)) return;
  try {
    ({ compressors } = await import('hyparquet-compressors'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`what decompresses ${codec} does not start: ${reason}`, { cause: error });
  }
}

type Decompress = (packed: Uint8Array, size: number, where: string) => Uint8Array;

/** Decompression by codec. Each allocates no more than about `size`. */
const codecs: Readonly<Record<string, Decompress>> = {
  UNCOMPRESSED: (packed) => packed,
  GZIP: (packed, size) => host().inflate(packed, { most: size }).bytes,
  BROTLI: (packed, size) => host().unbrotli?.(packed, { most: size }) ?? compressors.BROTLI!(packed, size),
  SNAPPY(packed, size, where) {
    // The library hands out what was in its memory before when the content is shorter than asked.
    const cursor: Cursor = { where, bytes: packed, at: 0 };
    const found = readVarint(cursor);
    if (found !== size) throw new DataError(`${where}: a page has ${found} bytes, its header says ${size}`);
    return compressors.SNAPPY!(packed, size);
  },
  ZSTD(packed, size, where) {
    checkZstd(packed, size, where);
    return compressors.ZSTD!(packed, size);
  },
  LZ4: (packed, size) => compressors.LZ4!(packed, size),
  LZ4_RAW: (packed, size) => compressors.LZ4_RAW!(packed, size),
};

function decompress(chunk: ColumnChunk, packed: Uint8Array, size: number): Uint8Array {
  const { where, codec } = chunk;
  const run = Object.hasOwn(codecs, codec) ? codecs[codec] : undefined;
  if (!run) {
    const known = Object.keys(codecs).join(', ');
    throw new DataError(`${where}: compression is '${codec}', expected one of ${known}`);
  }
  if (size > SMALL_PAGE && size > packed.length * MAX_RATIO) {
    throw new DataError(`${where}: a page says that its ${packed.length} bytes hold ${size}, more than is plausible`);
  }
  let page: Uint8Array;
  try {
    page = size === 0 && packed.length === 0 ? packed : run(packed, size, where);
  } catch (error) {
    throw decodingError(error, where, `a page is damaged: ${codec} data`);
  }
  if (page.length !== size) throw new DataError(`${where}: a page has ${page.length} bytes, its header says ${size}`);
  return page;
}

/** Zstandard's frame header (RFC 8878, 3.1.1.1) says how much memory to allocate; it must not exceed what the page holds. */
function checkZstd(packed: Uint8Array, size: number, where: string): void {
  const magic = packed.length < 5 ? 0 : uint32(packed, 0);
  if (magic !== 0xfd2fb528) throw new DataError(`${where}: a page is damaged: it is no ZSTD data`);
  const descriptor = packed[4]!;
  const singleSegment = (descriptor >> 5) & 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6]!;
  const at = 6 - singleSegment + dictionaryBytes;
  if (packed.length < at + sizeBytes) throw new DataError(`${where}: a page is damaged: its ZSTD data is too short`);
  let content = sizeBytes === 2 ? 256 : 0;
  for (let i = 0; i < sizeBytes; i++) content += packed[at + i]! * 256 ** i;
  const exponent = packed[5]! >> 3;
  const window = singleSegment ? content : 2 ** (10 + exponent) * (1 + (packed[5]! & 7) / 8);
  if (content > size || window > Math.max(size, MAX_ZSTD_WINDOW)) {
    throw new DataError(`${where}: a page of ${size} bytes holds ZSTD data of ${content}, window ${window}`);
  }
}

/** What Zstandard's own decompressor accepts unasked. */
const MAX_ZSTD_WINDOW = 2 ** 27;

function structOf(struct: Struct, field: number): Struct | undefined {
  const value = struct.get(field);
  return value instanceof Map ? value : undefined;
}

/** A count or length: an integer >= 0 of 31 bits. */
function numberOf(struct: Struct, field: number, where: string): number {
  const value = struct.get(field);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  const found = value === undefined ? 'absent' : String(value instanceof Map ? 'a struct' : value);
  throw new DataError(`${where}: field ${field} of a page header is ${found}, expected an integer from 0 to 2^31`);
}

function encodingOf(struct: Struct, field: number, where: string): Encoding {
  return encodings[numberOf(struct, field, where)] ?? 'unknown';
}

function unsupported(where: string, encoding: Encoding): DataError {
  return new DataError(`${where}: a page has the encoding ${encoding}, expected PLAIN or a dictionary`);
}

function bitsFor(largest: number): number {
  return 32 - Math.clz32(largest);
}

function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
