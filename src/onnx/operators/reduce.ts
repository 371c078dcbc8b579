// ONNX's reductions, normalisations and softmaxes.

import type { Value } from '../../graph/index.ts';
import {
  abs,
  add,
  div,
  equal,
  greater,
  inverseStd,
  log,
  logSoftmax,
  logSumExp,
  mul,
  neg,
  normalise,
  power,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  root,
  softmax,
  split,
  sqrt,
  square,
  sub,
  toFloat,
  toInt,
  where,
} from '../../ops/index.ts';
import { broadcastTwo, type Shape, sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import type { NodeContext, Operator, Operators } from './context.ts';
import { axesOf, axisOf } from './shape.ts';

type Reduction = (x: Value, axes: readonly number[], keepdims: boolean, ctx: NodeContext) => Value;

/**
 * Whole numbers stay as they are where the result is one of them or their sum, and are brought back to whole ones
 * elsewhere.
 */
const reduction =
  (f: Reduction, options: { readonly exact?: boolean; readonly wraps?: boolean } = {}): Operator =>
  (ctx) => {
    const operand = ctx.in(0);
    if (options.wraps ?? true) ctx.refuseWrapping();
    const x = options.exact && operand.dtype === 'int' ? operand : toFloat(operand);
    const given = axesOf(ctx, x, 1);
    const none = (given ?? []).length === 0;
    const own = (y: Value) => {
      if (operand.dtype === 'bool') return greater(y, 0.5);
      return operand.dtype === 'int' ? toInt(y) : y;
    };
    // Without axes there is nothing to add up, but squares, logarithms and absolute values stay.
    if (none && ctx.int('noop_with_empty_axes', 0) === 1) return own(f(x, [], true, ctx));
    const axes = none ? [...x.shape.keys()] : given!;
    if (x.shape.includes(0)) ctx.refuse(`a reduction of ${shapeText(x.shape)}, which has no elements`);
    return own(f(x, axes, ctx.int('keepdims', 1) === 1, ctx));
  };

/** Factor by factor, so that the gradient holds where some are 0. */
function product(x: Value, axes: readonly number[], keepdims: boolean, ctx: NodeContext): Value {
  for (const axis of axes) ctx.sized(x.shape[axis]!, 'a product over a length', 4096);
  const y = axes.reduce((part, axis) => split(part, part.shape[axis]!, axis).reduce((a, b) => mul(a, b)), x);
  return keepdims
    ? y
    : reshape(
        y,
        y.shape.filter((_, a) => !axes.includes(a)),
      );
}

/** A value per channel [c] against x [n, c, ...]. */
const perChannel = (v: Value, x: Value) => reshape(v, [1, -1, ...x.shape.slice(2).map(() => 1)]);

function instanceNorm(ctx: NodeContext): Value {
  const x = ctx.in(0);
  for (const i of [1, 2]) ctx.expectShape(i, [x.shape[1]!]);
  const y = normalise(x, 1, x.shape[1]!, ctx.float('epsilon', 1e-5));
  return add(mul(y, perChannel(ctx.in(1), x)), perChannel(ctx.in(2), x));
}

/** Scale and bias are per channel from opset 21 on, per group before. */
function groupNorm(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [, c, ...space] = x.shape as [number, number, ...number[]];
  const groups = ctx.int('num_groups');
  if (groups < 1 || c % groups !== 0) ctx.refuse(`${c} channels in ${groups} groups`);
  for (const i of [1, 2]) ctx.expectShape(i, [ctx.opset < 21 ? groups : c]);
  const y = normalise(x, 1, groups, ctx.float('epsilon', 1e-5));
  const each = (v: Value) => {
    if (ctx.opset >= 21) return perChannel(v, x);
    const spread = add(reshape(v, [groups, 1]), ctx.constant(new Float64Array(c), [groups, c / groups]));
    return reshape(spread, [1, c, ...space.map(() => 1)]);
  };
  return add(mul(y, each(ctx.in(1))), each(ctx.in(2)));
}

function layerNorm(ctx: NodeContext): Value[] {
  const x = ctx.in(0);
  const first = axisOf(ctx, x, ctx.int('axis', -1));
  const epsilon = ctx.float('epsilon', 1e-5);
  for (const i of [1, 2]) {
    const v = ctx.maybe(i);
    if (v) broadcastable(ctx, i, v.shape, x.shape.slice(first));
  }
  const scaled = mul(normalise(x, first, 1, epsilon), ctx.in(1));
  const bias = ctx.maybe(2);
  const kept = x.shape.map((d, a) => (a < first ? d : 1));
  const mean = reduceMean(x, [...x.shape.keys()].slice(first), true);
  return [bias ? add(scaled, bias) : scaled, mean, reshape(inverseStd(x, first, 1, epsilon), kept)];
}

/** Refuses operand i unless repeating it gives what is normalised. */
function broadcastable(ctx: NodeContext, i: number, shape: Shape, to: Shape): void {
  const joint = broadcastTwo(shape, to);
  if (!joint || !sameShape(joint, to)) ctx.refuse(`operand ${i} is ${shapeText(shape)}, expected ${shapeText(to)}`);
}

function rmsNorm(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const first = axisOf(ctx, x, ctx.int('axis', -1));
  const axes = [...x.shape.keys()].slice(first);
  broadcastable(ctx, 1, ctx.in(1).shape, x.shape.slice(first));
  const scale = div(1, sqrt(add(reduceMean(square(x), axes, true), ctx.float('epsilon', 1e-5))));
  return mul(mul(x, scale), ctx.in(1));
}

function batchNorm(ctx: NodeContext): Value {
  const x = ctx.in(0);
  // Until opset 13 the statistics of the batch as further outputs said that it is training.
  const training =
    ctx.opset < 14 ? ctx.node.outputs.slice(1).some((name) => name !== '') : ctx.int('training_mode', 0) === 1;
  if (training) ctx.refuse('training mode, in which examples of a batch interact; export the model in evaluation mode');
  if (ctx.opset < 9 && ctx.int('spatial', 1) === 0) ctx.refuse('spatial = 0, statistics for each place');
  if (x.shape.length < 2) ctx.refuse(`${shapeText(x.shape)} has no axis of channels`);
  for (const i of [1, 2, 3, 4]) ctx.expectShape(i, [x.shape[1]!]);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => perChannel(ctx.in(i), x)) as [
    Value,
    Value,
    Value,
    Value,
  ];
  const factor = div(scale, sqrt(add(variance, ctx.float('epsilon', 1e-5))));
  return add(mul(sub(x, mean), factor), bias);
}

