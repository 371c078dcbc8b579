// Images as pixels in; PNG bytes, and many images as one in a grid, out.

import { encode } from 'fast-png';
import { DataError } from '../errors.ts';

/** Pixels 0..255, channels first: [c, h, w] with one or three channels. */
export interface PixelImage {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** The bytes of a PNG file; values are rounded and clamped to 0..255. Throws a DataError for other shapes. */
export function encodePng(image: PixelImage): Uint8Array {
  const [channels, height, width] = checked(image);
  const data = new Uint8ClampedArray(channels * height * width);
  const plane = height * width;
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < plane; p++) data[p * channels + c] = image.data[c * plane + p]!;
  }
  return encode({ data, width, height, channels: channels as 1 | 3, depth: 8 });
}

/**
 * Images of one shape, row by row, on a light ground with `gap` pixels between them and around. Throws a DataError for
 * no images, or two shapes.
 */
export function imageGrid(
  images: readonly PixelImage[],
  options: { readonly columns: number; readonly gap: number },
): PixelImage {
  const first = images[0];
  if (!first) throw new DataError('no images to put into a grid');
  const [channels, h, w] = checked(first);
  const columns = Math.min(options.columns, images.length);
  const rows = Math.ceil(images.length / columns);
  const { gap } = options;
  const [height, width] = [rows * (h + gap) + gap, columns * (w + gap) + gap];
  const data = new Float32Array(channels * height * width).fill(230);
  for (const [k, image] of images.entries()) {
    if (image.shape.join() !== first.shape.join()) {
      throw new DataError(
        `image ${k} of the grid is [${image.shape.join(', ')}], expected [${first.shape.join(', ')}]`,
      );
    }
    const top = gap + Math.floor(k / columns) * (h + gap);
    const left = gap + (k % columns) * (w + gap);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          data[(c * height + top + y) * width + left + x] = image.data[(c * h + y) * w + x]!;
        }
      }
    }
  }
  return { data, shape: [channels, height, width] };
}

function checked({ data, shape }: PixelImage): [number, number, number] {
  const [channels, height, width] = shape as [number, number, number];
  if (shape.length !== 3 || (channels !== 1 && channels !== 3) || data.length !== channels * height * width) {
    throw new DataError(
      `an image of shape [${shape.join(', ')}] with ${data.length} values, expected [1 or 3, height, width]`,
    );
  }
  return [channels, height, width];
}
