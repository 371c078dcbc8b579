// Parquet files -> data set: a column of encoded pictures, as the Hugging Face hub has them or plain, read one row
// group at a time; lists or columns of numbers as vectors; text. Several files are one set.

import { getFloat16 } from '@petamoriken/float16';
import type { FileMetaData } from 'hyparquet';
import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, hashOf, memoryDataset, type StoredArray, sizeOf } from './dataset.ts';
import { type DecodeImage, type ImageRun, imageDataset } from './images.ts';
import { type Column, chosen, columnsOf, typeText } from './parquet-columns.ts';
import {
  type ChunkPlace,
  HEAD,
  type ListChunk,
  loadCodec,
  pagesOf,
  placeOf,
  readColumn,
  TAIL,
} from './parquet-pages.ts';
import { isList, type Values } from './parquet-values.ts';
import type { ByteSource, EncodedFile } from './source.ts';
import { leftNote, listed, type Numbers, storedNumbers } from './table.ts';
import { textDataset } from './text.ts';

export interface ParquetOptions {
  readonly decode: DecodeImage;
  /** Left out: that of the first file. */
  readonly name?: string | undefined;
  /** The column of the examples, or several of one number each; left out: the only one that can be meant. */
  readonly column?: string | undefined;
  /** The column that says what examples are called. */
  readonly id?: string | undefined;
  /** Shape of an example where the file leaves the choice, [bytes] of text. */
  readonly like?: readonly number[] | undefined;
}

/** More rows than this, and than the file has bytes, is damage: rows take memory before their values are seen. */
const MAX_ROWS = 2 ** 24;
/** Numbers in all. */
const MAX_VALUES = 2 ** 29;

/**
 * Parquet files, one after the other, under the input name 'x'. Pictures are checked as they are decoded; all must have
 * one size and one number of channels. Throws a DataError for a file that is missing, damaged, empty or of another
 * layout.
 */
export async function openParquet(sources: readonly ByteSource[], options: ParquetOptions): Promise<Dataset> {
  const { decode, name = sources[0]!.name, id } = options;
  const files: File[] = [];
  for (const source of sources) files.push(await openFile(source, options));
  const where = sources.length === 1 ? sources[0]!.name : name;
  const [first] = files as [File, ...File[]];
  for (const file of files) {
    const found = file.columns.map((c) => `${c.name} (${typeText(c)})`).join(', ');
    const expected = first.columns.map((c) => `${c.name} (${typeText(c)})`).join(', ');
    if (found !== expected) throw new DataError(`${file.path}: has ${found}, expected ${expected} as in ${first.path}`);
  }
  const hashes: string[] = [];
  for (const source of sources) hashes.push(await hashOf(source));
  const [own] = hashes as [string];
  const fingerprint = hashes.length === 1 ? own : fingerprintOf('parquet', ...hashes);
  if (files.every((file) => file.rows === 0)) throw new DataError(`${where}: holds no rows`);
  if (first.columns[0]!.kind === 'pictures') {
    const images = files.flatMap((file) => file.groups.map((group) => pictureGroup(file, group)));
    return imageDataset(name, fingerprint, images, { decode, where });
  }
  const data = await numbersOrText(files, name, where, fingerprint, options);
  const notes = first.left.map((one) => leftNote(where, one));
  const noted = notes.length === 0 ? data : { ...data, notes: () => notes };
  return id === undefined ? noted : { ...noted, ids: await allIds(files) };
}

/** What of a file is needed to read the columns that are wanted. */
interface File {
  readonly path: string;
  readonly source: ByteSource;
  readonly columns: readonly Column[];
  readonly id: Column | undefined;
  /** Of columns with a number each, those that were left out: labels and indices of rows. */
  readonly left: readonly string[];
  readonly rows: number;
  readonly groups: readonly Group[];
}

interface Group {
  readonly index: number;
  readonly firstRow: number;
  readonly rows: number;
  /** By the path of the column. */
  readonly places: ReadonlyMap<string, ChunkPlace & { readonly count: number }>;
}

