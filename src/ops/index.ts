// Every op of the one-example graph, and the functions that make values from them.

import { convOps } from './conv.ts';
import { elementwiseOps } from './elementwise.ts';
import { expandOps } from './expand.ts';
import { groupOps } from './group.ts';
import { innerOps } from './inner.ts';
import { kinkOps } from './kinks.ts';
import { linearOps } from './linear.ts';
import { logErfcOps } from './log-erfc.ts';
import { logSigmoidOps } from './log-sigmoid.ts';
import { normaliseOps } from './normalise.ts';
import { recomputeOps } from './recompute.ts';
import { reduceOps } from './reduce.ts';
import { resampleOps } from './resample.ts';
import { rowOps } from './rows.ts';
import { shapeOps } from './shape.ts';
import { softmaxOps } from './softmax.ts';
import { trigonometryOps } from './trigonometry.ts';
import { wholeOps } from './whole.ts';

/** The table: one record per op. */
export const ops = {
  ...elementwiseOps,
  ...wholeOps,
  ...kinkOps,
  ...logSigmoidOps,
  ...logErfcOps,
  ...trigonometryOps,
  ...expandOps,
  ...reduceOps,
  ...shapeOps,
  ...linearOps,
  ...rowOps,
  ...convOps,
  ...softmaxOps,
  ...normaliseOps,
  ...resampleOps,
  ...groupOps,
  ...innerOps,
  ...recomputeOps,
};

export { Sum } from './accumulate.ts';
export type { Operand } from './apply.ts';
export { constantData, multiplicationsOf, uniformValue } from './apply.ts';
export { type ConvOptions, conv, convTranspose, convWeightGrad } from './conv.ts';
export {
  abs,
  add,
  ceil,
  detach,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  less,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  power,
  relu,
  remainder,
  round,
  sigmoid,
  sign,
  silu,
  softplus,
  sqrt,
  square,
  step,
  sub,
  tanh,
  toFloat,
  toInt,
  where,
} from './elementwise.ts';
export { expand } from './expand.ts';
export { groupRepeat, groupSum, sqNorm, sumOfSquares } from './group.ts';
export { type Along, inner, mixedSqNorm, weightedSqNorm } from './inner.ts';
export { clamp, firstMaximum, fractionalPower, negativePart, root, squareRoot } from './kinks.ts';
export { matmul, outerSum } from './linear.ts';
export { logErfc } from './log-erfc.ts';
export { cutLogSigmoid, logComplement, logSigmoid, softplusInTails } from './log-sigmoid.ts';
export { inverseStd, normalise } from './normalise.ts';
export { after, recomputed } from './recompute.ts';
export { reduceFirstMax, reduceMax, reduceMean, reduceSum, sumTo } from './reduce.ts';
export { blockSum, repeatEach } from './resample.ts';
export { type Rewrite, rewrite, rewrites, simplify, simplifyGraph, substitute } from './rewrite.ts';
export { hotRows, rows } from './rows.ts';
export { scalerAlong, squaresAlong } from './scaled.ts';
export { concat, flip, place, reshape, slice, sliceRaw, split, transpose, zeroPad } from './shape.ts';
export { logSoftmax, logSumExp, softmax } from './softmax.ts';
export { acos, acosh, asin, asinh, atan, atanh, cos, cosh, sin, sinh, tan } from './trigonometry.ts';
export { bitAnd, bitOr, bitXor, intDiv } from './whole.ts';
