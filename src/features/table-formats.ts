// A feature table in, the bytes of an .npz, .parquet or .json file out; and back, with everything checked.

import type { FileMetaData } from 'hyparquet';
import * as z from 'zod';
import { decodingError } from '../data/decoding.ts';
import { type NpyArray, readNpz, writeNpz } from '../data/npy.ts';
import { loadCodec, placeOf, readDoubles } from '../data/parquet-pages.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { parseAs, parseJson } from '../json.ts';
import {
  checkTable,
  type FeatureTable,
  headOf,
  headSchema,
  parseHead,
  rowsOf,
  type StoredTable,
  type TableHead,
  type View,
  viewNames,
} from './table.ts';

/** How one format writes and reads. `name` is the file's, for messages; `decode` throws a DataError for whatever is wrong. */
interface Format {
  encode(table: FeatureTable, name: string): Uint8Array | Promise<Uint8Array>;
  decode(bytes: Uint8Array, name: string): Promise<FeatureTable>;
}

/** The formats by file name extension. */
export const tableFormats = {
  npz: { encode: encodeNpz, decode: decodeNpz },
  parquet: { encode: encodeParquet, decode: decodeParquet },
  json: { encode: encodeJson, decode: decodeJson },
} as const satisfies Record<string, Format>;

export type TableFormat = keyof typeof tableFormats;

/** The bytes of a file. Throws a DataError when the table breaks an invariant (`checkTable`) or the format cannot hold it. */
export async function encodeTable(table: FeatureTable, format: TableFormat, name: string): Promise<Uint8Array> {
  return tableFormats[format].encode(checkTable(table, name), name);
}

/** The table in the bytes of a file. Throws a DataError that names the file, what was found and what was expected. */
export async function decodeTable(bytes: Uint8Array, format: TableFormat, name: string): Promise<FeatureTable> {
  return checkTable(await tableFormats[format].decode(bytes, name), name);
}

// .npz: nll [n], sqnorm [n, L], names [L], dims [L] if known, and the rest as JSON in the single string `meta`. Readable as
// np.load(f)['sqnorm'] without allow_pickle.

function encodeNpz(table: FeatureTable): Uint8Array {
  const { names, dims, nll, sqNorms, views = {}, group, meta } = table;
  const n = rowsOf(table);
  const matrix = (data: Float64Array) => ({ dtype: 'float64', shape: [n, names.length], data }) as const;
  return writeNpz({
    nll: { dtype: 'float64', shape: [n], data: nll },
    sqnorm: matrix(sqNorms),
    ...Object.fromEntries(Object.entries(views).map(([view, data]) => [view, matrix(data)])),
    names: { dtype: 'string', shape: [names.length], data: names },
    ...(dims === undefined
      ? {}
      : { dims: { dtype: 'int64', shape: [dims.length], data: BigInt64Array.from(dims, BigInt) } }),
    meta: { dtype: 'string', shape: [], data: [JSON.stringify({ group, ...meta })] },
  });
}

async function decodeNpz(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const arrays = readNpz(bytes, name);
  const known = ['nll', 'sqnorm', ...viewNames, 'names', 'dims', 'meta'];
  const optional: readonly string[] = ['dims', ...viewNames];
  for (const key of known) {
    if (!optional.includes(key) && !Object.hasOwn(arrays, key)) {
      const found = Object.keys(arrays).join(', ') || 'none';
      const needed = known.filter((other) => !optional.includes(other)).join(', ');
      throw new DataError(`${name}: has no array '${key}' (found: ${found}), expected ${needed}`);
    }
  }
  const extra = Object.keys(arrays).find((key) => !known.includes(key));
  if (extra !== undefined) throw new DataError(`${name}: has an array '${extra}', expected only ${known.join(', ')}`);
  const nll = floats(arrays.nll!, 1, `${name}: array 'nll'`);
  const names = strings(arrays.names!, 1, `${name}: array 'names'`);
  const n = nll.shape[0]!;
  const matrix = (key: string) => {
    const { data, shape } = floats(arrays[key]!, 2, `${name}: array '${key}'`);
    const [rows, columns] = shape as [number, number];
    if (rows === n && columns === names.length) return data;
    const expected = `[${n}, ${names.length}] (nll × names)`;
    throw new DataError(`${name}: array '${key}' has shape [${rows}, ${columns}], expected ${expected}`);
  };
  const views = viewNames.filter((view) => Object.hasOwn(arrays, view)).map((view) => [view, matrix(view)] as const);
  const { group, ...meta } = asObject(
    parseJson(strings(arrays.meta!, 0, `${name}: array 'meta'`)[0]!, `${name}: array 'meta'`),
    `${name}: array 'meta'`,
  );
  const dims = Object.hasOwn(arrays, 'dims') ? integers(arrays.dims!, `${name}: array 'dims'`) : undefined;
  const head = parseHead({ names, group, meta, ...defined({ dims }) }, name);
  return { ...head, nll: nll.data, sqNorms: matrix('sqnorm'), ...withViews(views) };
}

/** Nothing where there are none. */
const withViews = (views: readonly (readonly [View, Float64Array])[]): Pick<FeatureTable, 'views'> =>
  views.length === 0 ? {} : { views: Object.fromEntries(views) };

function floats(array: NpyArray, rank: number, where: string): { data: Float64Array; shape: readonly number[] } {
  if (array.shape.length !== rank || (array.dtype !== 'float64' && array.dtype !== 'float32')) {
    throw new DataError(`${where} is ${describe(array)}, expected float64 or float32 of rank ${rank}`);
  }
  return { data: Float64Array.from(array.data), shape: array.shape };
}

