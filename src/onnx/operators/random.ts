// Operators that draw: each becomes an input that is drawn for every example from the seed, so that scores can be
// repeated. ONNX's own attribute `seed` is not followed: it would give all examples of a batch other numbers in other
// batches.

import type { Value } from '../../graph/index.ts';
import { add, less, matmul, mul, not, reduceSum, reshape, slice, softmax, toFloat, toInt } from '../../ops/index.ts';
import { type Shape, shapeText } from '../../tensor/shape.ts';
import type { FileModel } from '../file.ts';
import { TensorProto_DataType } from '../proto.ts';
import { graphsWithin } from '../roles.ts';
import type { NodeContext, Operators } from './context.ts';

const { BOOL, FLOAT, DOUBLE, FLOAT16, BFLOAT16 } = TensorProto_DataType;

function normal(ctx: NodeContext, shape: Shape): Value {
  return add(mul(ctx.draw(shape, 'normal'), ctx.float('scale', 1)), ctx.float('mean', 0));
}

function uniform(ctx: NodeContext, shape: Shape): Value {
  const [low, high] = [ctx.float('low', 0), ctx.float('high', 1)];
  return add(mul(ctx.draw(shape, 'uniform'), high - low), low);
}

const given = (ctx: NodeContext): Shape => ctx.ints('shape') ?? ctx.refuse('no shape');

/** 1 with the probability of the operand. */
function bernoulli(ctx: NodeContext): Value {
  const p = ctx.in(0);
  const drawn = less(ctx.draw(p.shape, 'uniform', true), p);
  const to = ctx.int('dtype', FLOAT);
  if (to === BOOL) return drawn;
  const floats: readonly number[] = [FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  return floats.includes(to) ? toFloat(drawn) : toInt(toFloat(drawn));
}

/** Classes drawn from logarithms of probabilities [n, classes] that need not add up to 1: [n, sample_size]. */
function multinomial(ctx: NodeContext): Value {
  const logits = ctx.in(0);
  const [n, classes] = logits.shape as [number, number];
  if (logits.shape.length !== 2) ctx.refuse(`${shapeText(logits.shape)}, expected two axes`);
  const count = ctx.sized(ctx.int('sample_size', 1), 'a number of draws', 2 ** 16);
  const ones = Array.from({ length: classes * classes }, (_, at) => Number(Math.floor(at / classes) <= at % classes));
  const sums = matmul(softmax(logits, 1), ctx.constant(ones, [classes, classes])); // of all up to each class
  const below = slice(sums, 1, 0, classes - 1); // the last sum is 1 but for rounding
  const drawn = reshape(ctx.draw([n, count], 'uniform', true), [n, count, 1]);
  const to = ctx.int('dtype', TensorProto_DataType.INT32);
  ctx.declare(0, to);
  return toInt(reduceSum(toFloat(not(less(drawn, reshape(below, [n, 1, classes - 1])))), [2]));
}

export const randomOperators = {
  RandomNormal: (ctx) => normal(ctx, given(ctx)),
  RandomNormalLike: (ctx) => normal(ctx, ctx.in(0).shape),
  RandomUniform: (ctx) => uniform(ctx, given(ctx)),
  RandomUniformLike: (ctx) => uniform(ctx, ctx.in(0).shape),
  Bernoulli: bernoulli,
  Multinomial: multinomial,
} satisfies Operators;

/** Whether a run of the file by itself has other results than the next. */
export function drawsNumbers(file: FileModel): boolean {
  const bodies = [...file.functions.values()].map(({ nodes }) => ({ ...file.graph, nodes }));
  const graphs = [file.graph, ...bodies].flatMap(graphsWithin);
  return graphs.some(({ nodes }) =>
    nodes.some(({ op, domain }) => domain === '' && Object.hasOwn(randomOperators, op)),
  );
}
