// ONNX's operators that pick, place and order elements, and the losses that pick by class.

import type { Value } from '../../graph/index.ts';
import {
  add,
  concat,
  div,
  equal,
  greater,
  logSoftmax,
  matmul,
  maximum,
  minimum,
  mul,
  neg,
  not,
  reduceSum,
  reshape,
  slice,
  toFloat,
  toInt,
  transpose,
  where,
  zeroPad,
} from '../../ops/index.ts';
import { sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operators } from './context.ts';
import { like, oneHot, oneHotOrNone, picked } from './gather.ts';
import { softmaxOver } from './reduce.ts';
import { axisOf } from './shape.ts';

/** The places [p] that rows of indices [p, k] name in the first k axes of a shape, and how many there are. */
function flatPlaces(ctx: NodeContext, rows: Value, shape: readonly number[]): { places: Value; count: number } {
  const k = rows.shape[1]!;
  const places = Array.from({ length: k }, (_, a) => {
    const d = ctx.constant(shape[a]!, [], 'int');
    const index = slice(rows, 1, a, a + 1);
    const zero = ctx.constant(0, [], 'int');
    const fromFront = where(greater(zero, index), add(index, d), index);
    ctx.within(index, -shape[a]!, shape[a]! - 1, fromFront);
    return mul(fromFront, ctx.constant(sizeOf(shape.slice(a + 1, k)), [], 'int'));
  }).reduce((a, b) => add(a, b));
  return { places: reshape(places, [-1]), count: sizeOf(shape.slice(0, k)) };
}

function gatherND(ctx: NodeContext): Value {
  const [x, indices] = [ctx.in(0), ctx.in(1)];
  const b = ctx.int('batch_dims', 0);
  const batch = sizeOf(x.shape.slice(0, b));
  const k = indices.shape.at(-1) ?? 0;
  if (b < 0 || k < 1 || b + k > x.shape.length || !sameShape(indices.shape.slice(0, b), x.shape.slice(0, b))) {
    ctx.refuse(`indices ${shapeText(indices.shape)} for ${shapeText(x.shape)}, ${b} axes of them batches`);
  }
  const rest = x.shape.slice(b + k);
  const flat = reshape(x, [batch, ...x.shape.slice(b)]);
  const rows = reshape(indices, [batch, -1, k]);
  const parts = Array.from({ length: batch }, (_, i) => {
    const one = reshape(slice(flat, 0, i, i + 1), x.shape.slice(b));
    const { places, count } = flatPlaces(ctx, reshape(slice(rows, 0, i, i + 1), [-1, k]), one.shape);
    return reshape(picked(oneHot(ctx, places, count), reshape(one, [count, -1])), [1, -1]);
  });
  return reshape(concat(parts, 0), [...indices.shape.slice(0, -1), ...rest]);
}

type Two = (a: Value, b: Value) => Value;

/** How several updates of one place become one, and that one and what was there. */
const reductions: Readonly<
  Record<string, { readonly joint: Two; readonly none: number; readonly several: Two | undefined }>
> = {
  none: { joint: (_x, placed) => placed, none: 0, several: undefined },
  add: { joint: add, none: 0, several: undefined },
  mul: { joint: mul, none: 1, several: mul },
  max: { joint: maximum, none: -Infinity, several: maximum },
  min: { joint: minimum, none: Infinity, several: minimum },
};

/**
 * The updates in their places: in place of what was there, on top of it, times it, or the larger or smaller of both.
 */
function scattered(ctx: NodeContext, x: Value, placed: Value, hits: Value): Value {
  const { joint } = reductionOf(ctx);
  const back = x.dtype === 'bool' ? greater(placed, 0.5) : placed;
  return where(greater(hits, 0.5), joint(x, back), x);
}

function reductionOf(ctx: NodeContext) {
  const name = ctx.text('reduction', 'none');
  return reductions[name] ?? ctx.refuse(`reduction '${name}'`);
}

/**
 * Updates [..., p] that go to a place where the mask of ones, [..., p], says so, as one for each place; undefined where
 * they are added up.
 */
function joined(ctx: NodeContext, mask: Value, updates: Value): Value | undefined {
  const { several, none } = reductionOf(ctx);
  if (!several) return undefined;
  const axis = mask.shape.length - 1;
  const count = ctx.sized(mask.shape[axis]!, 'updates of one place', 4096);
  // Of whole numbers, the smallest and the largest that are exact here.
  const limit = updates.dtype === 'int' ? Math.max(-(2 ** 53), Math.min(none, 2 ** 53)) : none;
  const each = where(equal(mask, 1), updates, updates.arena.constant(limit, [], updates.dtype));
  const { length: rank } = each.shape;
  if (count === 0) return undefined;
  const parts = Array.from({ length: count }, (_, k) => slice(each, rank - 1, k, k + 1));
  return reshape(parts.reduce(several), each.shape.slice(0, -1));
}

