// How the values of one example lie: the axes along which they are neighbours, of which things are cut, moved and
// averaged, and the others.

import { sizeOf } from '../../tensor/shape.ts';
import { layoutOf } from '../layout.ts';

/** Values of examples, as batches hold them. */
export type Values = Float32Array | BigInt64Array | Uint8Array;

/** The values of an example in C order as [outer, ...sizes, inner]. */
export interface Grid {
  /** Channels that come first. */
  readonly outer: number;
  /** Of the spatial axes; none is 1, since nothing can be moved along such an axis. */
  readonly sizes: readonly number[];
  /** Channels that come last. */
  readonly inner: number;
  /** Pieces that `swap` and `permute` cut every axis into; fewer where it is shorter. */
  readonly blocks: number;
}

/**
 * Of an example of this shape. Spatial are the axes after the first of [c, h, w] and of more axes, those before the
 * last of images [h, w, c], the first of [t, d], and the one of [d]. `symbols`: the values mean nothing as numbers; a
 * sequence of these is cut into 8, all others into 4.
 */
export function gridOf(shape: readonly number[], symbols = false): Grid {
  const rank = shape.length;
  const channelsFirst = rank >= 3 && layoutOf(shape) !== 'nhwc';
  const [first, end] = channelsFirst ? [1, rank] : [0, Math.min(rank, Math.max(1, rank - 1))];
  return {
    outer: sizeOf(shape.slice(0, first)),
    sizes: shape.slice(first, end).filter((d) => d !== 1),
    inner: sizeOf(shape.slice(end)),
    blocks: symbols && rank === 1 ? 8 : 4,
  };
}

/** How many values an example has. */
export const valuesIn = ({ outer, sizes, inner }: Grid): number => outer * sizeOf(sizes) * inner;

/** Where the value at a place comes from: one of the inputs, and a place in it. */
export interface From {
  readonly input: number;
  readonly at: readonly number[];
}

/** A new example whose values at every place, in all channels, are those of the inputs that `from` names. */
export function moved(inputs: readonly Values[], grid: Grid, from: (at: readonly number[]) => From): Values {
  const { outer, inner, sizes } = grid;
  const out = blank(inputs[0]!, valuesIn(grid));
  const places = sizeOf(sizes);
  eachPlace(sizes, (at, place) => {
    const { input, at: there } = from(at);
    const source = inputs[input] as Float32Array;
    const other = there.reduce((sum, t, axis) => sum * sizes[axis]! + t, 0);
    for (let o = 0; o < outer; o++) {
      const begin = (o * places + other) * inner;
      (out as Float32Array).set(source.subarray(begin, begin + inner), (o * places + place) * inner);
    }
  });
  return out;
}

/** Calls `visit` with every place in C order, and its number. */
export function eachPlace(sizes: readonly number[], visit: (at: readonly number[], place: number) => void): void {
  const at = sizes.map(() => 0);
  const places = sizeOf(sizes);
  for (let place = 0; place < places; place++) {
    visit(at, place);
    for (let axis = sizes.length - 1; axis >= 0 && ++at[axis]! === sizes[axis]; axis--) at[axis] = 0;
  }
}

/** Zeros of the same type. */
export function blank(like: Values, length: number): Values {
  if (like instanceof BigInt64Array) return new BigInt64Array(length);
  return like instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
}

/** What a value along an axis is made of: places before, and their weights, which are divided by their sum. */
export type Taps = readonly (readonly [at: number, weight: number])[];

/**
 * Along every axis in turn, `to(size)` values from the `size` that there are; value k is the mean of `taps(k, size)`.
 */
export function filtered(
  values: ArrayLike<number>,
  grid: Grid,
  taps: (k: number, size: number) => Taps,
  to: (size: number) => number = (size) => size,
): Float64Array {
  let now = Float64Array.from(values);
  const sizes = [grid.outer, ...grid.sizes, grid.inner];
  for (let axis = 1; axis < sizes.length - 1; axis++) {
    const [before, size, after] = [sizeOf(sizes.slice(0, axis)), sizes[axis]!, sizeOf(sizes.slice(axis + 1))];
    const count = to(size);
    const next = new Float64Array(before * count * after);
    for (let k = 0; k < count; k++) {
      const made = taps(k, size);
      const total = made.reduce((sum, [, weight]) => sum + weight, 0);
      for (let b = 0; b < before; b++) {
        for (let a = 0; a < after; a++) {
          let sum = 0;
          for (const [at, weight] of made) sum += weight * now[(b * size + at) * after + a]!;
          next[(b * count + k) * after + a] = sum / total;
        }
      }
    }
    sizes[axis] = count;
    now = next;
  }
  return now;
}
