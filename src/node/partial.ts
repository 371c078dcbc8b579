// The rows of an unfinished table on disk: appended run by run, read back up to the last whole row after a kill.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { DataError } from '../errors.ts';
import type { FeatureTable } from '../features/table.ts';
import { columnsOf, headOf, parseHead, type TableHead } from '../features/table-head.ts';
import { parseAs } from '../json.ts';
import { pathKind, reasonOf } from './files.ts';

// One line of JSON, then rows of doubles: nll, squared norms, views in the order of the head, check. A line that is not
// complete counts as nothing.

export interface Partial {
  readonly head: TableHead;
  readonly run: RunKey;
  /** Whole rows in the file, from the first. */
  readonly rows: number;
  /** Where the first row begins, and where the last whole one ends. */
  readonly from: number;
  readonly validBytes: number;
  /** Whether nothing follows the first line, not even a row that is not whole. */
  readonly empty: boolean;
}

/** What decides, beside the head, which rows a run writes. */
export interface RunKey {
  /** The example after the last that the run is for. */
  readonly end: number;
  /** `originHash` of the data: the same labels or slice may mean other examples of the same file. */
  readonly origin: string;
  readonly plan: string;
  /** Of the code: see `ROWS`. */
  readonly version: number;
}

const keySchema = z.strictObject({ end: z.int().min(1), origin: z.string(), plan: z.string(), version: z.int() });

/** Rows that are in memory together. */
const CHUNK = 1000;

/** The first line of a run's file: what it is of. */
export function firstLine(head: TableHead, run: RunKey): string {
  return `${JSON.stringify({ ...headOf(head), run })}\n`;
}

/**
 * What is in the file; undefined where there is none, or a run with this first line was killed before the line was
 * whole. Throws a DataError for a file that is not one of ours.
 */
export async function readPartial(path: string, line: string): Promise<Partial | undefined> {
  const kind = await pathKind(path);
  if (kind === 'nothing') return undefined;
  if (!(await stat(path)).isFile())
    throw new DataError(`${path}: is no regular file, expected the rows of a run or nothing`);
  return withFile(path, async (handle) => {
    const bytes = await readLine(handle);
    if (!bytes.whole) {
      if (line.startsWith(new TextDecoder().decode(bytes.line))) return undefined;
      throw foreign(path);
    }
    const { run, ...rest } = parseAs(z.looseObject({ run: z.unknown().optional() }), parseLine(bytes.line, path), path);
    if (run === undefined) {
      throw new DataError(`${path}: does not say which run it is of, as this version does; delete it to start over`);
    }
    const key = parseAs(keySchema, run, path);
    const head = parseHead(rest, path);
    const from = bytes.line.length + 1;
    let rows = 0;
    for await (const chunk of chunks(handle, head, from)) {
      const width = widthOf(head);
      const wrong = Array.from({ length: chunk.length / width }, (_, i) => i).find(
        (i) => chunk[(i + 1) * width - 1] !== check(chunk.subarray(i * width, (i + 1) * width - 1)),
      );
      rows += wrong ?? chunk.length / width;
      if (wrong !== undefined) break;
    }
    const empty = (await handle.stat()).size === from;
    return { head, run: key, rows, from, validBytes: from + rows * 8 * widthOf(head), empty };
  });
}

/** The rows of the file, of which there is at least one, as tables of up to 1,000 rows each. */
export async function* partialTables(path: string, { head, rows, from }: Partial): AsyncGenerator<FeatureTable> {
  const width = widthOf(head);
  const views = head.meta.views ?? [];
  const handle = await open(path, 'r');
  try {
    let done = 0;
    for await (const chunk of chunks(handle, head, from)) {
      const n = Math.min(chunk.length / width, rows - done);
      if (n === 0) return;
      const nll = Float64Array.from({ length: n }, (_, i) => chunk[i * width]!);
      let first = 1;
      const matrix = (l: number) => {
        const values = new Float64Array(n * l);
        for (let i = 0; i < n; i++) values.set(chunk.subarray(i * width + first, i * width + first + l), i * l);
        first += l;
        return values;
      };
      const sqNorms = matrix(head.names.length);
      const found = views.map((view) => [view, matrix(columnsOf(head, view).length)]);
      const meta = { ...head.meta, start: head.meta.start + done * head.group };
      const more = found.length === 0 ? {} : { views: Object.fromEntries(found) };
      yield { ...head, nll, sqNorms, ...more, meta };
      done += n;
    }
  } finally {
    await handle.close();
  }
}

