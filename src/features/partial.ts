// The rows of an unfinished table on disk: appended run by run, read back up to the last whole row after a kill.

import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { readFileBytes, reasonOf } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { type FeatureTable, headOf, parseAs, parseHead, type TableHead } from './table.ts';

// One line of JSON, then rows of 2 + L doubles: nll, squared norms, check. A line that is not complete counts as nothing.

export interface Partial {
  readonly head: TableHead;
  /** The example after the last that the run is for. */
  readonly end: number;
  readonly table: FeatureTable | undefined;
  /** Where the last whole row ends. */
  readonly validBytes: number;
}

/** What is in the file; undefined where not even the head is. Throws a DataError where the head is not one of ours. */
export async function readPartial(path: string): Promise<Partial | undefined> {
  const bytes = await readFileBytes(path);
  const line = bytes.indexOf(0x0a);
  if (line < 0) return undefined;
  const { end, ...rest } = parseAs(
    z.looseObject({ end: z.int().min(1) }),
    parseLine(bytes.subarray(0, line), path),
    path,
  );
  const head = parseHead(rest, path);
  const l = head.names.length;
  const width = l + 2;
  const most = Math.floor((bytes.length - line - 1) / (8 * width));
  const rows = new Float64Array(bytes.slice(line + 1, line + 1 + most * 8 * width).buffer);
  let n = 0;
  while (n < most && rows[(n + 1) * width - 1] === check(rows.subarray(n * width, (n + 1) * width - 1))) n++;
  const nll = new Float64Array(n);
  const sqNorms = new Float64Array(n * l);
  for (let i = 0; i < n; i++) {
    nll[i] = rows[i * width]!;
    sqNorms.set(rows.subarray(i * width + 1, (i + 1) * width - 1), i * l);
  }
  return { head, end, table: n === 0 ? undefined : { ...head, nll, sqNorms }, validBytes: line + 1 + n * 8 * width };
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
