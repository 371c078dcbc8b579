// A feature table in, the bytes of a .parquet file out, whole or piece by piece; and back.

import type { FileMetaData } from 'hyparquet';
import * as z from 'zod';
import { decodingError } from '../data/decoding.ts';
import { loadCodec, placeOf, readDoubles } from '../data/parquet-pages.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { parseAs, parseJson } from '../json.ts';
import { checkTable, type FeatureTable, rowsOf, type StoredTable } from './table.ts';
import { columnsOf, headOf, parseHead, type TableHead } from './table-head.ts';
import { asObject, withViews } from './table-records.ts';

// .parquet: a column `nll` and one column of doubles per layer under the layer's own name, then one of `radial NAME` per layer for the view of
// that name, if it is there, and so on, with `parts NAME` per part; the head as JSON in the key-value
// metadata. Columns rather than one LIST column, because that is what Parquet is for: `SELECT corr("conv1.weight",
// "conv2.weight")` and `df.describe()` work as they are, and a reader may fetch only the layers it wants.

/** Keys of the metadata. The checksum is ours because Parquet's pages carry none by default. */
const HEAD_KEY = 'fisher-ood';
const CHECKSUM_KEY = 'fisher-ood.sha256';

export async function encodeParquet(table: FeatureTable, name: string): Promise<Uint8Array> {
  checkNames(table, name);
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const head = headText(table, rowsOf(table));
  const bytes = parquetWriteBuffer({
    columnData: columnData(table),
    kvMetadata: [
      { key: HEAD_KEY, value: head },
      { key: CHECKSUM_KEY, value: checksum(head, table.nll, table.sqNorms, ...Object.values(viewsOf(table))) },
    ],
  });
  return new Uint8Array(bytes);
}

/**
 * Writes a Parquet file piece by piece: one row group for each of the tables. They are asked for once for each column group, since the checksum
 * is of all nll first, then of all norms, then of each view.
 */
export async function writeParquet(
  { head, rows, tables }: StoredTable,
  append: (bytes: Uint8Array) => Promise<void>,
  name: string,
): Promise<void> {
  checkNames(head, name);
  const text = headText(head, rows);
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
    schema: [
      { name: 'root', num_children: columnNames(head).length },
      ...columnNames(head).map((column) => ({
        name: column,
        type: 'DOUBLE' as const,
        repetition_type: 'REQUIRED' as const,
      })),
    ],
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
  kvMetadata.push({ key: CHECKSUM_KEY, value: hash.digest() });
  await writer.finish();
  await append(buffer.getBytes());
}

const headText = (head: TableHead, rows: number) => JSON.stringify({ ...headOf(head), rows });

function checkNames(head: TableHead, name: string): void {
  const seen = new Set<string>();
  for (const column of columnNames(head)) {
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

/** In the order of the head. */
const viewsOf = ({ meta, views }: FeatureTable): Float64Array[] => (meta.views ?? []).map((view) => views![view]!);

function columnData(table: FeatureTable) {
  const { nll, sqNorms } = table;
  const data = [
    nll,
    ...[sqNorms, ...viewsOf(table)].flatMap((values) => {
      const width = values.length / nll.length;
      return Array.from({ length: width }, (_, j) => nll.map((_, i) => values[i * width + j]!));
    }),
  ];
  return columnNames(table).map((name, k) => ({ name, data: data[k]!, type: 'DOUBLE' as const, nullable: false }));
}

export async function decodeParquet(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const file = {
    byteLength: bytes.length,
    // A copy, as the library takes a whole ArrayBuffer. Not bytes.slice(): a Node Buffer, as files give, slices without copying.
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
  const { rows, ...rest } = asObject(parseJson(text, `${name}: metadata`), `${name}: metadata`);
  const n = parseAs(z.int().min(1), rows, `${name}: metadata: rows`);
  const head = parseHead(rest, `${name}: metadata`);
  const found = metadata.schema.slice(1).map((element) => element.name);
  const expected = columnNames(head);
  const odd = expected.findIndex((column, j) => column !== found[j]);
  if (odd >= 0 || found.length !== expected.length || Number(metadata.num_rows) !== n) {
    const mismatch = odd < 0 ? '' : `, column ${odd} is '${found[odd]}', expected '${expected[odd]}'`;
    const sizes = `${found.length} columns and ${metadata.num_rows} rows, expected ${expected.length} and ${n}`;
    throw new DataError(`${name}: has ${sizes}${mismatch}`);
  }
  // Runs of equal numbers take next to nothing, but not in every column; this only stops absurd claims before allocation.
  if (n * expected.length > Math.max(1e6, bytes.length * 64)) {
    throw new DataError(`${name}: claims ${n} rows × ${expected.length} columns in ${bytes.length} bytes`);
  }
  const codecs = metadata.row_groups.flatMap((group) => group.columns.map((column) => column.meta_data?.codec ?? ''));
  for (const codec of new Set(codecs)) await guard(name, () => loadCodec(codec));
  const columns = await guard(name, () => expected.map((_, k) => readDoubleColumn(bytes, metadata, k, n, name)));
  const nll = columns[0]!;
  let first = 1;
  const matrix = (width: number) => {
    const own = columns.slice(first, first + width);
    first += width;
    return Float64Array.from({ length: n * width }, (_, at) => own[at % width]![Math.floor(at / width)]!);
  };
  const sqNorms = matrix(head.names.length);
  const views = (head.meta.views ?? []).map((view) => [view, matrix(columnsOf(head, view).length)] as const);
  const sum = checksum(text, nll, sqNorms, ...views.map(([, values]) => values));
  if (entry(CHECKSUM_KEY) !== sum) {
    throw new DataError(`${name}: values do not match the checksum: damaged, or changed by another program`);
  }
  return { ...head, nll, sqNorms, ...withViews(views) };
}

/** Column k of n numbers. */
function readDoubleColumn(
  bytes: Uint8Array,
  { schema, row_groups: groups }: FileMetaData,
  k: number,
  n: number,
  name: string,
): Float64Array {
  const { name: column, type, repetition_type: repetition } = schema[k + 1]!;
  if (type !== 'DOUBLE' || repetition === 'REPEATED') {
    throw new DataError(`${name}: column '${column}' is ${repetition} ${type}, expected DOUBLE`);
  }
  const values = new Float64Array(n);
  let first = 0;
  for (const [g, group] of groups.entries()) {
    const where = `${name}: row group ${g}, column '${column}'`;
    const rows = Number(group.num_rows);
    if (!(rows >= 0 && rows <= n - first)) throw new DataError(`${where}: has ${rows} rows, expected ${n} in all`);
    const { codec, from, to } = placeOf(where, bytes.length, column, group);
    const maxDefinition = repetition === 'REQUIRED' ? 0 : 1;
    const found = readDoubles({ where, bytes: bytes.subarray(from, to), codec, rows, maxDefinition });
    for (const [i, value] of found.entries()) {
      if (value === undefined) throw new DataError(`${where}: row ${i} holds no number`);
      values[first + i] = value;
    }
    first += rows;
  }
  if (first !== n) throw new DataError(`${name}: its row groups have ${first} rows, expected ${n}`);
  return values;
}

/** Whatever the library throws on a damaged file is the file's fault. */
async function guard<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw decodingError(error, name, 'not a Parquet file, or damaged');
  }
}

function checksum(head: string, ...arrays: readonly Float64Array[]): string {
  const hash = host().sha256().update(head);
  for (const array of arrays) hash.update(bytesOf(array));
  return hash.digest();
}

function bytesOf(array: Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
