// Encoded pictures, as the files of several formats hold them.

import sharp from 'sharp';
import { decodeImage } from '../../src/node/picture.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { check, type Damaged, isSize, pixels, type Sample, textOf } from './format.ts';

export async function picture(kind: 'png' | 'jpeg' | 'webp', channels: 1 | 3 | 4, options: object): Promise<Sample> {
  const data = pixels(9 * 7 * channels);
  for (let i = 3; channels === 4 && i < data.length; i += 4) data[i] = 255;
  const buffer = await sharp(data, { raw: { width: 9, height: 7, channels } })
    .toFormat(kind, options)
    .toBuffer();
  return { bytes: new Uint8Array(buffer) };
}

export async function readPicture({ bytes, path }: Damaged): Promise<string> {
  const { shape, data } = await decodeImage({ bytes, where: path });
  check(shape.every(isSize) && data.length === sizeOf(shape), `${data.length} pixels of [${shape}]`);
  return textOf({ shape, data });
}
