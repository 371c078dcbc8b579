// A path in, a feature table out, and back; the file name's extension tells the format.

import { checkArguments, table as tableRule, text } from '../arguments.ts';
import { UsageError } from '../errors.ts';
import { concatTables, type FeatureTable, type StoredTable } from '../features/table.ts';
import { decodeTable, encodeTable, type TableFormat, tableFormats } from '../features/table-formats.ts';
import { writeParquet } from '../features/table-parquet.ts';
import { readFileBytes, writeFileAtomic } from './files.ts';

/** The format of a path. Throws a UsageError for another extension. Call it before the work, not after. */
export function tableFormatOf(path: string): TableFormat {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
  if (Object.hasOwn(tableFormats, extension)) return extension as TableFormat;
  const known = Object.keys(tableFormats).map((format) => `.${format}`);
  throw new UsageError(`${path}: ends in '${extension && `.${extension}`}', expected one of ${known.join(', ')}`);
}

/** Reads a table. Throws a DataError for a missing, damaged or inconsistent file and for NaN or infinite values. */
export async function readTable(path: string): Promise<FeatureTable> {
  const format = tableFormatOf(path);
  return decodeTable(await readFileBytes(path), format, path);
}

/**
 * Writes a table; the file appears whole or not at all. Throws a DataError for NaN or infinite values and a full disk.
 */
export async function writeTable(path: string, table: FeatureTable): Promise<void> {
  checkArguments('writeTable', { path, table }, { path: text, table: tableRule });
  await writeFileAtomic(path, await encodeTable(table, tableFormatOf(path), path));
}

/** As `writeTable`; a Parquet file is written with no more than one of the tables in memory. */
export async function writeStored(path: string, stored: StoredTable): Promise<void> {
  if (tableFormatOf(path) === 'parquet') {
    await writeFileAtomic(path, (append) => writeParquet(stored, append, path));
    return;
  }
  const parts: FeatureTable[] = [];
  for await (const part of stored.tables()) parts.push(part);
  await writeTable(path, concatTables(parts));
}
