// Whether the channels of an image are its first axis or its last: what the data have, what a model takes, and images
// brought from one to the other.

import { type DataArray, type Dataset, makeDataset } from './dataset.ts';

/** [channels, height, width] or [height, width, channels] of an example; the names say where n is. */
export type Layout = 'nchw' | 'nhwc';

/** Both layouts, the usual one first. */
export const layouts: readonly Layout[] = ['nchw', 'nhwc'];

/** Of what is taken for an image where nobody says that it is one. */
const MOST_CHANNELS = 4;

const isCount = (channels: number | undefined): boolean => channels === 1 || channels === 3;

/**
 * Where the channels of images of this shape must be, 1 or 3 of them; undefined where they may be either, or neither.
 */
export function layoutOf(shape: readonly number[]): Layout | undefined {
  const [first, , last] = shape;
  if (shape.length !== 3 || isCount(first) === isCount(last)) return undefined;
  return isCount(first) ? 'nchw' : 'nhwc';
}

/** The shape with its channels last, or first. */
export function inLayout(shape: readonly number[], to: Layout): readonly number[] {
  const [a, b, c] = shape as [number, number, number];
  return to === 'nhwc' ? [b, c, a] : [c, a, b];
}

/**
 * The images under 'x' with their channels where `to` says, from where they are not. What was done to them, and what
 * they are called, stays.
 */
export function toLayout(data: Dataset, to: Layout, name = 'x'): Dataset {
  const from = data.shapes[name]!;
  const shape = inLayout(from, to);
  const moved = (arrays: Readonly<Record<string, DataArray>>): Readonly<Record<string, DataArray>> => {
    const { data: values, shape: dims } = arrays[name]!;
    return { ...arrays, [name]: { data: transposed(values, from, to), shape: [dims[0]!, ...shape] } };
  };
  return makeDataset({
    ...data,
    shapes: { ...data.shapes, [name]: shape },
    fingerprint: `${data.fingerprint} ${to}`,
    read: async (start, end) => {
      for await (const { arrays } of data.batches(end - start, { start, end })) return moved(arrays);
      throw new Error(`${data.name}: ended before example ${end}`);
    },
    pick: async (indices) => moved((await data.gather(indices)).arrays),
  });
}

function transposed(values: DataArray['data'], [a, b, c]: readonly number[], to: Layout): DataArray['data'] {
  // [planes, pixels] to [pixels, planes], or the other way round.
  const [rows, columns] = to === 'nhwc' ? [a!, b! * c!] : [a! * b!, c!];
  const out = values.slice() as Float32Array;
  const size = rows * columns;
  for (let at = 0; at < values.length; at += size) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        out[at + column * rows + row] = values[at + row * columns + column] as number;
      }
    }
  }
  return out;
}

/**
 * What the images must be turned into to be of the shape that is wanted, some of whose sizes may be open (names);
 * undefined where they are, or cannot be.
 */
export function turnFor(
  found: readonly number[],
  wanted: readonly (number | string)[],
  said: Layout | undefined,
): Layout | undefined {
  if (found.length !== 3 || wanted.length !== 3) return undefined;
  const fits = (shape: readonly number[]) => wanted.every((d, axis) => typeof d === 'string' || d === shape[axis]);
  const channels = (to: Layout) => inLayout(found, to)[to === 'nchw' ? 0 : 2]!;
  if (fits(found))
    return said === 'nhwc' && layoutOf(found) !== 'nhwc' && fits(inLayout(found, said)) ? said : undefined;
  return layouts.find((to) => fits(inLayout(found, to)) && (channels(to) <= MOST_CHANNELS || said === to));
}
