// log x, written otherwise where x is a probability that rounding would leave at 0 or 1: of a sigmoid, a softmax, their complements, and
// these with a small number added. PyTorch writes every Bernoulli and categorical likelihood so, or lets its exporter do it.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { sameShape } from '../tensor/shape.ts';
import { apply, uniformValue } from './apply.ts';
import { add, elementwiseOps, exp, log, mul, neg, where } from './elementwise.ts';
import { logSigmoid } from './log-sigmoid.ts';
import { shapeOps } from './shape.ts';
import { logSoftmax, softmaxOps } from './softmax.ts';

const isNode = (x: Value, op: OpRecord): x is Value & { source: NodeSource } =>
  x.source.kind === 'node' && x.source.op === op;

/** Ops that only move elements of their one operand. */
const moves: readonly OpRecord[] = [shapeOps.Reshape, shapeOps.Transpose, shapeOps.Slice];

/** log x, by way of what x is made of where that keeps more of it. */
export function logarithm(x: Value): Value {
  return logOf(x) ?? log(x);
}

function logOf(x: Value): Value | undefined {
  if (isNode(x, elementwiseOps.Sigmoid)) return logSigmoid(x.source.inputs[0]!);
  if (isNode(x, softmaxOps.Softmax)) return logSoftmax(x.source.inputs[0]!, x.source.attrs.axis as number);
  if (isNode(x, elementwiseOps.Where)) {
    const [condition, a, b] = x.source.inputs as [Value, Value, Value];
    const [ofA, ofB] = [logOf(a), logOf(b)];
    return ofA || ofB ? where(condition, ofA ?? log(a), ofB ?? log(b)) : undefined;
  }
  for (const op of moves) {
    if (!isNode(x, op)) continue;
    const inner = logOf(x.source.inputs[0]!);
    return inner && apply(op, [inner], x.source.attrs);
  }
  const sum = affine(x);
  if (!sum) return undefined;
  const { base, scale, shift } = sum;
  if (base.source.kind === 'node' && moves.includes(base.source.op)) {
    const inner = logOf(add(mul(base.source.inputs[0]!, scale), shift));
    return inner && apply(base.source.op, [inner], base.source.attrs);
  }
  if (!isNode(base, elementwiseOps.Sigmoid)) {
    const inner = logOf(base);
    return inner && log(add(mul(exp(inner), scale), shift));
  }
  const z = base.source.inputs[0]!;
  if (scale === -1 && shift === 1) return logSigmoid(neg(z));
  // 1 + tiny - σ(z) is σ(-z) + tiny.
  const complement = scale < 0 && shift + scale >= 0;
  const p = exp(logSigmoid(complement ? neg(z) : z));
  return log(complement ? add(mul(p, -scale), shift + scale) : add(mul(p, scale), shift));
}

/** x as scale · base + shift, for numbers that are the same for every element. */
function affine(x: Value): { base: Value; scale: number; shift: number } | undefined {
  let [base, scale, shift] = [x, 1, 0];
  for (;;) {
    if (base.source.kind !== 'node') break;
    const { op, inputs } = base.source;
    const [a, b] = inputs as [Value, Value];
    if (op === elementwiseOps.Neg) [base, scale] = [a, -scale];
    else if (op === elementwiseOps.Add || op === elementwiseOps.Sub || op === elementwiseOps.Mul) {
      const [ua, ub] = [uniformValue(a), uniformValue(b)];
      const number = ub ?? ua;
      const other = ub === undefined ? b : a;
      if (number === undefined || !sameShape(other.shape, x.shape)) break;
      if (op === elementwiseOps.Mul) scale *= number;
      else if (op === elementwiseOps.Add) shift += scale * number;
      else if (ub === undefined) [scale, shift] = [-scale, shift + scale * number];
      else shift -= scale * number;
      base = other;
    } else break;
  }
  return base === x ? undefined : { base, scale, shift };
}