async function openFile(source: ByteSource, { column, id, like }: ParquetOptions): Promise<File> {
  const { size, name: path } = source;
  return guard(path, 'not a Parquet file, or damaged', async () => {
    if (size < HEAD + TAIL) throw new Error(`it has ${size} bytes, the smallest Parquet file has ${HEAD + TAIL}`);
    const file = {
      byteLength: size,
      // A copy, as the library takes a whole ArrayBuffer.
      slice: async (from: number, to = size) => (await source.read(from, to - from)).slice().buffer as ArrayBuffer,
    };
    const { parquetMetadataAsync } = await import('hyparquet');
    // Geographic metadata is none of our business, and parsing it is one more way for a damaged file to fail.
    const metadata = await parquetMetadataAsync(file, { geoparquet: false });
    const all = columnsOf(metadata.schema);
    const columns = chosen(path, all, column, id, like);
    const idColumn = id === undefined ? undefined : all.find((c) => c.name === id || c.path === id);
    if (id !== undefined && (!idColumn || idColumn.maxRepetition > 0 || idColumn.kind === 'other')) {
      const names = listed(all.filter((c) => c.kind === 'text' || c.kind === 'number').map((c) => c.name));
      throw new DataError(`${path}: has no column '${id}' of texts or numbers for \`id\`; it has ${names}`);
    }
    const rest = all.filter((c) => c !== idColumn && !columns.includes(c)).map((c) => c.name);
    const left = column === undefined && columns[0]!.kind === 'number' ? rest : [];
    return { path, source, columns, id: idColumn, left, ...planGroups(path, size, metadata, columns, idColumn) };
  });
}

/** The row groups of the file. Refuses a file whose own counts disagree, with each other or with its size. */
function planGroups(
  path: string,
  fileSize: number,
  metadata: FileMetaData,
  columns: readonly Column[],
  id: Column | undefined,
): Pick<File, 'rows' | 'groups'> {
  const counts = metadata.row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (counts.some((n) => !Number.isSafeInteger(n) || n < 0) || total !== Number(metadata.num_rows)) {
    throw new DataError(`${path}: row groups have ${counts.join(' + ')} rows, the header says ${metadata.num_rows}`);
  }
  // Equal values are packed tightly: thousands of rows in a few bytes.
  if (total > Math.max(fileSize, MAX_ROWS)) {
    throw new DataError(`${path}: the header says ${total} rows, the file has ${fileSize} bytes`);
  }
  let firstRow = 0;
  const groups = metadata.row_groups.map((group, index) => {
    const rows = counts[index]!;
    const where = `${path}: row group ${index}`;
    const places = new Map<string, ChunkPlace & { count: number }>();
    for (const column of rows === 0 ? [] : [...columns, ...(id ? [id] : [])]) {
      const place = placeOf(where, fileSize, column.path, group);
      const meta = group.columns.find((c) => c.meta_data?.path_in_schema.join('.') === column.path)!.meta_data!;
      const count = Number(meta.num_values);
      const fits = column.maxRepetition > 0 ? count >= rows && count <= MAX_VALUES : count === rows;
      if (!Number.isSafeInteger(count) || !fits) {
        throw new DataError(`${where}: column ${column.name} says it has ${count} values for ${rows} rows`);
      }
      places.set(column.path, { ...place, count });
    }
    firstRow += rows;
    return { index, firstRow: firstRow - rows, rows, places };
  });
  return { rows: total, groups };
}

function pictureGroup(file: File, group: Group): ImageRun {
  const [column] = file.columns as [Column];
  const { path, id } = file;
  return {
    length: group.rows,
    async load(): Promise<readonly EncodedFile[]> {
      const chunk = await loadChunk(file, group, column);
      return readColumn<Uint8Array>(chunk, column.physical).map((bytes, i) => {
        const where = `${path}: row ${group.firstRow + i}`;
        if (!bytes) throw new DataError(`${where}: holds no picture in ${column.path}`);
        return { bytes, where };
      });
    },
    ...(id ? { ids: async () => idsIn(await loadChunk(file, group, id), id, file, group) } : {}),
  };
}

