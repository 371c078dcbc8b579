// IDX files of grey images, plain and gzipped.

import { gunzipSync, gzipSync } from 'node:zlib';
import { idxDataset, readIdx, writeIdx } from '../../src/data/idx.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { damage, join2 } from './bytes.ts';
import { check, checkData, type Dice, type Format, pixels, type Sample, textOf } from './format.ts';

const images = { shape: [4, 5, 6], data: pixels(120) };

export const idx: Format = {
  extension: 'idx',
  samples: () => [{ bytes: writeIdx(images) }, { bytes: writeIdx(images, { gzip: true }) }],
  inside: insideGzip,
  async read({ bytes, path }) {
    const array = readIdx(bytes, path);
    check(array.data.length === sizeOf(array.shape), `${array.data.length} bytes of [${array.shape}]`);
    await checkData(idxDataset(array, path));
    return bytes[0] === 0x1f ? textOf(array) : undefined;
  },
};

export function insideGzip(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const plain = bytes[0] === 0x1f ? new Uint8Array(gunzipSync(bytes)) : bytes;
  const packed = new Uint8Array(gzipSync(damage(dice, plain, [plain, ...all.map((sample) => sample.bytes)])));
  return dice.chance(0.1) ? join2(packed, packed) : packed;
}
