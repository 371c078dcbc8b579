// Text files: windows of bytes, one after the other, for models of bytes. Whatever the encoding or the language, bytes compare.

import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf, memoryDataset } from './dataset.ts';
import { type ByteSource, readAll } from './source.ts';

/** Bytes of a window where nobody says otherwise. */
export const DEFAULT_LENGTH = 128;

/**
 * The file as examples [length] of bytes 0..255 under 'x', without overlap; what does not fill a window at the end is left out.
 * Throws a DataError for a file that cannot be read or is shorter than one window.
 */
export async function openText(source: ByteSource, name = source.name, length = DEFAULT_LENGTH): Promise<Dataset> {
  const bytes = await readAll(source);
  const count = Math.floor(bytes.length / length);
  if (count === 0)
    throw new DataError(`${source.name}: has ${bytes.length} bytes, expected at least one window of ${length}`);
  const data = bytes.subarray(0, count * length);
  return memoryDataset(name, count, fingerprintOf('text', String(length), data), {
    x: { data, shape: [length], pixels: true },
  });
}
