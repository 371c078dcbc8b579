// Shapes: lists of non-negative integers, row-major. Sizes, strides, broadcasting, and their text in messages.

export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const d of shape) size *= d;
  return size;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** As it appears in messages: [3,28,28]. */
export function shapeText(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

/** NumPy broadcasting of two shapes; undefined where they do not fit. */
export function broadcastTwo(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const da = a[i - rank + a.length] ?? 1;
    const db = b[i - rank + b.length] ?? 1;
    if (da !== db && da !== 1 && db !== 1) return undefined;
    out[i] = da === 1 ? db : da;
  }
  return out;
}

/** Where `from` was broadcast to `to`: the axes of `to` along which it was repeated. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const shift = to.length - from.length;
  return to.flatMap((d, i) => (i < shift || (from[i - shift] === 1 && d !== 1) ? [i] : []));
}

/** An axis in [-rank, rank) as one in [0, rank); undefined if it is neither. */
export function normaliseAxis(axis: number, rank: number): number | undefined {
  const a = axis < 0 ? axis + rank : axis;
  return Number.isInteger(a) && a >= 0 && a < rank ? a : undefined;
}

/**
 * The axis of a shape with the same elements in order that cuts them as this axis of another does; undefined if none.
 */
export function axisLike(shape: Shape, axis: number, other: Shape): number | undefined {
  const before = sizeOf(shape.slice(0, axis));
  const found = other.findIndex((d, k) => d === shape[axis] && sizeOf(other.slice(0, k)) === before);
  return found < 0 ? undefined : found;
}