/** x / (k + α/n · Σ over n neighbouring channels of x²)^β. */
function localResponseNorm(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [n, c, ...space] = x.shape as [number, number, ...number[]];
  const size = ctx.int('size');
  if (size < 1 || x.shape.length < 3) ctx.refuse(`${shapeText(x.shape)} over ${size} neighbours`);
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  ctx.sized(c, 'channels', 4096);
  const band = Array.from({ length: c * c }, (_, at) => {
    const [i, j] = [Math.floor(at / c), at % c];
    return Number(j >= i - before && j <= i + after);
  });
  const rows = reshape(square(x), [n, 1, c, -1]);
  const sums = reshape(reduceSum(mul(reshape(ctx.constant(band, [c, c]), [1, c, c, 1]), rows), [2]), [n, c, ...space]);
  const base = add(ctx.float('bias', 1), mul(ctx.float('alpha', 1e-4) / size, sums));
  return div(x, power(base, ctx.float('beta', 0.75)));
}

/** Before opset 13 softmax flattened everything from its axis on. */
export const softmaxOver =
  (f: (x: Value, axis: number, ctx: NodeContext) => Value): Operator =>
  (ctx) => {
    const x = ctx.in(0);
    const axis = axisOf(ctx, x, ctx.int('axis', ctx.opset >= 13 ? -1 : 1));
    if (ctx.opset >= 13) return f(x, axis, ctx);
    const flat = reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
    return reshape(f(flat, 1, ctx), x.shape);
  };

export const reduceOperators = {
  ReduceSum: reduction(reduceSum, { exact: true }),
  ReduceMean: reduction(reduceMean),
  ReduceMax: reduction(reduceMax, { exact: true, wraps: false }),
  ReduceMin: reduction((x, axes, keep) => neg(reduceMax(neg(x), axes, keep)), { exact: true, wraps: false }),
  ReduceProd: reduction(product, { exact: true }),
  ReduceSumSquare: reduction((x, axes, keep) => reduceSum(square(x), axes, keep), { exact: true }),
  ReduceL1: reduction((x, axes, keep) => reduceSum(abs(x), axes, keep), { exact: true }),
  ReduceL2: reduction((x, axes, keep) => root(reduceSum(square(x), axes, keep))),
  ReduceLogSum: reduction((x, axes, keep) => log(reduceSum(x, axes, keep))),
  ReduceLogSumExp: reduction(logSumExp),
  Softmax: softmaxOver(softmax),
  LogSoftmax: softmaxOver(logSoftmax),
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  LRN: localResponseNorm,
  LpNormalization: (ctx) => {
    const x = ctx.in(0);
    const axis = axisOf(ctx, x, ctx.int('axis', -1));
    const p = ctx.int('p', 2);
    if (p !== 1 && p !== 2) ctx.refuse(`p = ${p}, expected 1 or 2`);
    const norm = p === 1 ? reduceSum(abs(x), [axis], true) : root(reduceSum(square(x), [axis], true));
    // A row of zeros has no direction: it stays what it is.
    const none = equal(norm, 0);
    return where(none, 0, div(x, where(none, 1, norm)));
  },
  MeanVarianceNormalization: (ctx) => {
    const x = ctx.in(0);
    const axes = (ctx.ints('axes') ?? [0, 2, 3]).map((a) => axisOf(ctx, x, a));
    const centred = sub(x, reduceMean(x, axes, true));
    return div(centred, add(root(reduceMean(square(centred), axes, true)), 1e-9));
  },
} satisfies Operators;
