// One column chunk of a Parquet file, as bytes -> the byte strings or numbers in it, row by row.
//
// hyparquet reads the footer of a file; the pages are read here because its page reader trusts what it reads: one
// damaged byte in a page header can make it loop for ever or allocate gigabytes. Here every length is compared with
// what is there first. Layout: github.com/apache/parquet-format (README.md, Encodings.md,
// src/main/thrift/parquet.thrift).

import type { RowGroup } from 'hyparquet';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { crc32 } from './crc32.ts';
import { decodingError } from './decoding.ts';
import {
  decodeValues,
  type Encoding,
  encodings,
  type Physical,
  picked,
  readRuns,
  uint32,
  type Values,
} from './parquet-values.ts';
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
  /** How many of the nested fields are optional or repeated: a value whose definition level is lower is absent. */
  readonly maxDefinition: number;
}

/** A chunk of a column of lists, which has more values than rows. */
export interface ListChunk extends ColumnChunk {
  readonly physical: Physical;
  /** How many of the nested fields are repeated; 0 of a column of single values. */
  readonly maxRepetition: number;
  /** Values in all, absent ones counted, as the footer says. */
  readonly count: number;
}

/** Where a column lies in its row group: compression, and bytes from..to-1 of the file. */
export interface ChunkPlace {
  readonly codec: string;
  readonly from: number;
  readonly to: number;
}

/** The first and the last bytes of the format: a magic number; length and magic number. */
export const [HEAD, TAIL] = [4, 8] as const;

/**
 * The place of the column with this path in a file of `fileSize` bytes. Throws a DataError where it is not in the file.
 */
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
 * The values of a column of byte arrays that does not repeat, `rows` of them; undefined where a row has none. They
 * share memory with the chunk or its pages. Throws a DataError for whatever is damaged or of an encoding that is not
 * read; a page that carries a checksum is checked. Its codec must have been loaded, see `loadCodec`.
 */
export function readByteArrays(chunk: ColumnChunk): (Uint8Array | undefined)[] {
  return readColumn<Uint8Array>(chunk, { type: 'BYTE_ARRAY' });
}

/** The values of a column of 64-bit floats, as `readByteArrays` reads those of byte arrays. */
export function readDoubles(chunk: ColumnChunk): (number | undefined)[] {
  return readColumn<number>(chunk, { type: 'DOUBLE' });
}

/** The values of a column that does not repeat, of any type. */
export function readColumn<T>(chunk: ColumnChunk, physical: Physical): (T | undefined)[] {
  const values: (T | undefined)[] = [];
  for (const page of pagesOf({ ...chunk, physical, maxRepetition: 0, count: chunk.rows })) {
    const { count, definition } = page;
    const found = page.values as unknown as ArrayLike<T>;
    let next = 0;
    for (let i = 0; i < count; i++) {
      values.push(definition === undefined || definition[i] === chunk.maxDefinition ? found[next++] : undefined);
    }
  }
  return values;
}

/** A page's values, and which levels they are at. */
export interface PageValues {
  /** Values, absent ones counted. */
  readonly count: number;
  /** Of each value; undefined where all are 0. */
  readonly repetition: Uint32Array | undefined;
  /** Of each value; undefined where all are there by the type of the column. */
  readonly definition: Uint32Array | undefined;
  /** Those that are there. */
  readonly values: Values;
}

/** The data pages of a chunk, one after the other, until all of its values were there. */
export function* pagesOf(chunk: ListChunk): Generator<PageValues> {
  const { where, maxDefinition, maxRepetition, physical } = chunk;
  const cursor: Cursor = { where, bytes: chunk.bytes, at: 0 };
  let dictionary: Values | undefined;
  for (let seen = 0; seen < chunk.count; ) {
    const page = readPage(cursor);
    if (page.type === 'dictionary') {
      const { count, encoding } = page;
      if (encoding !== 'PLAIN' && encoding !== 'PLAIN_DICTIONARY') {
        throw new DataError(`${where}: a dictionary has the encoding ${encoding}, expected PLAIN`);
      }
      dictionary = decodeValues(physical, 'PLAIN', decompress(chunk, page.body, page.size), count, where);
    } else if (page.type === 'data') {
      const { count } = page;
      if (count > chunk.count - seen) {
        const left = `${chunk.count - seen} of ${chunk.count} rows are left`;
        throw new DataError(`${where}: a page says it has ${count} values, where ${left}`);
      }
      const parts = splitLevels(chunk, page);
      const repetition =
        maxRepetition === 0 ? undefined : levelsOf(where, parts.repetition, maxRepetition, count, 'repetition');
      const definition =
        maxDefinition === 0 ? undefined : levelsOf(where, parts.definition, maxDefinition, count, 'definition');
      let present = count;
      if (definition) for (const level of definition) if (level !== maxDefinition) present--;
      const values = readValues(chunk, page.encoding, parts.content, present, dictionary);
      seen += count;
      yield { count, repetition, definition, values };
    }
  }
}

