// Images as a model wants them: channels, size, crop and border, in this order, from images of any kind.

import sharp from 'sharp';
import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import type { DataArray, Dataset } from './dataset.ts';
import { mapExamples, pad } from './transforms.ts';

/** Of a picture, in pixels. */
export type Size = readonly [height: number, width: number];

/** What is done to images, in the order of the fields; left out: nothing. */
export interface Preparation {
  /** 1: grey by the luma of ITU-R BT.601, rounded; 3: RGB, a grey channel three times. */
  readonly channels?: 1 | 3 | undefined;
  /** Resampled to this size with Lanczos' kernel (a = 3), whatever the aspect, and rounded. */
  readonly resize?: Size | undefined;
  /** Cut out of the centre. */
  readonly crop?: Size | undefined;
  /** Zeros around, centred. */
  readonly pad?: Size | undefined;
}

/** Images [c, h, w] under 'x' of pixels 0..255, prepared. Throws a DataError for a step that the images do not allow. */
export function prepare(data: Dataset, { channels, resize, crop, pad: border }: Preparation): Dataset {
  let out = data;
  if (channels !== undefined) out = withChannels(out, channels);
  if (resize !== undefined) out = resized(out, resize);
  if (crop !== undefined) out = cropped(out, crop);
  return border === undefined ? out : pad(out, border[0], border[1]);
}

/** Whether anything would be done at all. */
export function isPreparation(p: Preparation): boolean {
  return Object.values(p).some((step) => step !== undefined);
}

function imageShape(data: Dataset, purpose: string): readonly [c: number, h: number, w: number] {
  const shape = data.shapes.x;
  if (shape?.length !== 3) throw new DataError(`${data.name}: holds no images, so there is nothing to ${purpose}`);
  return shape as readonly [number, number, number];
}

function withChannels(data: Dataset, channels: 1 | 3): Dataset {
  const [c, h, w] = imageShape(data, 'convert');
  if (c === channels) return data;
  if (c !== 1 && c !== 3)
    throw new DataError(`${data.name}: images are ${shapeText([c, h, w])}, expected 1 or 3 channels to convert`);
  const plane = h * w;
  return mapImages(data, [channels, h, w], `in ${channels} channels`, (from, to, n) => {
    for (let i = 0; i < n; i++) {
      for (let p = 0; p < plane; p++) {
        if (channels === 1) {
          const [r, g, b] = [0, 1, 2].map((k) => Number(from[(3 * i + k) * plane + p]));
          to[i * plane + p] = Math.round(0.299 * r! + 0.587 * g! + 0.114 * b!);
        } else {
          for (let k = 0; k < 3; k++) to[(3 * i + k) * plane + p] = Number(from[i * plane + p]);
        }
      }
    }
  });
}

function cropped(data: Dataset, [height, width]: Size): Dataset {
  const [c, h, w] = imageShape(data, 'crop');
  if (h === height && w === width) return data;
  if (h < height || w < width) {
    throw new DataError(
      `${data.name}: images are ${shapeText([c, h, w])}, smaller than the ${height}×${width} to crop`,
    );
  }
  const [top, left] = [Math.floor((h - height) / 2), Math.floor((w - width) / 2)];
  return mapImages(data, [c, height, width], `cropped ${height}×${width}`, (from, to, n) => {
    for (let plane = 0; plane < n * c; plane++) {
      for (let row = 0; row < height; row++) {
        const start = (plane * h + top + row) * w + left;
        to.set(from.subarray(start, start + width) as Float32Array, (plane * height + row) * width);
      }
    }
  });
}

/** Pixels are rounded to whole numbers first, as they are in files; the resampling is the image library's. */
function resized(data: Dataset, [height, width]: Size): Dataset {
  const [c, h, w] = imageShape(data, 'resize');
  if (h === height && w === width) return data;
  return mapImages(data, [c, height, width], `resized ${height}×${width}`, async (from, to, n) => {
    for (let plane = 0; plane < n * c; plane++) {
      const grey = Uint8Array.from(from.subarray(plane * h * w, (plane + 1) * h * w) as Float32Array, Math.round);
      const out = await sharp(grey, { raw: { width: w, height: h, channels: 1 } })
        .resize(width, height, { kernel: 'lanczos3', fit: 'fill' })
        .toColourspace('b-w')
        .raw()
        .toBuffer();
      to.set(out, plane * height * width);
    }
  });
}

function mapImages(
  data: Dataset,
  shape: readonly number[],
  what: string,
  fill: (from: DataArray['data'], to: Float32Array, n: number) => void | Promise<void>,
): Dataset {
  const size = shape.reduce((a, b) => a * b, 1);
  return mapExamples(data, { ...data.shapes, x: shape }, what, async (arrays) => {
    const n = arrays.x!.shape[0]!;
    const to = new Float32Array(n * size);
    await fill(arrays.x!.data, to, n);
    return { ...arrays, x: { data: to, shape: [n, ...shape] } };
  });
}
