// A feature table in, the bytes of a .parquet file out, whole or piece by piece; and back.

import type { FileMetaData } from 'hyparquet';
import * as z from 'zod';
import { decodingError } from '../data/decoding.ts';
import { loadCodec, placeOf, readByteArrays, readDoubles } from '../data/parquet-pages.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { parseAs, parseJson } from '../json.ts';
import { checkTable, type FeatureTable, rowsOf, type StoredTable } from './table.ts';
import { columnsOf, headOf, parseHead, type TableHead } from './table-head.ts';
import { asObject, withViews } from './table-records.ts';

// .parquet: a column `nll` and one column of doubles per layer under the layer's own name, then one of `radial NAME`
// per layer for the view of that name, if it is there, and so on, with `parts NAME` per part; what the examples are
// called in a column of text `id`, or `id 0` to `id B-1`; the head as JSON in the key-value metadata. Columns rather
// than one LIST column, because that is what Parquet is for: `SELECT corr("conv1.weight", "conv2.weight")` and
// `df.describe()` work as they are, and a reader may fetch only the layers it wants.

/** Keys of the metadata. The checksum is ours because Parquet's pages carry none by default. */
const HEAD_KEY = 'fisher-ood';
const CHECKSUM_KEY = 'fisher-ood.sha256';

export async function encodeParquet(table: FeatureTable, name: string): Promise<Uint8Array> {
  const isNamed = table.ids !== undefined;
  checkNames(table, isNamed, name);
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const head = headText(table, rowsOf(table), isNamed);
  const bytes = parquetWriteBuffer({
    schema: schemaOf(table, isNamed),
    columnData: columnData(table),
    kvMetadata: [
      { key: HEAD_KEY, value: head },
      { key: CHECKSUM_KEY, value: checksum(head, [table.nll, table.sqNorms, ...viewsOf(table)], table.ids) },
    ],
  });
  return new Uint8Array(bytes);
}

/**
 * Writes a Parquet file piece by piece: one row group for each of the tables. They are asked for once for each column
 * group, since the checksum is of all nll first, then of all norms, then of each view, then of all ids.
 */
export async function writeParquet(
  { head, rows, named, tables }: StoredTable,
  append: (bytes: Uint8Array) => Promise<void>,
  name: string,
): Promise<void> {
  checkNames(head, named, name);
  const text = headText(head, rows, named);
  const hash = host().sha256().update(text);
  for await (const { nll } of tables()) hash.update(bytesOf(nll));
  const kvMetadata = [{ key: HEAD_KEY, value: text }];
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer');
  const buffer = new ByteWriter();
  const writer = new ParquetWriter({
    writer: Object.assign(buffer, {
      flush: async () => {
        await append(buffer.getBytes());
        buffer.index = 0;
      },
    }),
    schema: schemaOf(head, named),
    kvMetadata,
  });
  for await (const table of tables()) {
    checkTable(table, name);
    hash.update(bytesOf(table.sqNorms));
    await writer.write({ columnData: columnData(table), rowGroupSize: rowsOf(table) });
  }
  for (const view of head.meta.views ?? []) {
    for await (const table of tables()) hash.update(bytesOf(table.views![view]!));
  }
  if (named) for await (const { ids } of tables()) hash.update(idBytes(ids!));
  kvMetadata.push({ key: CHECKSUM_KEY, value: hash.digest() });
  await writer.finish();
  await append(buffer.getBytes());
}

const headText = (head: TableHead, rows: number, named: boolean) =>
  JSON.stringify({ ...headOf(head), rows, ...(named ? { ids: true } : {}) });

function checkNames(head: TableHead, named: boolean, name: string): void {
  const seen = new Set<string>();
  for (const column of [...columnNames(head), ...idColumns(head, named)]) {
    if (seen.has(column)) {
      throw new DataError(
        `${name}: a layer is named '${column}', which a Parquet table needs for itself; write .npz or .json`,
      );
    }
    seen.add(column);
  }
}

/** In the order of the file. */
const columnNames = (head: TableHead): string[] => [
  'nll',
  ...head.names,
  ...(head.meta.views ?? []).flatMap((view) => columnsOf(head, view).map((name) => `${view} ${name}`)),
];