async function loadChunk({ path, source }: File, group: Group, column: Column): Promise<ListChunk> {
  const { maxDefinition, maxRepetition, physical } = column;
  const { from, to, codec, count } = group.places.get(column.path)!;
  const where = `${path}: row group ${group.index}`;
  const bytes = await guard(path, `row group ${group.index}`, () => source.read(from, to - from));
  if (bytes.length !== to - from) {
    throw new DataError(`${where}: has ${bytes.length} bytes, the header says ${to - from}; has the file changed?`);
  }
  await loadCodec(codec);
  return { where, bytes, codec, rows: group.rows, maxDefinition, maxRepetition, physical, count };
}

function idsIn(chunk: ListChunk, id: Column, { path }: File, group: Group): readonly string[] {
  return readColumn<unknown>(chunk, id.physical).map((value, i) => {
    if (value === undefined) throw new DataError(`${path}: row ${group.firstRow + i}: holds nothing in ${id.name}`);
    return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
  });
}

async function allIds(files: readonly File[]): Promise<NonNullable<Dataset['ids']>> {
  const ids: string[] = [];
  for (const file of files) {
    for (const group of file.groups.filter(({ rows }) => rows > 0)) {
      ids.push(...idsIn(await loadChunk(file, group, file.id!), file.id!, file, group));
    }
  }
  return async (indices) => Array.from(indices, (i) => ids[i]!);
}

/** Columns that are kept in memory, as NPY files are. */
async function numbersOrText(
  files: readonly File[],
  name: string,
  where: string,
  fingerprint: string,
  { like }: ParquetOptions,
): Promise<Dataset> {
  const { columns } = files[0]!;
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  if (columns[0]!.kind === 'text') {
    const texts: Uint8Array[] = [];
    for (const file of files) {
      for (const group of file.groups.filter((g) => g.rows > 0)) {
        const values = readColumn<Uint8Array>(await loadChunk(file, group, columns[0]!), columns[0]!.physical);
        texts.push(...values.map((value) => value ?? new Uint8Array()));
      }
    }
    return textDataset(texts, where, name, like?.length === 1 ? like[0] : undefined);
  }
  const read: { stored: StoredArray; shape: readonly number[] }[] = [];
  for (const [k, column] of columns.entries()) {
    const collected = new Collected(rows, column);
    for (const file of files) {
      for (const group of file.groups.filter((g) => g.rows > 0)) {
        const chunk = await loadChunk(file, group, file.columns[k]!);
        for (const page of pagesOf(chunk))
          collected.add(page, chunk.maxDefinition, `${file.path}: column ${column.name}`);
      }
    }
    const { values, shape } = collected.done(where);
    read.push({ stored: storedNumbers(values, shape, `${where}: column ${column.name}`), shape });
  }
  const key = columns.map((c) => c.path).join();
  const [only, ...more] = read as [(typeof read)[number]];
  const x =
    more.length === 0 && columns[0]!.kind === 'numbers'
      ? only.stored
      : beside(
          read.map(({ stored }) => stored),
          rows,
        );
  return memoryDataset(name, rows, `${fingerprint} ${key}`, { x });
}

/** Single numbers of several columns as one vector for each row. */
function beside(columns: readonly StoredArray[], rows: number): StoredArray {
  const d = columns.length;
  if (columns.every(({ data }) => data instanceof BigInt64Array)) {
    const data = new BigInt64Array(rows * d);
    for (const [k, column] of columns.entries()) {
      for (let i = 0; i < rows; i++) data[i * d + k] = column.data[i] as bigint;
    }
    return { data, shape: [d] };
  }
  const data = new Float32Array(rows * d);
  for (const [k, column] of columns.entries()) {
    for (let i = 0; i < rows; i++) data[i * d + k] = Number(column.data[i]);
  }
  return { data, shape: [d], pixels: columns.every((column) => column.pixels === true) };
}

/** Numbers of a column, page by page, which must be there and have one shape in all rows. */
class Collected {
  private readonly parts: Numbers[] = [];
  private sizes: number[] | undefined; // of the lists, from the outermost
  private readonly head: number[] = []; // repetition levels until the sizes are known
  private seen = 0;

  private readonly rows: number;
  private readonly column: Column;

