// Reductions over axes: sums and the largest.

import { defined } from '../defined.ts';
import { GraphError } from '../errors.ts';
import type { Attrs, Lowered, Lowering, OpRecord, Value, ValueType } from '../graph/index.ts';
import { broadcastStrides, ndarray, walk } from '../tensor/ndarray.ts';
import { broadcastAxes, normaliseAxis, type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply, uniformValue } from './apply.ts';
import { div, equal, mul, toFloat } from './elementwise.ts';
import { expand } from './expand.ts';
import { reshape } from './shape.ts';
import { storageAxis } from './slice-lowering.ts';

interface ReduceAttrs extends Attrs {
  readonly axes: readonly number[];
}

export const axesOf = (attrs: Attrs): readonly number[] => (attrs as ReduceAttrs).axes;

/**
 * Reductions keep their axes as size 1: what follows them (broadcasting back) wants that, and reshape takes them out.
 */
export function reduction(
  name: string,
  start: number,
  combine: (total: number, x: number) => number,
  gradient: NonNullable<OpRecord['gradient']>,
  takes?: OpRecord['takes'],
): OpRecord {
  return {
    name,
    ...defined({ takes }),
    type: ([x], attrs) => ({
      shape: x!.shape.map((d, i) => (axesOf(attrs).includes(i) ? 1 : d)),
      dtype: x!.dtype,
    }),
    evaluate: ([x], _attrs, out) => {
      const y = ndarray(out.shape);
      y.data.fill(start);
      walk(x!.shape, [broadcastStrides(out.shape, x!.shape)], (i, [to]) => {
        y.data[to!] = combine(y.data[to!]!, x!.data[i]!);
      });
      return y;
    },
    gradient,
    lower: (ctx, [x], node, y) => lowerReduce(ctx, name, x!, axesOf(node.attrs), y),
  };
}

function lowerReduce(ctx: Lowering, name: string, x: Lowered, axes: readonly number[], y: ValueType): Lowered {
  const kept = axes.filter((a) => x.shape[a] !== 1).map((a) => storageAxis(x, a)!);
  if (kept.length === 0) return { ...x, shape: y.shape };
  const reduced = ctx.emit(name, [x.name, ctx.ints(kept)], { keepdims: 1 });
  if (x.lead === 'none') return { name: reduced, shape: y.shape, dtype: y.dtype, lead: 'none' };
  const dims = ctx.storage(x.shape, x.lead).map((d, i) => (kept.includes(i) ? 1 : d));
  return ctx.stored(reduced, dims, y, x.lead);
}

export const reduceOps: Record<'ReduceSum' | 'ReduceMax' | 'ReduceFirstMax', OpRecord> = {
  ReduceSum: reduction(
    'ReduceSum',
    0,
    (t, x) => t + x,
    (dY, node) => [expand(dY, node.inputs[0]!.shape)],
    'numbers',
  ),
  // At ties the gradient is shared equally.
  ReduceMax: reduction(
    'ReduceMax',
    -Infinity,
    Math.max,
    (dY, node, y) => {
      const x = node.inputs[0]!;
      const hit = toFloat(equal(x, y));
      return [mul(hit, div(dY, reduceSum(hit, axesOf(node.attrs), true)))];
    },
    'numbers',
  ),
  // The same, but at ties the first in row-major order takes the gradient, as in a pooling.
  ReduceFirstMax: {
    ...reduction(
      'ReduceMax',
      -Infinity,
      Math.max,
      (dY, node, y) => {
        const x = node.inputs[0]!;
        const axes = axesOf(node.attrs);
        const order = sizesAlong(x.shape, axes);
        const count = sizeOf(order);
        // Numbers that fall from `count` to 1 in order: the first of the largest has the largest of these.
        const falling = x.arena.constant(
          Float64Array.from({ length: count }, (_, i) => count - i),
          order,
        );
        const ranked = mul(toFloat(equal(x, y)), falling);
        const first = equal(ranked, apply(reduceOps.ReduceMax, [ranked], node.attrs));
        return [mul(dY, toFloat(first))];
      },
      'numbers',
    ),
    name: 'ReduceFirstMax',
  },
};

/** The shape with 1 in place of all axes but these. */
const sizesAlong = (shape: Shape, axes: readonly number[]) => shape.map((d, a) => (axes.includes(a) ? d : 1));

function normalised(name: string, x: Value, axes: readonly number[] | undefined): number[] {
  const list = axes ?? x.shape.map((_, i) => i);
  const out = list.map((a) => {
    const axis = normaliseAxis(a, x.shape.length);
    if (axis === undefined) throw new GraphError(`${name}: axis ${a} of a value of shape ${shapeText(x.shape)}`);
    return axis;
  });
  return [...new Set(out)].sort((a, b) => a - b);
}

/** `op` over axes, all of them by default; the axes go unless `keepdims`. */
export function reduce(op: OpRecord, x: Value, axes: readonly number[] | undefined, keepdims: boolean): Value {
  const over = normalised(op.name, x, axes);
  const y = over.every((a) => x.shape[a] === 1) ? x : apply(op, [x], { axes: over });
  return keepdims
    ? y
    : reshape(
        y,
        y.shape.filter((_, i) => !over.includes(i)),
      );
}

/**
 * Sum over axes (all of them by default), negative from the end; the axes go unless `keepdims` (ONNX ReduceSum). Throws
 * a GraphError for an axis that x does not have.
 */
export function reduceSum(x: Value, axes?: readonly number[], keepdims = false): Value {
  const over = normalised('ReduceSum', x, axes);
  const u = uniformValue(x);
  if (u !== undefined) {
    const count = over.reduce((n, a) => n * x.shape[a]!, 1);
    const shape = x.shape.flatMap((d, i) => (over.includes(i) ? (keepdims ? [1] : []) : [d]));
    return expand(x.arena.constant(u * count, [], x.dtype), shape);
  }
  return reduce(reduceOps.ReduceSum, x, over, keepdims);
}

/** Largest element over axes, which are as for `reduceSum` (ONNX ReduceMax). */
export function reduceMax(x: Value, axes?: readonly number[], keepdims = false): Value {
  return reduce(reduceOps.ReduceMax, x, axes, keepdims);
}

/** Largest element over axes, which are as for `reduceSum`; of equals the first has the gradient. */
export function reduceFirstMax(x: Value, axes?: readonly number[], keepdims = false): Value {
  return reduce(reduceOps.ReduceFirstMax, x, axes, keepdims);
}

/** Mean over axes, which are as for `reduceSum` (ONNX ReduceMean). */
export function reduceMean(x: Value, axes?: readonly number[], keepdims = false): Value {
  const over = normalised('mean', x, axes);
  return div(
    reduceSum(x, over, keepdims),
    over.reduce((n, a) => n * x.shape[a]!, 1),
  );
}

/** The adjoint of expand: sums over the axes along which a value of `shape` was repeated to x's shape. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  return reshape(reduceSum(x, broadcastAxes(shape, x.shape), true), shape);
}
