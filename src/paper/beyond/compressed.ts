// Data of bytes in; how many bits a general compressor takes for each example out.
//
// Serrà, Álvarez, Gómez, Slizovskaia, Núñez & Luque, "Input complexity and out-of-distribution detection with
// likelihood-based generative models", ICLR 2020: S(x) = −log₂ p(x) − L(x), L the length of the shortest of several
// compressors' files, in bits. Theirs are PNG, JPEG 2000 and FLIF; ours PNG and lossless WebP for images, as sharp
// writes them, and deflate for everything else.

import { deflateRawSync } from 'node:zlib';
import type { Dataset } from '../../data/index.ts';
import { DataError } from '../../errors.ts';

/** [n] bits of the shortest file of each input. Throws a DataError for inputs that are not bytes. */
export async function compressedBits(data: Dataset): Promise<Float64Array> {
  const [[name, shape] = []] = Object.entries(data.shapes);
  if (name === undefined || shape === undefined) throw new DataError(`${data.name}: holds no arrays`);
  const out = new Float64Array(data.length);
  for await (const { start, n, arrays } of data.batches(64)) {
    const { data: values } = arrays[name]!;
    const size = values.length / n;
    const lengths = Array.from({ length: n }, (_, i) => {
      const bytes = Uint8Array.from(values.subarray(i * size, (i + 1) * size) as ArrayLike<number | bigint>, Number);
      const odd = bytes.findIndex((byte, k) => byte !== Number(values[i * size + k]));
      if (odd >= 0) {
        throw new DataError(
          `${data.name}: input ${start + i} holds ${values[i * size + odd]}, expected bytes 0 to 255`,
        );
      }
      return lengthOf(bytes, shape);
    });
    for (const [i, length] of (await Promise.all(lengths)).entries()) out[start + i] = 8 * length;
  }
  return out;
}

async function lengthOf(bytes: Uint8Array, shape: readonly number[]): Promise<number> {
  const [channels, height, width] = shape as [number, number, number];
  if (shape.length !== 3 || (channels !== 1 && channels !== 3)) return deflateRawSync(bytes, { level: 9 }).length;
  const plane = height * width;
  const { default: sharp } = await import('sharp'); // only now, as it takes a tenth of a second to load
  const pixels = Uint8Array.from(bytes, (_, k) => bytes[(k % channels) * plane + Math.floor(k / channels)]!);
  const picture = sharp(pixels, { raw: { width, height, channels } });
  const png = await picture.clone().png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
  const webp = await picture.clone().webp({ lossless: true, effort: 6 }).toBuffer();
  return Math.min(png.length, webp.length);
}
