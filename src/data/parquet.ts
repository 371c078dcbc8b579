// Parquet files in the Hugging Face image layout -> data set. A column `image` or `img` is a struct {bytes, path} whose
// bytes are a PNG, JPEG or WebP picture. Row groups are read one at a time.

import { type FileMetaData, parquetMetadataAsync } from 'hyparquet';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import type { Dataset } from './dataset.ts';
import { type DecodeImage, type ImageGroup, imageDataset } from './images.ts';
import { type ChunkPlace, HEAD, loadCodec, placeOf, readByteArrays, TAIL } from './parquet-pages.ts';
import type { ByteSource, EncodedFile } from './source.ts';

const COLUMNS = ['image', 'img'] as const;

/**
 * A Parquet file of pictures under the input name 'x'. The pictures are checked as they are decoded; all must have
 * one size and one number of channels. Throws a DataError for a file that is missing, damaged, empty or of another layout.
 */
export async function openParquet(
  source: ByteSource,
  decode: DecodeImage,
  name: string = source.name,
): Promise<Dataset> {
  const { size, name: path } = source;
  const fingerprint = await hashOf(source);
  const groups = await guard(path, 'not a Parquet file, or damaged', async () => {
    if (size < HEAD + TAIL) throw new Error(`it has ${size} bytes, the smallest Parquet file has ${HEAD + TAIL}`);
    const file = {
      byteLength: size,
      // A copy, as the library takes a whole ArrayBuffer.
      slice: async (from: number, to = size) => (await source.read(from, to - from)).slice().buffer as ArrayBuffer,
    };
    // Geographic metadata is none of our business, and parsing it is one more way for a damaged file to fail.
    return planGroups(path, size, await parquetMetadataAsync(file, { geoparquet: false }));
  });
  const images: ImageGroup[] = groups.map((group) => ({ length: group.rows, load: () => loadGroup(source, group) }));
  return imageDataset(name, fingerprint, images, { decode, where: path });
}

/** Where the pictures of a row group lie. */
interface GroupPlace extends ChunkPlace {
  readonly index: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly column: ImageColumn;
}

/** The row groups of the file. Refuses a file whose own counts disagree, with each other or with its size. */
function planGroups(path: string, fileSize: number, metadata: FileMetaData): GroupPlace[] {
  const column = imageColumn(path, metadata.schema);
  const counts = metadata.row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (counts.some((n) => !Number.isSafeInteger(n) || n < 0) || total !== Number(metadata.num_rows)) {
    throw new DataError(`${path}: row groups have ${counts.join(' + ')} rows, the header says ${metadata.num_rows}`);
  }
  // Equal pictures could be packed more tightly than that, but nobody keeps such a set, and a damaged count is caught.
  if (total > fileSize) throw new DataError(`${path}: the header says ${total} rows, the file has ${fileSize} bytes`);
  let firstRow = 0;
  return metadata.row_groups.map((group, index) => {
    const place = placeOf(`${path}: row group ${index}`, fileSize, `${column.name}.bytes`, group);
    const rows = counts[index]!;
    firstRow += rows;
    return { ...place, index, rows, column, firstRow: firstRow - rows };
  });
}

interface ImageColumn {
  readonly name: string;
  /** How many of the column and its field `bytes` are optional. */
  readonly maxDefinition: number;
}

/** The image column. The schema is a flat list in depth-first order, each element with its number of children. */
function imageColumn(path: string, schema: FileMetaData['schema']): ImageColumn {
  const names: string[] = [];
  let at = 1; // 0 is the root
  while (at < schema.length) {
    const element = schema[at]!;
    names.push(element.name);
    const end = subtreeEnd(schema, at);
    const bytes = schema.slice(at + 1, end).find((child) => child.name === 'bytes');
    if (COLUMNS.some((column) => column === element.name) && bytes) {
      const repeats = [element, bytes].some((e) => e.repetition_type === 'REPEATED');
      if (repeats || bytes.type !== 'BYTE_ARRAY') {
        const found = repeats ? 'a list' : `of type ${bytes.type}`;
        throw new DataError(`${path}: ${element.name}.bytes is ${found}, expected one byte array a row`);
      }
      const optional = [element, bytes].filter((e) => e.repetition_type !== 'REQUIRED');
      return { name: element.name, maxDefinition: optional.length };
    }
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

async function loadGroup(source: ByteSource, group: GroupPlace): Promise<readonly EncodedFile[]> {
  const path = source.name;
  const { index, firstRow, rows, codec, from, to } = group;
  const { name, maxDefinition } = group.column;
  const where = `${path}: row group ${index}`;
  const bytes = await guard(path, `row group ${index}`, () => source.read(from, to - from));
  if (bytes.length !== to - from) {
    throw new DataError(`${where}: has ${bytes.length} bytes, the header says ${to - from}; has the file changed?`);
  }
  await loadCodec(codec);
  return readByteArrays({ where, bytes, codec, rows, maxDefinition }).map((picture, i) => {
    if (!picture) throw new DataError(`${path}: row ${firstRow + i}: holds no picture in ${name}.bytes`);
    return { bytes: picture, where: `${path}: row ${firstRow + i}` };
  });
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

/** Bytes that are hashed at a time. */
const PIECE = 2 ** 20;

async function hashOf(source: ByteSource): Promise<string> {
  const hash = host().sha256();
  for (let at = 0; at < source.size; at += PIECE) {
    hash.update(await source.read(at, Math.min(PIECE, source.size - at)));
  }
  return hash.digest();
}
