// The binary files of CIFAR-10.

import { writeFileSync } from 'node:fs';
import { openCifar10 } from '../../test/support/readers.ts';
import { checkData, type Format, pixels, type Sample } from './format.ts';

const RECORD = 3073;

export const cifar: Format = {
  extension: 'bin',
  samples: () => [records(1), records(2)],
  /** The records' number stays whole. */
  inside(dice, bytes) {
    const out = bytes.slice();
    if (dice.chance(0.5))
      out[RECORD * dice.below(bytes.length / RECORD)] = dice.below(256); // a label
    else out[dice.below(bytes.length)] = dice.below(256);
    return out;
  },
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openCifar10([path], path));
    return undefined;
  },
};

function records(n: number): Sample {
  const bytes = pixels(n * RECORD);
  for (let i = 0; i < n; i++) bytes[i * RECORD] = (3 * i) % 10;
  return { bytes };
}
