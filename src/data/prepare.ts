// Images as a model wants them: channels, size, crop and border, in this order, from images of any kind.

import { checkArguments, checkOptions, dataset, oneOf, optional, type Rules, twoNumbers } from '../arguments.ts';
import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import type { DataArray, Dataset } from './dataset.ts';
import { MAX_PIXELS } from './images.ts';
import { type Kernel, kernels, resampler } from './resample.ts';
import { mapExamples, pad } from './transforms.ts';

/** Of a picture, in pixels. */
type Size = readonly [height: number, width: number];

/** What is done to images, in the order of the fields; left out: nothing. */
export interface Preparation {
  /** 1: grey by the luma of ITU-R BT.601; 3: RGB, a grey channel three times. */
  readonly channels?: 1 | 3 | undefined;
  /** Resampled to this size, whatever the aspect. */
  readonly resize?: Size | undefined;
  /** The kernel to resample with; Lanczos' (a = 3) where it is left out. */
  readonly filter?: Kernel | undefined;
  /** Cut out of the centre. */
  readonly crop?: Size | undefined;
  /** Zeros around, centred. */
  readonly pad?: Size | undefined;
}

const rules: Rules = {
  channels: optional({ holds: (value) => value === 1 || value === 3, expected: '1 or 3' }),
  resize: optional(twoNumbers),
  filter: optional(oneOf(...kernels)),
  crop: optional(twoNumbers),
  pad: optional(twoNumbers),
};

/**
 * Images [c, h, w] under 'x', prepared. Pixels (`Dataset.pixels`) stay whole numbers 0..255, rounded as Pillow rounds
 * them; an image of pixels with fractions keeps fractions, within 0..255. Any other numbers are neither rounded nor
 * clipped: resampling may then go beyond the range they had.
 *
 * Throws a DataError for a step that the images do not allow, for sizes of more than 2^24 pixels, and, where they are
 * read, for whole numbers (int64) that are no pixels and would have to be averaged, and for images whose values leave
 * float32.
 */
export function prepare(data: Dataset, preparation: Preparation): Dataset {
  checkArguments('prepare', { data }, { data: dataset });
  checkOptions('prepare', preparation, rules);
  const { channels, resize, filter, crop, pad: border } = preparation;
  for (const [step, size] of Object.entries({ resize, crop, pad: border })) {
    if (size) checkSize(data, step, size);
  }
  if (filter !== undefined && resize === undefined) {
    throw new DataError(`${data.name}: the filter '${filter}' is given, but no size to resize to`);
  }
  let out = data;
  if (channels !== undefined) out = withChannels(out, channels);
  if (resize !== undefined) out = resized(out, resize, filter ?? 'lanczos');
  if (crop !== undefined) out = cropped(out, crop);
  if (border !== undefined) out = pad(out, border[0], border[1]);
  return out === data ? data : { ...out, prepared: preparation }; // what did nothing will do nothing again
}

/** Whether anything would be done at all. */
export function isPreparation(p: Preparation): boolean {
  return Object.values(p).some((step) => step !== undefined);
}

function checkSize(data: Dataset, step: string, [height, width]: Size): void {
  const whole = [height, width].every((d) => Number.isInteger(d) && d >= 1);
  if (whole && height * width <= MAX_PIXELS) return;
  const most = MAX_PIXELS.toLocaleString('en');
  throw new DataError(
    `${data.name}: ${step} is ${height}×${width}, expected whole numbers with at most ${most} pixels in all`,
  );
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
  if (channels === 3) {
    return mapImages(data, [3, h, w], 'in 3 channels', (from, to) => {
      for (let k = 0; k < 3; k++) to.set(from as Float32Array, k * plane);
    });
  }
  return averageImages(data, [1, h, w], 'in 1 channels', (from, to, as) => {
    for (let p = 0; p < plane; p++) {
      const luma = 0.299 * from[p]! + 0.587 * from[plane + p]! + 0.114 * from[2 * plane + p]!;
      to[p] = as === 'bytes' ? Math.round(luma) : luma;
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
  return mapImages(data, [c, height, width], `cropped ${height}×${width}`, (from, to) => {
    for (let plane = 0; plane < c; plane++) {
      for (let row = 0; row < height; row++) {
        const start = (plane * h + top + row) * w + left;
        to.set(from.subarray(start, start + width) as Float32Array, (plane * height + row) * width);
      }
    }
  });
}

function resized(data: Dataset, [height, width]: Size, filter: Kernel): Dataset {
  const [c, h, w] = imageShape(data, 'resize');
  if (h === height && w === width) return data;
  const resample = resampler([h, w], [height, width], filter);
  return averageImages(data, [c, height, width], `resized ${height}×${width} by ${filter}`, (from, to, as) => {
    for (let k = 0; k < c; k++) {
      resample(
        from.subarray(k * h * w, (k + 1) * h * w),
        to.subarray(k * height * width, (k + 1) * height * width),
        as,
      );
    }
  });
}

/** Each image by a function that moves values only; they keep their type. */
function mapImages(
  data: Dataset,
  shape: readonly number[],
  what: string,
  fill: (from: DataArray['data'], to: Float32Array) => void,
): Dataset {
  const size = shape.reduce((a, b) => a * b, 1);
  return mapExamples(data, { ...data.shapes, x: shape }, what, (arrays) => {
    const { data: from, shape: dims } = arrays.x!;
    const n = dims[0]!;
    const to = emptyLike(from, n * size);
    const stride = from.length / n;
    for (let i = 0; i < n; i++) {
      fill(from.subarray(i * stride, (i + 1) * stride), to.subarray(i * size, (i + 1) * size) as Float32Array);
    }
    return { ...arrays, x: { data: to, shape: [n, ...shape] } };
  });
}

/**
 * Each image by a function that makes new values: 'bytes' of an image that holds whole pixels, 'floats' of any other.
 */
function averageImages(
  data: Dataset,
  shape: readonly number[],
  what: string,
  fill: (from: Float32Array, to: Float32Array, as: 'bytes' | 'floats') => void,
): Dataset {
  const size = shape.reduce((a, b) => a * b, 1);
  return mapExamples(data, { ...data.shapes, x: shape }, what, (arrays, indexOf) => {
    const { data: values, shape: dims } = arrays.x!;
    const n = dims[0]!;
    if (!data.pixels && !(values instanceof Float32Array)) {
      throw new DataError(
        `${data.name}: holds whole numbers (int64), which cannot be averaged to be ${what}; save them as float32, or as uint8 if they are pixels`,
      );
    }
    const from = values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>, Number);
    const to = new Float32Array(n * size);
    const stride = from.length / n;
    for (let i = 0; i < n; i++) {
      const image = from.subarray(i * stride, (i + 1) * stride);
      const out = to.subarray(i * size, (i + 1) * size);
      // Decided by the image itself, so that it does not depend on what is read together with it.
      fill(image, out, data.pixels && image.every(Number.isInteger) ? 'bytes' : 'floats');
      if (data.pixels) out.set(out.map((v) => Math.min(255, Math.max(0, v))));
      const wrong = out.find((v) => !Number.isFinite(v));
      if (wrong !== undefined) {
        throw new DataError(`${data.name}: example ${indexOf(i)}, ${what}, holds ${wrong}, expected finite numbers`);
      }
    }
    return { ...arrays, x: { data: to, shape: [n, ...shape] } };
  });
}

function emptyLike(values: DataArray['data'], length: number): DataArray['data'] {
  if (values instanceof BigInt64Array) return new BigInt64Array(length);
  return values instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
}
