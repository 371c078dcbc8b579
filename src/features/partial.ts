// The rows of an unfinished table on disk: appended run by run, read back up to the last whole row after a kill.

import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { reasonOf } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { type FeatureTable, headOf, parseAs, parseHead, type TableHead } from './table.ts';

// One line of JSON, then rows of 2 + L doubles: nll, squared norms, check. A line that is not complete counts as nothing.

export interface Partial {
  readonly head: TableHead;
  /** The example after the last that the run is for. */
  readonly end: number;
  /** Whole rows in the file, from the first. */
  readonly rows: number;
  /** Where the first row begins, and where the last whole one ends. */
  readonly from: number;
  readonly validBytes: number;
}

/** Rows that are in memory together. */
const CHUNK = 1000;

/** What is in the file; undefined where not even the head is. Throws a DataError where the head is not one of ours. */
export async function readPartial(path: string): Promise<Partial | undefined> {
  return withFile(path, async (handle) => {
    const line = await readLine(handle);
    if (line === undefined) return undefined;
    const schema = z.looseObject({ end: z.int().min(1) });
    const { end, ...rest } = parseAs(schema, parseLine(line, path), path);
    const head = parseHead(rest, path);
    const from = line.length + 1;
    let rows = 0;
    for await (const chunk of chunks(handle, head, from)) {
      const width = head.names.length + 2;
      const wrong = Array.from({ length: chunk.length / width }, (_, i) => i).find(
        (i) => chunk[(i + 1) * width - 1] !== check(chunk.subarray(i * width, (i + 1) * width - 1)),
      );
      rows += wrong ?? chunk.length / width;
      if (wrong !== undefined) break;
    }
    return { head, end, rows, from, validBytes: from + rows * 8 * (head.names.length + 2) };
  });
}

/** The rows of the file, of which there is at least one, as tables of up to 1,000 rows each. */
export async function* partialTables(path: string, { head, rows, from }: Partial): AsyncGenerator<FeatureTable> {
  const l = head.names.length;
  const handle = await open(path, 'r');
  try {
    let done = 0;
    for await (const chunk of chunks(handle, head, from)) {
      const n = Math.min(chunk.length / (l + 2), rows - done);
      if (n === 0) return;
      const nll = Float64Array.from({ length: n }, (_, i) => chunk[i * (l + 2)]!);
      const sqNorms = new Float64Array(n * l);
      for (let i = 0; i < n; i++) sqNorms.set(chunk.subarray(i * (l + 2) + 1, (i + 1) * (l + 2) - 1), i * l);
      yield { ...head, nll, sqNorms, meta: { ...head.meta, start: head.meta.start + done * head.group } };
      done += n;
    }
  } finally {
    await handle.close();
  }
}

/** The numbers of whole rows, checks included. */
async function* chunks(handle: FileHandle, head: TableHead, from: number): AsyncGenerator<Float64Array> {
  const rowBytes = 8 * (head.names.length + 2);
  const { size } = await handle.stat();
  for (let at = from; at + rowBytes <= size; ) {
    const length = Math.min(CHUNK, Math.floor((size - at) / rowBytes)) * rowBytes;
    yield new Float64Array((await readAt(handle, at, length)).buffer);
    at += length;
  }
}

/** The first line without its end; undefined where the file has none. */
async function readLine(handle: FileHandle): Promise<Uint8Array | undefined> {
  const { size } = await handle.stat();
  for (let length = 2 ** 16; ; length *= 4) {
    const bytes = await readAt(handle, 0, Math.min(length, size));
    const end = bytes.indexOf(0x0a);
    if (end >= 0) return bytes.subarray(0, end);
    if (length >= size) return undefined;
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
    throw new DataError(`${path}: does not start with a line of JSON; delete it to start over`);
  }
}

export interface PartialWriter {
  /** Rows that follow those before them. */
  append(table: FeatureTable): Promise<void>;
  close(): Promise<void>;
}

/** Goes on behind the `before` that was read from the file, or starts it anew. */
export async function openPartial(path: string, end: number, before: Partial | undefined): Promise<PartialWriter> {
  const failed = (error: unknown) =>
    new DataError(`${path}: cannot write: ${reasonOf(error, dirname(path))}`, { cause: error });
  let handle: FileHandle;
  try {
    handle = await open(path, before ? 'r+' : 'w');
    await handle.truncate(before?.validBytes ?? 0);
  } catch (error) {
    throw failed(error);
  }
  let position = before?.validBytes ?? 0;
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position);
      at += bytesWritten;
      position += bytesWritten;
    }
  };
  return {
    append: async (table) => {
      try {
        if (position === 0) await write(new TextEncoder().encode(`${JSON.stringify({ ...headOf(table), end })}\n`));
        await write(encodeRows(table));
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => handle.close(),
  };
}

function encodeRows(table: FeatureTable): Uint8Array {
  const l = table.names.length;
  const width = l + 2;
  const rows = new Float64Array(table.nll.length * width);
  table.nll.forEach((nll, i) => {
    const row = rows.subarray(i * width, (i + 1) * width);
    row[0] = nll;
    row.set(table.sqNorms.subarray(i * l, (i + 1) * l), 1);
    row[width - 1] = check(row.subarray(0, width - 1));
  });
  return new Uint8Array(rows.buffer);
}

/** FNV-1a over 32-bit words: tells a row from what a crash may leave in its place. Never 0, as a page of zeros would be. */
function check(row: Float64Array): number {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(row.buffer, row.byteOffset, 2 * row.length)) {
    hash = Math.imul(hash ^ word, 0x01000193);
  }
  return (hash >>> 0) + 1;
}