/** Behind the others. */
const idColumns = ({ group }: TableHead, named: boolean): string[] =>
  named ? Array.from({ length: group }, (_, k) => (group === 1 ? 'id' : `id ${k}`)) : [];

function schemaOf(head: TableHead, named: boolean) {
  const numbers = columnNames(head).map((name) => ({ name, type: 'DOUBLE' as const }));
  const texts = idColumns(head, named).map((name) => ({
    name,
    type: 'BYTE_ARRAY' as const,
    converted_type: 'UTF8' as const,
  }));
  const columns = [...numbers, ...texts].map((column) => ({ ...column, repetition_type: 'REQUIRED' as const }));
  return [{ name: 'root', num_children: columns.length }, ...columns];
}

/** In the order of the head. */
const viewsOf = ({ meta, views }: FeatureTable): Float64Array[] => (meta.views ?? []).map((view) => views![view]!);

function columnData(table: FeatureTable) {
  const { nll, sqNorms, ids, group } = table;
  const data = [
    nll,
    ...[sqNorms, ...viewsOf(table)].flatMap((values) => {
      const width = values.length / nll.length;
      return Array.from({ length: width }, (_, j) => nll.map((_, i) => values[i * width + j]!));
    }),
  ];
  const encoder = new TextEncoder();
  const texts = idColumns(table, ids !== undefined).map((name, k) => ({
    name,
    data: Array.from(nll, (_, i) => encoder.encode(ids![i * group + k]!)),
  }));
  return [...columnNames(table).map((name, k) => ({ name, data: data[k]! })), ...texts];
}

export async function decodeParquet(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const file = {
    byteLength: bytes.length,
    // A copy, as the library takes a whole ArrayBuffer. Not bytes.slice(): a Node Buffer, as files give, slices without
    // copying.
    slice: (start: number, end?: number) => new Uint8Array(bytes.subarray(start, end)).buffer,
  };
  if (bytes.length < 12) throw new DataError(`${name}: has ${bytes.length} bytes, the smallest Parquet file has 12`);
  const { parquetMetadataAsync } = await import('hyparquet');
  const metadata = await guard(name, () => parquetMetadataAsync(file, { geoparquet: false }));
  const entry = (key: string) => metadata.key_value_metadata?.find((pair) => pair.key === key)?.value;
  const text = entry(HEAD_KEY);
  if (text === undefined) {
    throw new DataError(
      `${name}: has no metadata '${HEAD_KEY}', so it is no feature table, or it was rewritten without`,
    );
  }
  const { rows, ids: said, ...rest } = asObject(parseJson(text, `${name}: metadata`), `${name}: metadata`);
  const n = parseAs(z.int().min(1), rows, `${name}: metadata: rows`);
  const head = parseHead(rest, `${name}: metadata`);
  const isNamed = parseAs(z.boolean(), said ?? false, `${name}: metadata: ids`);
  const found = metadata.schema.slice(1).map((element) => element.name);
  const numbers = columnNames(head);
  const expected = [...numbers, ...idColumns(head, isNamed)];
  const odd = expected.findIndex((column, j) => column !== found[j]);
  if (odd >= 0 || found.length !== expected.length || Number(metadata.num_rows) !== n) {
    const mismatch = odd < 0 ? '' : `, column ${odd} is '${found[odd]}', expected '${expected[odd]}'`;
    const sizes = `${found.length} columns and ${metadata.num_rows} rows, expected ${expected.length} and ${n}`;
    throw new DataError(`${name}: has ${sizes}${mismatch}`);
  }
  // Runs of equal numbers take next to nothing, but not in every column; this only stops absurd claims before
  // allocation.
  if (n * expected.length > Math.max(1e6, bytes.length * 64)) {
    throw new DataError(`${name}: claims ${n} rows × ${expected.length} columns in ${bytes.length} bytes`);
  }
  const codecs = metadata.row_groups.flatMap((group) => group.columns.map((column) => column.meta_data?.codec ?? ''));
  for (const codec of new Set(codecs)) await guard(name, () => loadCodec(codec));
  const columns = await guard(name, () => numbers.map((_, k) => readDoubleColumn(bytes, metadata, k, n, name)));
  const nll = columns[0]!;
  let first = 1;
  const matrix = (width: number) => {
    const own = columns.slice(first, first + width);
    first += width;
    return Float64Array.from({ length: n * width }, (_, at) => own[at % width]![Math.floor(at / width)]!);
  };
  const sqNorms = matrix(head.names.length);
  const views = (head.meta.views ?? []).map((view) => [view, matrix(columnsOf(head, view).length)] as const);
  const texts = idColumns(head, isNamed).map((_, k) => readTextColumn(bytes, metadata, numbers.length + k, n, name));
  const ids = isNamed ? Array.from(nll, (_, i) => texts.map((column) => column[i]!)).flat() : undefined;
  const sum = checksum(text, [nll, sqNorms, ...views.map(([, values]) => values)], ids);
  if (entry(CHECKSUM_KEY) !== sum) {
    throw new DataError(`${name}: values do not match the checksum: damaged, or changed by another program`);
  }
  return { ...head, nll, sqNorms, ...withViews(views), ...defined({ ids }) };
}

