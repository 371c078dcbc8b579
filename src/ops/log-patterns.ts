// What logarithms look for in a value: sigmoids and softmaxes however they are written, distribution functions, sums
// with numbers, selections.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { sameShape } from '../tensor/shape.ts';
import { constantData, uniformValue } from './apply.ts';
import { elementwiseOps, exp, less, log, mul, neg, sub, where } from './elementwise.ts';
import { expandOps } from './expand.ts';
import { clamp } from './kinks.ts';
import { softplusInTails } from './log-sigmoid.ts';
import { reduceOps } from './reduce.ts';
import { shapeOps } from './shape.ts';

export const map = <T, R>(x: T | undefined, f: (x: T) => R): R | undefined => (x === undefined ? undefined : f(x));

export const isNode = (x: Value | undefined, op: OpRecord): x is Value & { source: NodeSource } =>
  x?.source.kind === 'node' && x.source.op === op;

/** The operands of x where `op` makes it. */
export const operandsOf = (x: Value | undefined, op: OpRecord) =>
  isNode(x, op) ? (x.source.inputs as [Value, Value, Value]) : undefined;

/** Ops that only move or repeat elements of their one operand. */
export const moves: readonly OpRecord[] = [
  shapeOps.Reshape,
  shapeOps.Transpose,
  shapeOps.Slice,
  expandOps.Expand,
  elementwiseOps.Detach,
];

/** Ops that make nothing negative of what is not. */
const counting: readonly OpRecord[] = [
  elementwiseOps.Mul,
  elementwiseOps.Add,
  elementwiseOps.Div,
  elementwiseOps.Max,
  elementwiseOps.Min,
  reduceOps.ReduceSum,
  shapeOps.Concat,
];

const counts = new WeakMap<Value, boolean>();

/** Whether x is made of truth values and numbers that are not negative alone. */
export function isCount(x: Value): boolean {
  const y = counts.get(x) ?? isNewCount(x);
  counts.set(x, y);
  return y;
}

function isNewCount(x: Value): boolean {
  const data = constantData(x);
  if (data) return data.every((v) => v >= 0);
  if (x.source.kind !== 'node') return false;
  const { op, inputs } = x.source;
  if (op === elementwiseOps.ToFloat || op === elementwiseOps.ToInt)
    return inputs[0]!.dtype === 'bool' || isCount(inputs[0]!);
  if (op === elementwiseOps.Where) return inputs.slice(1).every(isCount);
  return (moves.includes(op) || counting.includes(op)) && inputs.every(isCount);
}

/** z where x is σ(z), also as 1 / (1 + e^(−z)) or e^z / (1 + e^z). */
export function logitOf(x: Value): Value | undefined {
  const sigmoid = operandsOf(x, elementwiseOps.Sigmoid);
  if (sigmoid) return sigmoid[0];
  const [above, below] = operandsOf(x, elementwiseOps.Div) ?? [];
  const [one, e] =
    map(operandsOf(below, elementwiseOps.Add), ([a, b]) => (uniformValue(a) === 1 ? [a, b] : [b, a])) ?? [];
  const a = operandsOf(e, elementwiseOps.Exp)?.[0];
  if (!a || !one || uniformValue(one) !== 1 || !sameShape(a.shape, x.shape)) return undefined;
  if (above && uniformValue(above) === 1) return neg(a);
  return above === e ? a : undefined;
}

/** z and the axis where x is softmax(z), written as e^z / Σ e^z. */
export function softmaxOf(above: Value, below: Value): { readonly z: Value; readonly axis: number } | undefined {
  const z = operandsOf(above, elementwiseOps.Exp)?.[0];
  let sum = below;
  for (;;) {
    const inner: Value | undefined = operandsOf(sum, expandOps.Expand)?.[0];
    if (!inner || inner.shape.length !== sum.shape.length) break;
    sum = inner;
  }
  if (!z || !isNode(sum, reduceOps.ReduceSum) || sum.source.inputs[0] !== above) return undefined;
  const [axis, ...more] = sum.source.attrs.axes as readonly number[];
  return axis === undefined || more.length > 0 ? undefined : { z, axis };
}

/** x as scale · F(z) + shift for F = σ or erf. */
export function distributionOf(x: Value) {
  const { base, scale, shift } = affine(x) ?? { base: x, scale: 1, shift: 0 };
  const angle = operandsOf(base, elementwiseOps.Tanh)?.[0];
  // tanh(a) = 2 σ(2 a) − 1
  if (angle) return { kind: 'logistic', z: mul(2, angle), scale: 2 * scale, shift: shift - scale };
  const [z, u] = [logitOf(base), operandsOf(base, elementwiseOps.Erf)?.[0]];
  if (z) return { kind: 'logistic', z, scale, shift };
  return u && { kind: 'normal', z: u, scale, shift };
}

/** x as scale · base + shift, for numbers that are the same for every element. */
export function affine(x: Value): { base: Value; scale: number; shift: number } | undefined {
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

/** Whether every row of x has a single 1 among zeros: a comparison with numbers that differ. */
export function picks(x: Value): boolean {
  let v = x;
  for (let steps = 0; steps < 8; steps++) {
    if (v.source.kind !== 'node') return false;
    const [a, b] = v.source.inputs as [Value, Value];
    if (v.source.op === elementwiseOps.Equal) {
      const last = v.shape.at(-1);
      const each = [a, b]
        .map((side) => (side.shape.at(-1) === last ? constantData(side) : undefined))
        .find((data) => data);
      return each !== undefined && each.length === last && new Set(each).size === last;
    }
    const same = v.source.op === elementwiseOps.ToFloat || v.source.op === elementwiseOps.ToInt;
    const moved = v.source.op === shapeOps.Reshape && a.shape.at(-1) === v.shape.at(-1);
    const repeated = v.source.op === expandOps.Expand && a.shape.at(-1) === v.shape.at(-1);
    if (!same && !moved && !repeated) return false;
    v = a;
  }
  return false;
}

/** log softplus(t), which is t far below 0. */
export function logSoftplus(t: Value): Value {
  const far = -15;
  return where(less(t, far), sub(t, mul(0.5, exp(minimumOf(t, far)))), log(softplusInTails(clamp(t, far, Infinity))));
}

const minimumOf = (x: Value, most: number) => clamp(x, -Infinity, most);
