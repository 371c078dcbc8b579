// Parquet files in the Hugging Face image layout -> data set. A column `image` or `img` is a struct {bytes, path} whose
// bytes are a PNG, JPEG or WebP picture. Row groups are read one at a time.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DataError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { pathKind, reasonOf } from './files.ts';
import { type EncodedImage, type ImageGroup, imageDataset } from './images.ts';

const COLUMNS = ['image', 'img'] as const;

/**
 * Opens a Parquet file of pictures under the input name 'x'. The pictures are checked as they are decoded; all must have
 * one size and one number of channels. Throws a DataError for a file that is missing, damaged, empty or of another layout.
 */
export async function openParquet(path: string, name: string = path): Promise<Dataset> {
  const kind = await pathKind(path);
  if (kind !== 'file')
    throw new DataError(`${path}: ${kind === 'folder' ? 'is a folder' : 'no such file'}, expected a Parquet file`);
  const fingerprint = await hashFile(path);
  const { file, metadata } = await guard(path, 'not a Parquet file, or damaged', async () => {
    const buffer = await asyncBufferFromFile(path);
    if (buffer.byteLength < 12) throw new Error(`it has ${buffer.byteLength} bytes, the smallest Parquet file has 12`);
    // Geographic metadata is none of our business, and parsing it is one more way for a damaged file to fail.
    return { file: buffer, metadata: await parquetMetadataAsync(buffer, { geoparquet: false }) };
  });
  const column = imageColumn(path, metadata);
  const groups: ImageGroup[] = [];
  let rowStart = 0;
  for (const [index, group] of rowGroups(path, metadata).entries()) {
    const start = rowStart;
    groups.push({
      length: group,
      load: () => loadGroup({ path, file, metadata, column, index, start, length: group }),
    });
    rowStart += group;
  }
  return imageDataset(name, fingerprint, groups);
}

/** The rows of each row group. Refuses a file whose own counts disagree. */
function rowGroups(path: string, metadata: FileMetaData): readonly number[] {
  const counts = metadata.row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (counts.some((n) => !Number.isSafeInteger(n) || n < 0) || total !== Number(metadata.num_rows)) {
    throw new DataError(`${path}: row groups have ${counts.join(' + ')} rows, the header says ${metadata.num_rows}`);
  }
  return counts;
}

/** The name of the image column. The schema is a flat list in depth-first order, each with its number of children. */
function imageColumn(path: string, metadata: FileMetaData): string {
  const names: string[] = [];
  const { schema } = metadata;
  let at = 1; // 0 is the root
  while (at < schema.length) {
    const element = schema[at]!;
    names.push(element.name);
    const end = subtreeEnd(schema, at);
    const children = schema.slice(at + 1, end).map((child) => child.name);
    if (COLUMNS.some((column) => column === element.name) && children.includes('bytes')) return element.name;
    at = end;
  }
  throw new DataError(
    `${path}: has the columns ${names.join(', ') || '(none)'}; expected 'image' or 'img', a struct with the field 'bytes'`,
  );
}

/** One past the last descendant of element `at`. */
function subtreeEnd(schema: FileMetaData['schema'], at: number): number {
  let open = 1;
  let i = at;
  while (open > 0 && i < schema.length) {
    open += (schema[i]!.num_children ?? 0) - 1;
    i++;
  }
  return i;
}

interface GroupPlace {
  readonly path: string;
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly column: string;
  readonly index: number;
  readonly start: number;
  readonly length: number;
}

async function loadGroup(place: GroupPlace): Promise<readonly EncodedImage[]> {
  const { path, file, metadata, column, index, start, length } = place;
  const rows = await guard(path, `row group ${index} is damaged`, () =>
    parquetReadObjects({
      file,
      metadata,
      compressors,
      columns: [column],
      rowStart: start,
      rowEnd: start + length,
      utf8: false, // the bytes of a picture are not text, whatever the schema leaves unsaid
      geoparquet: false,
    }),
  );
  if (rows.length !== length) {
    throw new DataError(`${path}: row group ${index} has ${rows.length} rows, the header says ${length}`);
  }
  return rows.map((row, i) => {
    const where = `${path}: row ${start + i}`;
    const cell: unknown = row[column];
    const bytes: unknown = typeof cell === 'object' && cell !== null && 'bytes' in cell ? cell.bytes : undefined;
    if (!(bytes instanceof Uint8Array)) throw new DataError(`${where}: holds no picture in ${column}.bytes`);
    return { bytes, where };
  });
}

/** Whatever the library throws on a damaged file is the file's fault, and becomes a DataError that names it. */
async function guard<T>(path: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new DataError(`${path}: ${what}: ${reasonOf(error, path)}`, { cause: error });
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw new DataError(`${path}: cannot read: ${reasonOf(error, path)}`, { cause: error });
  }
  return hash.digest('hex');
}
