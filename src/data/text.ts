// Text files: windows of bytes, one after the other, for models of bytes. Whatever the encoding or the language, bytes
// compare.

import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf, memoryDataset } from './dataset.ts';
import { type ByteSource, readAll } from './source.ts';

/** Bytes of a window where nobody says otherwise. */
export const DEFAULT_LENGTH = 128;

/**
 * The file as examples [length] of bytes 0..255 under 'x', without overlap; what does not fill a window at the end is
 * left out. Throws a DataError for a file that cannot be read or is shorter than one window.
 */
export async function openText(source: ByteSource, name = source.name, length = DEFAULT_LENGTH): Promise<Dataset> {
  return windows(await readAll(source), source.name, name, length);
}

/**
 * Texts, such as those of a column, one after the other with a newline between, in windows as those of a file. `where`
 * is for messages.
 */
export function textDataset(
  texts: readonly Uint8Array[],
  where: string,
  name: string,
  length = DEFAULT_LENGTH,
): Dataset {
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + text.length + 1, -1));
  let at = 0;
  for (const text of texts) {
    if (at > 0) bytes[at - 1] = 10;
    bytes.set(text, at);
    at += text.length + 1;
  }
  return windows(bytes, where, name, length);
}

function windows(bytes: Uint8Array, where: string, name: string, length: number): Dataset {
  const count = Math.floor(bytes.length / length);
  if (count === 0)
    throw new DataError(`${where}: has ${bytes.length} bytes, expected at least one window of ${length}`);
  const data = bytes.subarray(0, count * length);
  return memoryDataset(name, count, fingerprintOf('text', String(length), data), {
    x: { data, shape: [length], pixels: true },
  });
}