/** Column k of n numbers. */
function readDoubleColumn(bytes: Uint8Array, metadata: FileMetaData, k: number, n: number, name: string): Float64Array {
  const values = new Float64Array(n);
  let at = 0;
  for (const { where, chunk } of chunksOf(bytes, metadata, k, n, name, 'DOUBLE')) {
    for (const [i, value] of readDoubles(chunk).entries()) {
      if (value === undefined) throw new DataError(`${where}: row ${i} holds no number`);
      values[at++] = value;
    }
  }
  return values;
}

/** Column k of n texts. */
function readTextColumn(bytes: Uint8Array, metadata: FileMetaData, k: number, n: number, name: string): string[] {
  const texts: string[] = [];
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (const { where, chunk } of chunksOf(bytes, metadata, k, n, name, 'BYTE_ARRAY')) {
    for (const [i, value] of readByteArrays(chunk).entries()) {
      if (value === undefined) throw new DataError(`${where}: row ${i} holds no text`);
      texts.push(decoder.decode(value));
    }
  }
  return texts;
}

/** Column k, row group by row group, n rows in all. */
function* chunksOf(
  bytes: Uint8Array,
  { schema, row_groups: groups }: FileMetaData,
  k: number,
  n: number,
  name: string,
  expected: 'DOUBLE' | 'BYTE_ARRAY',
) {
  const { name: column, type, repetition_type: repetition } = schema[k + 1]!;
  if (type !== expected || repetition === 'REPEATED') {
    throw new DataError(`${name}: column '${column}' is ${repetition} ${type}, expected ${expected}`);
  }
  let first = 0;
  for (const [g, group] of groups.entries()) {
    const where = `${name}: row group ${g}, column '${column}'`;
    const rows = Number(group.num_rows);
    if (!(rows >= 0 && rows <= n - first)) throw new DataError(`${where}: has ${rows} rows, expected ${n} in all`);
    const { codec, from, to } = placeOf(where, bytes.length, column, group);
    const maxDefinition = repetition === 'REQUIRED' ? 0 : 1;
    yield { where, chunk: { where, bytes: bytes.subarray(from, to), codec, rows, maxDefinition } };
    first += rows;
  }
  if (first !== n) throw new DataError(`${name}: its row groups have ${first} rows, expected ${n}`);
}

/** Whatever the library throws on a damaged file is the file's fault. */
async function guard<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw decodingError(error, name, 'not a Parquet file, or damaged');
  }
}

function checksum(head: string, arrays: readonly Float64Array[], ids: readonly string[] | undefined): string {
  const hash = host().sha256().update(head);
  for (const array of arrays) hash.update(bytesOf(array));
  if (ids) hash.update(idBytes(ids));
  return hash.digest();
}

/** Each with its length, so that no two lists of them have the same bytes. */
function idBytes(ids: readonly string[]): Uint8Array {
  return new TextEncoder().encode(ids.map((id) => `${id.length}:${id}`).join(''));
}

function bytesOf(array: Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