function levelsOf(where: string, encoded: Uint8Array, most: number, n: number, kind: string): Uint32Array {
  const levels = readRuns(encoded, bitsFor(most), n, where);
  for (const level of levels) {
    if (level > most) throw new DataError(`${where}: ${kind} level ${level}, expected 0..${most}`);
  }
  return levels;
}

interface DataPage {
  readonly type: 'data';
  /** Values, absent ones counted. */
  readonly count: number;
  readonly encoding: Encoding;
  readonly body: Uint8Array;
  /** Bytes of the body when decompressed. */
  readonly size: number;
  /** Version 2 alone: bytes of levels before the values, and whether the values are compressed. */
  readonly v2?: { readonly repetition: number; readonly definition: number; readonly compressed: boolean };
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
    const [definition, repetition] = [numberOf(v2, 5, where), numberOf(v2, 6, where)];
    const levels = { definition, repetition, compressed: v2.get(7) !== false };
    return { type: 'data', count: numberOf(v2, 1, where), encoding: encodingOf(v2, 4, where), body, size, v2: levels };
  }
  if (type === 1) return { type: 'other' }; // an index page: nothing in it that we need
  throw new DataError(`${where}: page type is ${type}, expected data or dictionary, with a header for it`);
}

/** A data page's levels, still encoded, and its values. */
function splitLevels(chunk: ListChunk, page: DataPage) {
  const { where, maxDefinition, maxRepetition } = chunk;
  if (page.v2) {
    const { repetition, definition, compressed } = page.v2;
    const levels = repetition + definition;
    if (maxRepetition === 0 && repetition > 0)
      throw new DataError(`${where}: a page has repetition levels, expected none`);
    if (levels > page.body.length || levels > page.size) {
      throw new DataError(`${where}: a page says it has ${levels} bytes of levels, it has ${page.body.length} in all`);
    }
    const rest = page.body.subarray(levels);
    return {
      repetition: page.body.subarray(0, repetition),
      definition: page.body.subarray(repetition, levels),
      content: compressed ? decompress(chunk, rest, page.size - levels) : rest,
    };
  }
  let content = decompress(chunk, page.body, page.size);
  const next = (most: number): Uint8Array => {
    if (most === 0) return content.subarray(0, 0);
    const length = content.length < 4 ? Infinity : uint32(content, 0);
    if (length > content.length - 4) {
      throw new DataError(`${where}: a page of ${content.length} bytes has no room for its definition levels`);
    }
    const levels = content.subarray(4, 4 + length);
    content = content.subarray(4 + length);
    return levels;
  };
  return { repetition: next(maxRepetition), definition: next(maxDefinition), content };
}

function readValues(
  { where, physical }: ListChunk,
  encoding: Encoding,
  content: Uint8Array,
  count: number,
  dictionary: Values | undefined,
): Values {
  if (count === 0) return [];
  if (encoding !== 'RLE_DICTIONARY' && encoding !== 'PLAIN_DICTIONARY') {
    return decodeValues(physical, encoding, content, count, where);
  }
  if (!dictionary) throw new DataError(`${where}: a page refers to a dictionary, and none is before it`);
  const width = content[0];
  if (width === undefined || width > 32) throw new DataError(`${where}: dictionary indices of ${width} bits`);
  return picked(dictionary, readRuns(content.subarray(1), width, count, where), where);
}

/** Largest size of a page for which no plausible ratio of compression is asked. */
const SMALL_PAGE = 2 ** 24;
/** Deflate's best; pictures are compressed already. */
const MAX_RATIO = 1032;

let compressors: typeof import('hyparquet-compressors').compressors = {};

/**
 * Loads what decompresses pages of this codec, before they are read. Not when this file is: part of it is WebAssembly,
 * which takes gigabytes of addresses, and a program that reads no such file should also start where there are none.
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

/**
 * Zstandard's frame header (RFC 8878, 3.1.1.1) says how much memory to allocate; it must not exceed what the page
 * holds.
 */
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

function bitsFor(largest: number): number {
  return 32 - Math.clz32(largest);
}