function strings(array: NpyArray, rank: number, where: string): readonly string[] {
  if (array.dtype === 'string' && array.shape.length === rank) return array.data;
  throw new DataError(`${where} is ${describe(array)}, expected a unicode array of rank ${rank}`);
}

function integers(array: NpyArray, where: string): number[] {
  if (array.shape.length === 1 && (array.dtype === 'int64' || array.dtype === 'int32')) {
    return Array.from<number | bigint, number>(array.data, Number);
  }
  throw new DataError(`${where} is ${describe(array)}, expected int64 or int32 of rank 1`);
}

function describe(array: NpyArray): string {
  return `${array.dtype} [${array.shape.join(', ')}]`;
}

// .parquet: a column `nll` and one column of doubles per layer under the layer's own name, then one of `radial NAME` per layer for the view of
// that name, if it is there, and so on; the head as JSON in the key-value
// metadata. Columns rather than one LIST column, because that is what Parquet is for: `SELECT corr("conv1.weight",
// "conv2.weight")` and `df.describe()` work as they are, and a reader may fetch only the layers it wants.

/** Keys of the metadata. The checksum is ours because Parquet's pages carry none by default. */
const HEAD_KEY = 'fisher-ood';
const CHECKSUM_KEY = 'fisher-ood.sha256';

async function encodeParquet(table: FeatureTable, name: string): Promise<Uint8Array> {
  checkNames(table, name);
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const head = headText(table, rowsOf(table));
  const bytes = parquetWriteBuffer({
    columnData: columnsOf(table),
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
    await writer.write({ columnData: columnsOf(table), rowGroupSize: rowsOf(table) });
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
const columnNames = ({ names, meta }: TableHead): string[] => [
  'nll',
  ...names,
  ...(meta.views ?? []).flatMap((view) => names.map((name) => `${view} ${name}`)),
];

/** In the order of the head. */
const viewsOf = ({ meta, views }: FeatureTable): Float64Array[] => (meta.views ?? []).map((view) => views![view]!);

function columnsOf(table: FeatureTable) {
  const { nll, sqNorms } = table;
  const l = table.names.length;
  const data = [
    nll,
    ...[sqNorms, ...viewsOf(table)].flatMap((values) =>
      table.names.map((_, j) => nll.map((_, i) => values[i * l + j]!)),
    ),
  ];
  return columnNames(table).map((name, k) => ({ name, data: data[k]!, type: 'DOUBLE' as const, nullable: false }));
}

async function decodeParquet(bytes: Uint8Array, name: string): Promise<FeatureTable> {
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
  const l = head.names.length;
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
  const matrix = (k: number) =>
    Float64Array.from({ length: n * l }, (_, at) => columns[1 + k * l + (at % l)]![Math.floor(at / l)]!);
  const sqNorms = matrix(0);
  const views = (head.meta.views ?? []).map((view, k) => [view, matrix(k + 1)] as const);
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

// .json: {names, dims, group, meta, nll: [n], sqnorm: [[L] × n]}, and views of the shape of sqnorm; null stands for NaN, which JSON has no word for.

const jsonNumber = z.union([z.number(), z.null()]);
const jsonMatrix = z.array(z.array(jsonNumber));
const jsonViews = Object.fromEntries(viewNames.map((view) => [view, jsonMatrix.optional()])) as Record<
  View,
  z.ZodOptional<typeof jsonMatrix>
>;
const jsonSchema = headSchema.extend({ nll: z.array(jsonNumber), sqnorm: jsonMatrix, ...jsonViews });

function encodeJson(table: FeatureTable): Uint8Array {
  const l = table.names.length;
  const matrix = (values: Float64Array) =>
    Array.from(table.nll, (_, i) => Array.from(values.subarray(i * l, (i + 1) * l)));
  const { names, ...rest } = headOf(table);
  const views = Object.entries(table.views ?? {}).map(([view, values]) => [view, matrix(values)]);
  const all = { ...rest, names, nll: Array.from(table.nll), sqnorm: matrix(table.sqNorms) };
  return new TextEncoder().encode(`${JSON.stringify({ ...all, ...Object.fromEntries(views) })}\n`);
}

async function decodeJson(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const all = parseAs(jsonSchema, parseJson(new TextDecoder().decode(bytes), name), name);
  const { nll, sqnorm, radial, fisher, ...rest } = all;
  const head = parseHead(rest, name);
  const l = head.names.length;
  const matrix = (rows: z.infer<typeof jsonMatrix>, what: string) => {
    if (rows.length !== nll.length) {
      throw new DataError(`${name}: has ${rows.length} rows of ${what}, expected ${nll.length} (one per nll)`);
    }
    const ragged = rows.findIndex((row) => row.length !== l);
    if (ragged >= 0) {
      throw new DataError(`${name}: row ${ragged} has ${rows[ragged]!.length} ${what}, expected ${l} (one per name)`);
    }
    return Float64Array.from(rows.flat(), (value) => value ?? Number.NaN);
  };
  const views = Object.entries({ radial, fisher }).flatMap(([view, rows]) =>
    rows === undefined ? [] : [[view as View, matrix(rows, `values of ${view}`)] as const],
  );
  return {
    ...head,
    nll: Float64Array.from(nll, (value) => value ?? Number.NaN),
    sqNorms: matrix(sqnorm, 'squared norms'),
    ...withViews(views),
  };
}

/** With every key it has; zod leaves out __proto__. */
function asObject(value: unknown, where: string): Record<string, unknown> {
  parseAs(z.record(z.string(), z.unknown()), value, where);
  return value as Record<string, unknown>;
}