/** Doubles of a row. */
const widthOf = (head: TableHead): number =>
  [undefined, ...(head.meta.views ?? [])].reduce((sum, view) => sum + columnsOf(head, view).length, 2);

/** The numbers of whole rows, checks included. */
async function* chunks(handle: FileHandle, head: TableHead, from: number): AsyncGenerator<Float64Array> {
  const rowBytes = 8 * widthOf(head);
  const { size } = await handle.stat();
  for (let at = from; at + rowBytes <= size; ) {
    const length = Math.min(CHUNK, Math.floor((size - at) / rowBytes)) * rowBytes;
    yield new Float64Array((await readAt(handle, at, length)).buffer);
    at += length;
  }
}

/** The first line without its end, or all there is of it. */
async function readLine(handle: FileHandle): Promise<{ line: Uint8Array; whole: boolean }> {
  const { size } = await handle.stat();
  for (let length = 2 ** 16; ; length *= 4) {
    const bytes = await readAt(handle, 0, Math.min(length, size));
    const end = bytes.indexOf(0x0a);
    if (end >= 0) return { line: bytes.subarray(0, end), whole: true };
    if (length >= size) return { line: bytes, whole: false };
  }
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new Error('the file became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}

async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    return await use(handle);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: cannot read: ${reasonOf(error, dirname(path))}`, { cause: error });
  } finally {
    await handle?.close();
  }
}

function parseLine(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw foreign(path);
  }
}

const foreign = (path: string) =>
  new DataError(`${path}: does not start with a line of JSON; delete it to start over, or write elsewhere`);

export interface PartialWriter {
  /** Rows that follow those before them. */
  append(table: FeatureTable): Promise<void>;
  close(): Promise<void>;
}

/** Goes on behind the `before` that was read from the file, or starts it anew with `line`. */
export async function openPartial(path: string, line: string, before: Partial | undefined): Promise<PartialWriter> {
  const failed = (error: unknown) =>
    new DataError(`${path}: cannot write: ${reasonOf(error, dirname(path))}`, { cause: error });
  let position = before?.validBytes ?? 0;
  const handle = await open(path, before ? 'r+' : 'w').catch((error: unknown) => {
    throw failed(error);
  });
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position);
      at += bytesWritten;
      position += bytesWritten;
    }
  };
  try {
    await handle.truncate(position);
    if (!before) await write(new TextEncoder().encode(line));
  } catch (error) {
    await handle.close();
    throw failed(error);
  }
  return {
    append: async (table) => {
      try {
        await write(encodeRows(table));
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => handle.close(),
  };
}

function encodeRows(table: FeatureTable): Uint8Array {
  const width = widthOf(table);
  const n = table.nll.length;
  const matrices = [table.sqNorms, ...(table.meta.views ?? []).map((view) => table.views![view]!)];
  const rows = new Float64Array(table.nll.length * width);
  table.nll.forEach((nll, i) => {
    const row = rows.subarray(i * width, (i + 1) * width);
    row[0] = nll;
    let at = 1;
    for (const values of matrices) {
      const l = values.length / n;
      row.set(values.subarray(i * l, (i + 1) * l), at);
      at += l;
    }
    row[width - 1] = check(row.subarray(0, width - 1));
  });
  return new Uint8Array(rows.buffer);
}

/**
 * FNV-1a over 32-bit words: tells a row from what a crash may leave in its place. Never 0, as a page of zeros would be.
 */
function check(row: Float64Array): number {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(row.buffer, row.byteOffset, 2 * row.length)) {
    hash = Math.imul(hash ^ word, 0x01000193);
  }
  return (hash >>> 0) + 1;
}
