// A DATA argument in, the data set out: opened, cut, prepared.

import {
  asPixels,
  type Dataset,
  DEFAULT_LENGTH,
  kernels,
  layoutOf,
  type Preparation,
  prepare,
  reshaped,
  take,
  toLayout,
} from '../data/index.ts';
import { defined } from '../defined.ts';
import { DataError, UsageError } from '../errors.ts';
import type { DataKind } from '../models/index.ts';
import { openData } from '../node/index.ts';
import { shapeText } from '../tensor/shape.ts';
import { sayNotes } from './notes.ts';
import { type RunOptions, text, type Values, whole } from './options.ts';

/** The first `limit` examples; all of them where there is no limit or fewer. */
export function limited(data: Dataset, limit: number | undefined): Dataset {
  return limit === undefined || limit >= data.length ? data : take(data, 0, limit);
}

/** What of the options decides how data are opened. */
type OpenChoices = Pick<RunOptions, 'dataDir' | 'seed' | 'choices'>;

/** Opens a DATA argument. `like`: shape of an example where the data leave the choice, see `OpenOptions`. */
export async function openDataset(spec: string, options: OpenChoices, like?: readonly number[]): Promise<Dataset> {
  const { pixels: _, layout: __, ...choices } = options.choices;
  const data = await openData(spec, {
    seed: options.seed,
    ...choices,
    ...defined({ dataDir: options.dataDir, like }),
  });
  sayNotes(data);
  return data;
}

/** The values of `imageOptions`. */
export function preparationOf(values: Values): Preparation {
  const asked = whole(values, 'channels', 1);
  const channels = ([1, 3] as const).find((c) => c === asked);
  if (channels !== asked) throw new UsageError(`--channels is ${asked}, expected 1 (grey) or 3 (RGB)`);
  const { resize, crop, pad } = {
    resize: size(values, 'resize'),
    crop: size(values, 'crop'),
    pad: size(values, 'pad'),
  };
  const filter = kernels.find((name) => name === text(values, 'filter'));
  if (filter !== text(values, 'filter')) {
    throw new UsageError(`--filter is '${text(values, 'filter')}', expected one of ${kernels.join(', ')}`);
  }
  if (filter !== undefined && resize === undefined)
    throw new UsageError('--filter is for --resize, which is not given');
  return defined({ channels, resize, filter, crop, pad });
}

function size(values: Values, name: string): [height: number, width: number] | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const [, height, width = height] = /^([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?$/.exec(value) ?? [];
  if (height === undefined) {
    throw new UsageError(`--${name} is '${value}', expected a size in pixels such as 32 or 24x32`);
  }
  return [Number(height), Number(width)];
}

/** For an example of what to type. */
function asSquare(count: number): string {
  const side = Math.sqrt(count);
  return Number.isInteger(side) ? `${side}x${side}` : 'HxW';
}

/** A DATA argument that must hold images, prepared. */
export async function openImages(spec: string, options: OpenChoices, preparation: Preparation = {}): Promise<Dataset> {
  const data = await openDataset(spec, options);
  const images = data.shapes.x?.length === 2 ? reshaped(data, 'x', [1, ...data.shapes.x]) : data;
  const shape = images.shapes.x;
  if (shape?.length !== 3) {
    const rows =
      shape?.length === 1
        ? `, but rows of ${shape[0]} numbers; say of what shape with \`shape: ${asSquare(shape[0]!)}\``
        : '';
    throw new DataError(`${spec}: holds no images${rows}`);
  }
  const planes = (layoutOf(shape) ?? options.choices.layout) === 'nhwc' ? toLayout(images, 'nchw') : images;
  return prepare(asPixels(planes, { range: options.choices.pixels }), preparation);
}

/** A DATA argument that must hold what an architecture takes: images prepared, or text in windows of `length` bytes. */
export async function openExamples(
  kind: DataKind,
  spec: string,
  options: OpenChoices,
  { length, ...preparation }: Preparation & { readonly length?: number | undefined },
): Promise<Dataset> {
  if (kind === 'images') {
    if (length !== undefined) throw new UsageError('--length is for text, the model takes images');
    return openImages(spec, options, preparation);
  }
  const [unfit] = Object.keys(preparation);
  if (unfit !== undefined) throw new UsageError(`--${unfit} is for images, the model takes bytes`);
  const data = await openDataset(spec, options, [length ?? DEFAULT_LENGTH]);
  const shape = data.shapes.x;
  if (shape?.length !== 1) {
    const found = shape ? `examples of shape ${shapeText(shape)}` : `no array 'x'`;
    throw new DataError(`${spec}: holds ${found}, expected sequences of bytes, of shape [length]`);
  }
  return asPixels(data); // checks that they are 0..255
}
