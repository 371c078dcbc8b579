// Images and how those of another set came to their size in; the same images, made again in that way, out.

import { type Dataset, makeDataset, prepare } from '../data/index.ts';
import { DataError } from '../errors.ts';
import type { Making } from './plan.ts';

/**
 * Pixels [c, h, w] of one or three channels, enlarged bicubically to `from`, written as a JPEG file and read back where
 * the set's were, and shrunk to the size they had by the set's filter. What shows is what becomes of them, and nothing
 * of what they are of. Throws a DataError for anything but such images.
 */
export function remade(images: Dataset, { from, jpeg, filter }: Making): Dataset {
  const [channels, height, width] = images.shapes.x ?? [];
  if (!images.pixels || (channels !== 1 && channels !== 3) || height === undefined || width === undefined) {
    throw new DataError(`${images.name}: holds no grey or colour images, which could be made again`);
  }
  const large = prepare(images, { resize: from, filter: 'bicubic' });
  const seen = jpeg === undefined ? large : compressed(large, jpeg);
  // As another camera and another hand would have left them: nothing of it counts as done for the model.
  const { prepared: _, ...made } = prepare(seen, { resize: [height, width], filter });
  return made;
}

/** Each image through a JPEG file, colours at half the resolution as photographs have them. */
function compressed(images: Dataset, quality: number): Dataset {
  const [channels, height, width] = images.shapes.x as [1 | 3, number, number];
  const plane = height * width;
  const through = async (values: ArrayLike<number | bigint>): Promise<Float32Array> => {
    const { default: sharp } = await import('sharp'); // only now, as it takes a tenth of a second to load
    const pixels = Uint8Array.from({ length: channels * plane }, (_, k) =>
      Number(values[(k % channels) * plane + Math.floor(k / channels)]),
    );
    const file = await sharp(pixels, { raw: { width, height, channels } }).jpeg({ quality }).toBuffer();
    const read = sharp(file).toColourspace(channels === 1 ? 'b-w' : 'srgb');
    const back = await read.raw().toBuffer();
    return Float32Array.from(
      { length: channels * plane },
      (_, k) => back[(k % plane) * channels + Math.floor(k / plane)]!,
    );
  };
  const all = async (found: Awaited<ReturnType<Dataset['gather']>>) => {
    const { data, shape } = found.arrays.x!;
    const size = channels * plane;
    const out = new Float32Array(data.length);
    for (let i = 0; i < shape[0]!; i++) out.set(await through(data.subarray(i * size, (i + 1) * size)), i * size);
    return { ...found.arrays, x: { data: out, shape } };
  };
  const indices = (start: number, end: number) => Array.from({ length: end - start }, (_, k) => start + k);
  return makeDataset({
    name: `${images.name} as JPEG`,
    length: images.length,
    shapes: images.shapes,
    pixels: true,
    prepared: images.prepared,
    notes: images.notes,
    fingerprint: `${images.fingerprint} jpeg ${quality}`,
    origin: images.origin,
    read: async (start, end) => all(await images.gather(indices(start, end))),
    pick: async (asked) => all(await images.gather(asked)),
  });
}