  constructor(rows: number, column: Column) {
    this.rows = rows;
    this.column = column;
  }

  add({ repetition, definition, values }: Page, maxDefinition: number, where: string): void {
    const missing = definition?.findIndex((level) => level !== maxDefinition) ?? -1;
    if (missing >= 0) {
      throw new DataError(`${where}: value ${this.seen + missing} is null or an empty list, expected numbers`);
    }
    this.parts.push(typed(values, this.column, where));
    if (repetition) for (const level of repetition) this.level(level, where);
    this.seen += values.length;
  }

  private place = 0;

  private level(level: number, where: string): void {
    if (this.sizes === undefined) {
      if (level > 0 || this.head.length === 0) {
        this.head.push(level);
        return;
      }
      this.fix(where);
    }
    this.check(level, where);
  }

  /** The sizes of the first row, once it is complete. */
  private fix(where: string): void {
    const depth = this.column.maxRepetition;
    const sizes: number[] = [];
    let inner = 1;
    for (let k = depth; k >= 1; k--) {
      // Values until the next list of level k - 1 or further out begins.
      const end = this.head.findIndex((level, i) => i > 0 && level < k);
      const length = end < 0 ? this.head.length : end;
      sizes.unshift(length / inner);
      inner = length;
    }
    this.sizes = sizes;
    for (const level of this.head) this.check(level, where);
  }

  private check(level: number, where: string): void {
    const sizes = this.sizes!;
    let block = sizeOf(sizes);
    const row = Math.floor(this.place / block);
    let expected = 0;
    for (let k = 0; k < sizes.length && this.place % block !== 0; k++) {
      block /= sizes[k]!;
      expected = k + 1;
    }
    if (level !== expected || !Number.isInteger(block)) {
      throw new DataError(`${where}: row ${row} is a list of another length, expected ${shapeText(sizes)} as in row 0`);
    }
    this.place++;
  }

  done(where: string): { values: Numbers; shape: readonly number[] } {
    if (this.column.maxRepetition > 0 && this.sizes === undefined) this.fix(where);
    const shape = this.column.maxRepetition > 0 ? this.sizes! : [];
    const total = this.parts.reduce((sum, part) => sum + part.length, 0);
    if (total !== this.rows * sizeOf(shape)) {
      throw new DataError(
        `${where}: column ${this.column.name} has ${total} numbers, expected ${this.rows} × ${shapeText(shape)}`,
      );
    }
    if (this.parts.length === 1) return { values: this.parts[0]!, shape };
    const out = new (this.parts[0]!.constructor as Float32ArrayConstructor)(total);
    let at = 0;
    for (const part of this.parts) {
      out.set(part as Float32Array, at);
      at += part.length;
    }
    return { values: out as Numbers, shape };
  }
}

type Page = { repetition: Uint32Array | undefined; definition: Uint32Array | undefined; values: Values };

/** As the column's type says: narrower integers, unsigned ones, half floats; truth values as floats. */
function typed(values: Values, { physical, logical }: Column, where: string): Numbers {
  if (isList(values)) {
    if (logical !== 'FLOAT16') throw new DataError(`${where}: holds ${physical.type}, expected numbers`);
    return Float32Array.from(values, ({ buffer, byteOffset }) =>
      getFloat16(new DataView(buffer, byteOffset, 2), 0, true),
    );
  }
  if (physical.type === 'BOOLEAN') return Float32Array.from(values as Uint8Array);
  switch (logical) {
    case 'UINT_8':
      return Uint8Array.from(values as Int32Array);
    case 'UINT_16':
      return Uint16Array.from(values as Int32Array);
    case 'UINT_32':
      return Uint32Array.from(values as Int32Array);
    case 'UINT_64': {
      const { buffer, byteOffset, length } = values as BigInt64Array;
      return new BigUint64Array(buffer, byteOffset, length);
    }
    case 'INT_8':
    case 'INT_16':
      return Int16Array.from(values as Int32Array);
    default:
      return values as Numbers;
  }
}

/** Whatever the library throws on a damaged file is the file's fault, and becomes a DataError that names it. */
async function guard<T>(path: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: ${what}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
