// The official binary layout of CIFAR-10: files of 3073-byte records (label, then 32×32 red, green, blue) -> data set.

import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf, memoryDataset } from './dataset.ts';
import { type ByteSource, readAll } from './source.ts';

const PIXELS = 3 * 32 * 32;
const RECORD = 1 + PIXELS;
const CLASSES = 10;

/**
 * Takes the given files, one after the other, as one set of 32×32 colour images ('x', [3, 32, 32]). Throws a DataError
 * for a file that is not a whole number of records or has a label above 9 (then it is not this format).
 */
export async function openCifar10(sources: readonly ByteSource[], name: string): Promise<Dataset> {
  const files: Uint8Array[] = [];
  for (const source of sources) {
    const bytes = await readAll(source);
    if (bytes.length === 0 || bytes.length % RECORD !== 0) {
      throw new DataError(
        `${source.name}: has ${bytes.length} bytes, expected a multiple of ${RECORD} (a label and 3×32×32 pixels)`,
      );
    }
    files.push(bytes);
  }
  const n = files.reduce((sum, bytes) => sum + bytes.length / RECORD, 0);
  const pixels = new Uint8Array(n * PIXELS);
  let at = 0;
  files.forEach((bytes, k) => {
    for (let i = 0; i < bytes.length; i += RECORD) {
      if (bytes[i]! >= CLASSES) {
        throw new DataError(`${sources[k]!.name}: record ${i / RECORD} has label ${bytes[i]}, expected 0..9`);
      }
      pixels.set(bytes.subarray(i + 1, i + RECORD), at);
      at += PIXELS;
    }
  });
  return memoryDataset(name, n, fingerprintOf('cifar10', pixels), {
    x: { data: pixels, shape: [3, 32, 32], pixels: true },
  });
}
