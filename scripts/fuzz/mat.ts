// MATLAB 5 files of pictures, plain and compressed, with labels beside them.

import { writeFileSync } from 'node:fs';
import { deflateSync, inflateSync } from 'node:zlib';
import { openMat } from '../../test/support/readers.ts';
import { damage, join2 } from './bytes.ts';
import { checkData, type Dice, type Format, pixels, type Sample } from './format.ts';

const HEADER = 128;
/** Codes of element types, and of the class of bytes. */
const [INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED] = [1, 2, 5, 6, 14, 15] as const;
const BYTES = 9;

export const mat: Format = {
  extension: 'mat',
  samples: () => {
    const images = matrix('X', [3, 2, 3, 2], pixels(36));
    const labels = matrix('y', [2, 1], Uint8Array.of(1, 2));
    const packed = [images, labels].map((bytes) => element(COMPRESSED, new Uint8Array(deflateSync(bytes)), false));
    return [file(images, labels), file(images), file(...packed), file(labels, matrix('Z', [2, 3, 1, 4], pixels(24)))];
  },
  inside: insideCompressed,
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openMat(path));
    return undefined; // plain elements have no checksums
  },
};

function file(...elements: Uint8Array[]): Sample {
  const header = new Uint8Array(HEADER).fill(0x20, 0, 116);
  header.set(new TextEncoder().encode('MATLAB 5.0 MAT-file, made by hand'));
  header.set([0, 1, 0x49, 0x4d], HEADER - 4);
  return { bytes: elements.reduce(join2, header) };
}

function element(type: number, data: Uint8Array, padded = true): Uint8Array {
  const out = new Uint8Array(8 + (padded ? Math.ceil(data.length / 8) * 8 : data.length));
  const view = new DataView(out.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, data.length, true);
  out.set(data, 8);
  return out;
}

function matrix(name: string, shape: readonly number[], values: Uint8Array): Uint8Array {
  const sizes = new Uint8Array(Int32Array.from(shape).buffer);
  const parts = [
    element(UINT32, Uint8Array.of(BYTES, 0, 0, 0, 0, 0, 0, 0)),
    element(INT32, sizes),
    element(INT8, new TextEncoder().encode(name)),
    element(UINT8, values),
  ];
  return element(MATRIX, parts.reduce(join2));
}

/** What a compressed element holds, its length right; of a plain file the elements. */
function insideCompressed(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const others = all.map((sample) => sample.bytes.subarray(HEADER));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const head = bytes.subarray(0, HEADER);
  if (view.getUint32(HEADER, true) !== COMPRESSED) return join2(head, damage(dice, bytes.subarray(HEADER), others));
  const end = HEADER + 8 + view.getUint32(HEADER + 4, true);
  const plain = new Uint8Array(inflateSync(bytes.subarray(HEADER + 8, end)));
  const packed = new Uint8Array(deflateSync(damage(dice, plain, [plain, ...others])));
  return join2(join2(head, element(COMPRESSED, packed, false)), bytes.subarray(end));
}
