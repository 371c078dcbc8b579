// NPZ files: arrays of several types and orders, plain and compressed.

import { writeFileSync } from 'node:fs';
import { unzipSync, zipSync } from 'fflate';
import { readNpz } from '../../src/data/npy.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { openNpz } from '../../test/support/readers.ts';
import { damage } from './bytes.ts';
import { check, checkData, type Damaged, type Dice, type Format, type Sample, textOf } from './format.ts';
import { npyBytes } from './npy.ts';

export const npz: Format = { extension: 'npz', samples: npzSamples, inside: insideNpz, read };

/** One array or its name, the checksums right. */
export function insideNpz(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const files = Object.entries(unzipSync(bytes));
  const others = all.flatMap((sample) => Object.values(unzipSync(sample.bytes)));
  const at = dice.below(files.length);
  const [name, content] = files[at]!;
  files[at] = dice.chance(0.15)
    ? [dice.pick(['__proto__.npy', '.npy', 'constructor.npy', 'x.npy', 'a/../b.npy', 'x']), content]
    : [name, new Uint8Array(damage(dice, content, others))];
  if (dice.chance(0.1)) files.splice(dice.below(files.length), 1);
  return zipSync(Object.fromEntries(files), { level: dice.pick([0, 9]) });
}

function npzSamples(): Sample[] {
  const files = { 'x.npy': npyBytes([4, 1, 3, 5], 'float32'), 'label.npy': npyBytes([4], 'int64') };
  const fortran = { 'x.npy': npyBytes([4, 3, 5], 'float32', (text) => text.replace('False', 'True ')) };
  const big = {
    'x.npy': npyBytes([4, 3], 'int64', (text) => text.replace('<', '>')),
    'u.npy': npyBytes([4, 2, 2], 'uint8'),
  };
  return [files, fortran, big].flatMap((f) =>
    [0, 9].map((level) => ({ bytes: zipSync(f, { level: level as 0 | 9 }) })),
  );
}

async function read({ bytes, path }: Damaged): Promise<string> {
  writeFileSync(path, bytes);
  await checkData(await openNpz(path));
  const arrays = Object.values(readNpz(bytes, path)); // names are not under the checksum
  for (const { shape, data } of arrays) check(data.length === sizeOf(shape), `${data.length} values of [${shape}]`);
  return textOf(arrays.map(({ shape, data }) => ({ shape, data })));
}
