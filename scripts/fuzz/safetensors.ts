// Safetensors files.

import { readSafetensors, writeSafetensors } from '../../src/store/safetensors.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { damage, join2 } from './bytes.ts';
import { check, type Dice, type Format, noise, type Sample } from './format.ts';
import { insideJson } from './json.ts';

const tensors = {
  w: { shape: [3, 4], data: noise(12) },
  b: { shape: [3], data: noise(3) },
  s: { shape: [], data: noise(1) },
};

export const safetensors: Format = {
  extension: 'safetensors',
  samples: () => [
    { bytes: writeSafetensors(tensors) },
    { bytes: writeSafetensors({ w: tensors.w }) },
    { bytes: writeSafetensors(tensors, 'F16') },
  ],
  inside: insideSafetensors,
  async read({ bytes, path }) {
    for (const [name, { shape, data }] of Object.entries(readSafetensors(bytes, path))) {
      check(data.length === sizeOf(shape), `'${name}' has ${data.length} numbers of [${shape}]`);
      check(data.every(Number.isFinite), `'${name}' has a number that is not finite`);
    }
    return undefined;
  },
};

/** The header's JSON, its length right. */
function insideSafetensors(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const end = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = bytes.subarray(8, end);
  const others = all.map((sample) => sample.bytes);
  const changed = dice.chance(0.8) ? insideJson(dice, header) : damage(dice, header, others);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(changed.length), true);
  return join2(join2(length, changed), bytes.subarray(end));
}
