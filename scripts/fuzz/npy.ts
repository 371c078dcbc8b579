// NPY files of every type, version and order that is read.

import { writeFileSync } from 'node:fs';
import { readNpy, writeNpy } from '../../src/data/npy.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { openNpy } from '../../test/support/readers.ts';
import { damage } from './bytes.ts';
import { check, checkData, type Dice, type Format, noise, pixels, type Sample } from './format.ts';

export const npy: Format = {
  extension: 'npy',
  samples: () =>
    [
      npyBytes([4, 1, 3, 5], 'float32'),
      npyBytes([4, 3, 5], 'uint8'),
      npyBytes([5, 2], 'int64'),
      npyBytes([4, 3, 5], 'float32', (text) => text.replace('False', 'True ')),
      npyBytes([4, 3], 'int64', (text) => text.replace('<', '>')),
      npyBytes([30], 'float32'),
    ].map((bytes): Sample => ({ bytes })),
  inside: insideNpy,
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openNpy(path));
    const { shape, data } = readNpy(bytes, path);
    check(data.length === sizeOf(shape), `${data.length} values of [${shape}]`);
    return undefined; // has no checksum
  },
};

/** The header, its length right; it begins at byte 10. */
function insideNpy(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const end = 10 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(8, true);
  const header = damage(
    dice,
    bytes.subarray(10, end),
    all.map((sample) => sample.bytes.subarray(10, 128)),
  );
  const out = new Uint8Array(bytes.length - end + 10 + header.length);
  out.set(bytes.subarray(0, 10));
  new DataView(out.buffer).setUint16(8, header.length, true);
  out.set(header, 10);
  out.set(bytes.subarray(end), 10 + header.length);
  return out;
}

export function npyBytes(shape: readonly number[], type: string, header?: (text: string) => string): Uint8Array {
  const n = sizeOf(shape);
  const bytes =
    type === 'int64'
      ? writeNpy({ dtype: 'int64', shape, data: BigInt64Array.from({ length: n }, (_, i) => BigInt(i)) })
      : type === 'uint8'
        ? writeNpy({ dtype: 'uint8', shape, data: pixels(n) })
        : writeNpy({ dtype: 'float32', shape, data: noise(n) });
  if (!header) return bytes;
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 128));
  const out = bytes.slice();
  out.set(Uint8Array.from(header(text), (c) => c.charCodeAt(0)));
  return out;
}
