// ONNX's running sums and products.

import type { Value } from '../../graph/index.ts';
import { concat, expand, matmul, mul, reshape, slice, transpose } from '../../ops/index.ts';
import type { NodeContext, Operators } from './context.ts';
import { axisOf } from './shape.ts';

/** Sums up to each place along an axis: a product with a triangle of ones. */
function sums(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.single(1));
  const [exclusive, reverse] = [ctx.int('exclusive', 0) === 1, ctx.int('reverse', 0) === 1];
  ctx.refuseWrapping();
  const d = ctx.sized(x.shape[axis]!, 'sums over a length', 4096);
  const ones = Array.from({ length: d * d }, (_, at) => {
    const [from, to] = [Math.floor(at / d), at % d];
    const [first, second] = reverse ? [to, from] : [from, to];
    return Number(exclusive ? first < second : first <= second);
  });
  const last = x.shape.length - 1;
  const perm = [...x.shape.keys()].filter((a) => a !== axis).concat(axis);
  const sums = matmul(reshape(transpose(x, perm), [-1, d]), ctx.constant(ones, [d, d], x.dtype));
  const back = [...x.shape.keys()].map((a) => (a === axis ? last : a < axis ? a : a - 1));
  return transpose(
    reshape(
      sums,
      perm.map((a) => x.shape[a]!),
    ),
    back,
  );
}

/** Products up to each place along an axis, one factor after another, so that the gradient holds where some are 0. */
function products(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.single(1));
  const [exclusive, reverse] = [ctx.int('exclusive', 0) === 1, ctx.int('reverse', 0) === 1];
  ctx.refuseWrapping();
  const d = ctx.sized(x.shape[axis]!, 'products over a length', 4096);
  const factors = Array.from({ length: d }, (_, k) => slice(x, axis, k, k + 1));
  if (reverse) factors.reverse();
  const [first] = factors;
  if (!first) return x;
  const one = expand(ctx.constant(1, [], x.dtype), first.shape);
  const parts: Value[] = [];
  let product = exclusive ? one : first;
  for (let k = 0; k < d; k++) {
    parts.push(product);
    const next = factors[exclusive ? k : k + 1];
    if (next) product = exclusive && k === 0 ? next : mul(product, next);
  }
  return concat(reverse ? parts.reverse() : parts, axis);
}

export const runningOperators = {
  CumSum: sums,
  CumProd: products,
} satisfies Operators;
