// Dense float64 arrays for the interpreter: shape and row-major data. Booleans are 0 and 1, integers are exact to 2^53.

import { type Shape, sizeOf, stridesOf } from './shape.ts';

export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

export function ndarray(shape: Shape, data: ArrayLike<number> = new Float64Array(sizeOf(shape))): NdArray {
  return { shape, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

/**
 * Calls `visit` with the flat index into the (row-major) output of `shape` and, for each stride list, the matching flat
 * offset. A stride of 0 repeats, so this walks broadcasts, transposes and slices alike.
 */
export function walk(shape: Shape, strides: readonly (readonly number[])[], visit: (i: number, at: number[]) => void) {
  const rank = shape.length;
  const index = new Array<number>(rank).fill(0);
  const at = new Array<number>(strides.length).fill(0);
  const size = sizeOf(shape);
  for (let i = 0; i < size; i++) {
    visit(i, at);
    for (let axis = rank - 1; axis >= 0; axis--) {
      index[axis]!++;
      for (let k = 0; k < at.length; k++) at[k]! += strides[k]![axis]!;
      if (index[axis]! < shape[axis]!) break;
      for (let k = 0; k < at.length; k++) at[k]! -= strides[k]![axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

/** The array with slice k along an axis replaced by Σ_l by[k, l] · slice l. */
export function mixedNdarray({ shape, data }: NdArray, axis: number, by: NdArray): NdArray {
  const d = shape[axis]!;
  const inner = sizeOf(shape.slice(axis + 1));
  const made = new Float64Array(data.length);
  for (const i of made.keys()) {
    const k = Math.floor(i / inner) % d;
    const start = i - k * inner;
    for (let l = 0; l < d; l++) made[i]! += by.data[k * d + l]! * data[start + l * inner]!;
  }
  return { shape, data: made };
}

/** Strides that read an array of shape `from` as if it had been broadcast to `to`. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const shift = to.length - from.length;
  return to.map((_, i) => (i < shift || from[i - shift] === 1 ? 0 : own[i - shift]!));
}

/** Elementwise function of broadcast operands. */
export function mapBroadcast(out: Shape, inputs: readonly NdArray[], f: (...x: number[]) => number): NdArray {
  const data = new Float64Array(sizeOf(out));
  const sources = inputs.map((x) => x.data);
  const strides = inputs.map((x) => broadcastStrides(x.shape, out));
  walk(out, strides, (i, at) => {
    data[i] = f(...sources.map((s, k) => s[at[k]!]!));
  });
  return { shape: out, data };
}
