// Errors of decoders: real ones, of memory that is not there and of data that are damaged.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { openData } from '../node/open.ts';
import { decodingError } from './decoding.ts';

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

it('blames the memory for what the memory does not give, and the file for the rest', () => {
  const memory = decodingError(
    thrownBy(() => new ArrayBuffer(2 ** 52)),
    'f.npz',
    'is damaged',
  );
  expect(memory).toBeInstanceOf(DataError);
  expect(memory.message).toBe('f.npz: the memory does not suffice to read it (Array buffer allocation failed)');
  const file = decodingError(
    thrownBy(() => inflateSync(Uint8Array.of(1, 2, 3))),
    'f.npz',
    'is damaged',
  );
  expect(file.message).toBe('f.npz: is damaged: incorrect header check');
  const own = new DataError('f.npz: as it is');
  expect(decodingError(own, 'g', 'is damaged')).toBe(own);
});

it('does not suspect another format where a file cannot be read at all', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'decoding-'));
  try {
    const path = join(folder, 'huge');
    writeFileSync(path, '');
    truncateSync(path, 3 * 2 ** 30); // takes no place on the disk
    await expect(openData(path)).rejects.toThrow(/huge: cannot read: the file is larger than 2 GiB$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