/** What is added up where updates go: floats for truth values, which have no sums. */
function updatesOf(ctx: NodeContext): Value {
  if (['add', 'mul'].includes(ctx.text('reduction', 'none'))) ctx.refuseWrapping();
  const updates = ctx.in(2);
  if (updates.dtype !== 'bool') return updates;
  if (ctx.text('reduction', 'none') !== 'none') ctx.refuse('a reduction of truth values');
  return toFloat(updates);
}

function scatterND(ctx: NodeContext): Value {
  const [x, indices, updates] = [ctx.in(0), ctx.in(1), updatesOf(ctx)];
  const k = indices.shape.at(-1) ?? 0;
  if (k < 1 || k > x.shape.length) ctx.refuse(`indices ${shapeText(indices.shape)} for ${shapeText(x.shape)}`);
  ctx.expectShape(2, [...indices.shape.slice(0, -1), ...x.shape.slice(k)]);
  const { places, count } = flatPlaces(ctx, reshape(indices, [-1, k]), x.shape);
  const hot = transpose(oneHot(ctx, places, count)); // [count, p]
  const rows = reshape(updates, [places.shape[0]!, -1]); // [p, rest]
  ctx.sized(reductionOf(ctx).several ? sizeOf(hot.shape) * rows.shape[1]! : 0, 'updates of places', 2 ** 24);
  const single = joined(ctx, reshape(hot, [count, 1, -1]), transpose(rows)); // [count, rest]
  const placed = reshape(single ?? matmul(like(updates, hot), rows), x.shape);
  const hits = reshape(reduceSum(hot, [1]), [...x.shape.slice(0, k), ...x.shape.slice(k).map(() => 1)]);
  return scattered(ctx, x, placed, hits);
}

function scatterElements(ctx: NodeContext): Value {
  const [x, indices, updates] = [ctx.in(0), ctx.in(1), updatesOf(ctx)];
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const rank = x.shape.length;
  const depth = x.shape[axis]!;
  if (indices.shape.length !== rank || indices.shape.some((d, a) => a !== axis && d > x.shape[a]!)) {
    ctx.refuse(`indices ${shapeText(indices.shape)} for ${shapeText(x.shape)} along axis ${axis}`);
  }
  ctx.expectShape(2, indices.shape);
  const hot = oneHot(ctx, indices, depth); // [..., k at axis, ..., depth]
  const order = [...Array.from({ length: rank }, (_, a) => (a === axis ? rank : a)), axis]; // k behind everything
  const mask = transpose(hot, order); // [..., depth at axis, ..., k]
  const shape = updates.shape.map((d, a) => (a === axis ? 1 : d));
  const perm = [...Array.from({ length: rank }, (_, a) => a).filter((a) => a !== axis), axis];
  const moved = reshape(transpose(updates, perm), [...shape, updates.shape[axis]!]);
  const fill = (v: Value) =>
    zeroPad(
      v,
      x.shape.map(() => 0),
      x.shape.map((d, a) => d - v.shape[a]!),
    );
  const placed = joined(ctx, mask, moved) ?? reduceSum(mul(like(updates, mask), moved), [rank]);
  return scattered(ctx, x, fill(placed), fill(reduceSum(mask, [rank])));
}

/** How many elements come before each along the last axis: the larger ones, and of equal ones those on one side. */
function ranks(ctx: NodeContext, x: Value, ties: 'left first' | 'right first'): Value {
  const d = ctx.sized(x.shape.at(-1)!, 'an order over a length', 4096);
  const [mine, others] = [reshape(x, [...x.shape, 1]), reshape(x, [...x.shape.slice(0, -1), 1, d])];
  const side = Array.from({ length: d * d }, (_, at) => {
    const [other, own] = [at % d, Math.floor(at / d)];
    return Number(ties === 'left first' ? other < own : other > own);
  });
  const before = mul(toFloat(equal(others, mine)), ctx.constant(side, [d, d]));
  return reduceSum(add(toFloat(greater(others, mine)), before), [x.shape.length]);
}

/** One-hot rows [..., k, d] of the k first along the last axis. */
function firstPlaces(ctx: NodeContext, x: Value, k: number, ties: 'left first' | 'right first' = 'left first'): Value {
  const each = ctx.constant(
    Array.from({ length: k }, (_, i) => i),
    [k, 1],
  );
  const rank = ranks(ctx, x, ties);
  return toFloat(equal(reshape(rank, [...x.shape.slice(0, -1), 1, x.shape.at(-1)!]), each));
}

