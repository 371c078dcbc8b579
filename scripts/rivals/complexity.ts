// Input complexity: by how many bits the model's code for an input is longer than a general compressor's.
//
// Serrà, Álvarez, Gómez, Slizovskaia, Núñez & Luque, "Input complexity and out-of-distribution detection with
// likelihood-based generative models", ICLR 2020: S(x) = −log₂ p(x) − L(x), L the length of the shortest of several
// compressors' files, in bits. Theirs are PNG, JPEG 2000 and FLIF; ours PNG and lossless WebP for images, as sharp
// writes them, and deflate for everything else.

import { deflateRawSync } from 'node:zlib';
import sharp from 'sharp';
import type { Dataset } from '../../src/data/index.ts';
import { DataError, ModelError } from '../../src/errors.ts';
import { bySingles, type Method } from './method.ts';
import { openNll } from './ours.ts';

export const complexity: Method = {
  names: ['input-complexity'],
  source: 'Serrà et al. 2020',
  async fit(context) {
    const { model } = context;
    if (model.dims === undefined)
      throw new ModelError('the loss is no likelihood of discrete data, which a file length can be set against');
    const { forward, nll } = openNll(context);
    const score = async (data: Dataset) => {
      const bits = (await nll(data)).map((nats) => nats / Math.LN2);
      const lengths = await compressedBits(data);
      return { 'input-complexity': bits.map((b, i) => b - lengths[i]!) };
    };
    return bySingles(score, () => forward.dispose());
  },
};

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
  const pixels = Uint8Array.from(bytes, (_, k) => bytes[(k % channels) * plane + Math.floor(k / channels)]!);
  const picture = sharp(pixels, { raw: { width, height, channels } });
  const png = await picture.clone().png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
  const webp = await picture.clone().webp({ lossless: true, effort: 6 }).toBuffer();
  return Math.min(png.length, webp.length);
}
