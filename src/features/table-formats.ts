// A feature table in, the bytes of an .npz, .parquet or .json file out; and back, with everything checked.

import { checkTable, type FeatureTable } from './table.ts';
import { decodeJson, encodeJson } from './table-json.ts';
import { decodeNpz, encodeNpz } from './table-npz.ts';
import { decodeParquet, encodeParquet } from './table-parquet.ts';

/**
 * How one format writes and reads. `name` is the file's, for messages; `decode` throws a DataError for whatever is
 * wrong.
 */
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

/**
 * The bytes of a file. Throws a DataError when the table breaks an invariant (`checkTable`) or the format cannot hold
 * it.
 */
export async function encodeTable(table: FeatureTable, format: TableFormat, name: string): Promise<Uint8Array> {
  return tableFormats[format].encode(checkTable(table, name), name);
}

/** The table in the bytes of a file. Throws a DataError that names the file, what was found and what was expected. */
export async function decodeTable(bytes: Uint8Array, format: TableFormat, name: string): Promise<FeatureTable> {
  return checkTable(await tableFormats[format].decode(bytes, name), name);
}
