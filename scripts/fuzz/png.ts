// PNG pictures, whose chunks have checksums.

import { crc32 } from '../../src/data/crc32.ts';
import { damage, join2 } from './bytes.ts';
import type { Dice, Format } from './format.ts';
import { picture, readPicture } from './pictures.ts';

export const png: Format = {
  extension: 'png',
  samples: () =>
    Promise.all([
      picture('png', 3, {}),
      picture('png', 1, {}),
      picture('png', 4, { progressive: true }),
      picture('png', 3, { palette: true }),
    ]),
  inside: insidePng,
  read: readPicture,
};

/** One chunk, its checksum right. */
function insidePng(dice: Dice, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const starts: number[] = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) starts.push(at);
  const at = dice.pick(starts);
  const end = at + 8 + view.getUint32(at);
  const content = damage(dice, bytes.subarray(at + 4, end), [bytes]); // type and data
  const chunk = new Uint8Array(content.length + 8);
  chunk.set(content, 4);
  new DataView(chunk.buffer).setUint32(0, content.length - 4);
  new DataView(chunk.buffer).setUint32(content.length + 4, crc32(content));
  const rest = dice.chance(0.2) ? bytes.subarray(at) : bytes.subarray(end + 4);
  return join2(join2(bytes.subarray(0, at), chunk), rest);
}