/** The axis last, and the way back. */
function lastAxis(x: Value, axis: number): { moved: Value; back: (y: Value) => Value } {
  const rank = x.shape.length;
  const perm = [...x.shape.keys()].filter((a) => a !== axis).concat(axis);
  const inverse = Array.from({ length: rank }, (_, a) => (a === axis ? rank - 1 : a < axis ? a : a - 1));
  return { moved: transpose(x, perm), back: (y) => transpose(y, inverse) };
}

const indicesOf = (ctx: NodeContext, hot: Value): Value => {
  const d = hot.shape.at(-1)!;
  const each = ctx.constant(
    Array.from({ length: d }, (_, i) => i),
    [d],
  );
  return toInt(reduceSum(mul(hot, each), [hot.shape.length - 1]));
};

function topK(ctx: NodeContext): Value[] {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.int('axis', -1));
  const k = ctx.opset < 10 ? ctx.int('k') : ctx.single(1);
  if (!(Number.isInteger(k) && k >= 0 && k <= x.shape[axis]!)) ctx.refuse(`the ${k} largest of ${x.shape[axis]}`);
  ctx.declare(1, TensorProto_DataType.INT64);
  const { moved, back } = lastAxis(x, axis);
  const hot = firstPlaces(ctx, ctx.int('largest', 1) === 1 ? moved : neg(moved), k);
  const values = reduceSum(
    mul(like(moved, hot), reshape(moved, [...moved.shape.slice(0, -1), 1, moved.shape.at(-1)!])),
    [moved.shape.length],
  );
  return [back(values), back(indicesOf(ctx, hot))];
}

function argument(ctx: NodeContext, direction: (x: Value) => Value): Value {
  const x = ctx.in(0);
  const ties = ctx.int('select_last_index', 0) === 1 ? 'right first' : 'left first';
  ctx.declare(0, TensorProto_DataType.INT64);
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const { moved, back } = lastAxis(x, axis);
  const index = back(indicesOf(ctx, firstPlaces(ctx, direction(moved), 1, ties)));
  return ctx.int('keepdims', 1) === 1
    ? index
    : reshape(
        index,
        index.shape.filter((_, a) => a !== axis),
      );
}

/** 1 at the largest, 0 elsewhere. */
function hardmax(x: Value, axis: number, ctx: NodeContext): Value {
  const { moved, back } = lastAxis(x, axis);
  return back(reshape(firstPlaces(ctx, moved, 1), moved.shape));
}

/** −w[y] log p[y] over classes on axis 1, reduced. */
function classLoss(ctx: NodeContext, logs: Value): Value {
  const labels = ctx.in(1);
  const weights = ctx.maybe(2);
  if (logs.shape.length < 2) ctx.refuse(`scores ${shapeText(logs.shape)}, expected two axes at least`);
  const classes = logs.shape[1]!;
  ctx.expectShape(1, [logs.shape[0]!, ...logs.shape.slice(2)]);
  if (weights) ctx.expectShape(2, [classes]);
  if (labels.dtype !== 'int') ctx.refuse(`labels ${shapeText(labels.shape)} are not whole numbers`);
  const rank = logs.shape.length;
  const hot = oneHotOrNone(ctx, labels, classes); // [n, ..., c]
  const ignored = ctx.has('ignore_index') ? ctx.constant(ctx.int('ignore_index'), [], 'int') : undefined;
  const zero = ctx.constant(0, [], 'int');
  ctx.within(ignored ? where(equal(labels, ignored), zero, labels) : labels, 0, classes - 1, hot);
  const perm = [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, a) => a + 1)];
  const spread = [1, classes, ...new Array<number>(rank - 2).fill(1)];
  const every = transpose(hot, perm); // [n, c, ...]
  const weighted = weights ? mul(every, reshape(weights, spread)) : every;
  const spreadLabels = reshape(labels, [labels.shape[0]!, 1, ...labels.shape.slice(1)]);
  const counted = ignored ? mul(weighted, toFloat(not(equal(spreadLabels, ignored)))) : weighted;
  const losses = neg(reduceSum(mul(counted, logs), [1]));
  const reduction = ctx.text('reduction', 'mean');
  if (reduction === 'none') return losses;
  if (reduction === 'sum') return reduceSum(losses);
  if (reduction === 'mean') return div(reduceSum(losses), reduceSum(counted));
  return ctx.refuse(`reduction '${reduction}'`);
}

export const selectOperators = {
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  TopK: topK,
  ArgMax: (ctx) => argument(ctx, (x) => x),
  ArgMin: (ctx) => argument(ctx, neg),
  Hardmax: softmaxOver(hardmax),
  NegativeLogLikelihoodLoss: (ctx) => classLoss(ctx, ctx.in(0)),
  SoftmaxCrossEntropyLoss: (ctx) => {
    const logs = logSoftmax(ctx.in(0), 1);
    return [classLoss(ctx, logs), logs];
  },
} satisfies Operators;
