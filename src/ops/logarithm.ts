// log x, written otherwise where x is made of exponentials that float32 rounds to 0, 1 or infinity: probabilities from sigmoids and softmaxes,
// picked, added up, cut off or with a small number added; densities and their mixtures. PyTorch writes every Bernoulli and categorical
// likelihood so, or lets its exporter do it, and in float64 all of these are right.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { broadcastTwo, sameShape, sizeOf } from '../tensor/shape.ts';
import { apply, constantData, uniformValue } from './apply.ts';
import {
  add,
  div,
  elementwiseOps,
  exp,
  greater,
  less,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  sub,
  toFloat,
  where,
} from './elementwise.ts';
import { expandOps } from './expand.ts';
import { clamp, kinkOps } from './kinks.ts';
import { linearOps, matmul } from './linear.ts';
import { logErfc } from './log-erfc.ts';
import { logComplement, logSigmoid, logSigmoidOps, softplusInTails } from './log-sigmoid.ts';
import { factor, fixed, negative, ofTerms, plus, type Term, timesTerms, weighed } from './log-terms.ts';
import { reduceOps } from './reduce.ts';
import { rowOps, rows } from './rows.ts';
import { concat, reshape, shapeOps, transpose } from './shape.ts';
import { logSoftmax, softmaxOps } from './softmax.ts';
import { trigonometryOps } from './trigonometry.ts';

/** log x, by way of what x is made of where that keeps more of it. */
export function logarithm(x: Value): Value {
  return logOf(x) ?? log(x);
}

/** What logarithms have been found to be; null for those that are no better than log x. */
const known = new WeakMap<Value, Value | null>();
/** How far down an expression is looked through. */
const DEEPEST = 200;
let depth = 0;

/** log x where there is a better way to it than that; else undefined. */
function logOf(x: Value): Value | undefined {
  if (x.source.kind !== 'node' || depth >= DEEPEST) return undefined;
  const before = known.get(x);
  if (before !== undefined) return before ?? undefined;
  depth++;
  const y = alone(x, x.source) ?? ofTerms(termsOf(x));
  depth--;
  known.set(x, y ?? null);
  return y;
}

const isNode = (x: Value | undefined, op: OpRecord): x is Value & { source: NodeSource } =>
  x?.source.kind === 'node' && x.source.op === op;

/** The operands of x where `op` makes it. */
const operandsOf = (x: Value | undefined, op: OpRecord) =>
  isNode(x, op) ? (x.source.inputs as [Value, Value, Value]) : undefined;

type Rule = (x: Value, inputs: readonly [Value, Value, Value], node: NodeSource) => Value | undefined;

/** Ops that only move or repeat elements of their one operand. */
const moves: readonly OpRecord[] = [
  shapeOps.Reshape,
  shapeOps.Transpose,
  shapeOps.Slice,
  expandOps.Expand,
  elementwiseOps.Detach,
];

/** Logarithms that need no sum. */
const rules = new Map<OpRecord, Rule>([
  ...moves.map((op): [OpRecord, Rule] => [op, (_x, [a], { attrs }) => map(logOf(a), (l) => apply(op, [l], attrs))]),
  [elementwiseOps.Exp, (_x, [a]) => a],
  [softmaxOps.Softmax, (_x, [a], { attrs }) => logSoftmax(a, attrs.axis as number)],
  [elementwiseOps.Where, (_x, [c, a, b]) => either(a, b, (ofA, ofB) => where(c, ofA, ofB))],
  [elementwiseOps.Mul, (_x, [a, b]) => either(a, b, add)],
  [elementwiseOps.Div, (_x, [a, b]) => either(a, b, sub)],
  [elementwiseOps.Pow, (_x, [a, b]) => map(logOf(a), (l) => mul(b, l))],
  [elementwiseOps.Sqrt, (_x, [a]) => map(logOf(a), (l) => mul(0.5, l))],
  [elementwiseOps.Max, (_x, [a, b]) => bounded(a, b) ?? bounded(b, a) ?? either(a, b, maximum)],
  [elementwiseOps.Min, (_x, [a, b]) => either(a, b, minimum)],
  [reduceOps.ReduceMax, (_x, [a], { op, attrs }) => map(logOf(a), (l) => apply(op, [l], attrs))],
  [kinkOps.Clamp, (_x, [a], { attrs }) => cut(a, attrs.low as number, attrs.high as number)],
  [elementwiseOps.Neg, (_x, [a]) => map(operandsOf(a, logSigmoidOps.LogSigmoid), ([u]) => logSoftplus(neg(u)))],
  [elementwiseOps.Softplus, (_x, [a]) => logSoftplus(a)],
  // |x| + log ((1 + e^(−2 |x|)) / 2)
  [trigonometryOps.Cosh, (_x, [a]) => sub(add(neg(a), softplusInTails(mul(2, a))), Math.LN2)],
  [shapeOps.Concat, (_x, _inputs, { inputs, attrs }) => joined(inputs, attrs.axis as number)],
  [linearOps.MatMul, (_x, [a, b]) => product(a, b)],
  [rowOps.Rows, (_x, [places, table]) => map(logOf(table), (l) => rows(l, places))],
]);

const map = <T, R>(x: T | undefined, f: (x: T) => R): R | undefined => (x === undefined ? undefined : f(x));

/** Of both, if there is a better way to at least one of them. */
function either(a: Value, b: Value, f: (ofA: Value, ofB: Value) => Value): Value | undefined {
  const [ofA, ofB] = [logOf(a), logOf(b)];
  return ofA || ofB ? f(ofA ?? log(a), ofB ?? log(b)) : undefined;
}

function alone(x: Value, node: NodeSource): Value | undefined {
  const z = logitOf(x);
  if (z) return logSigmoid(z);
  return difference(x) ?? affineOf(x) ?? rules.get(node.op)?.(x, node.inputs as [Value, Value, Value], node);
}

/** x as a sum of terms, by the logarithms of what it adds up. */
function termsOf(x: Value): readonly Term[] | undefined {
  const u = uniformValue(x);
  const zero = x.arena.constant(0);
  if (u !== undefined && u > 0) return [{ log: x.arena.constant(Math.log(u)), better: false }];
  if (x.source.kind !== 'node') return fixed(x) ? [{ weight: x, log: zero, better: false }] : undefined;
  const { op, inputs, attrs } = x.source;
  const [a, b, c] = inputs as [Value, Value, Value];
  if (op === elementwiseOps.Add) return plus(termsOf(a), termsOf(b));
  if (op === elementwiseOps.Sub)
    return plus(
      termsOf(a),
      map(termsOf(b), (terms) => terms.map(negative)),
    );
  if (op === elementwiseOps.Mul) {
    const terms = timesTerms(factor(a, logOf(a)), factor(b, logOf(b)));
    if (terms) return terms;
    const [some, other] = fixed(a) ? [b, a] : [a, b];
    return fixed(other) ? map(termsOf(some), (list) => list.map((t) => weighed(t, other))) : undefined;
  }
  if (op === elementwiseOps.Div && fixed(b)) {
    return map(termsOf(a), (list) => list.map((t) => ({ ...t, weight: div(t.weight ?? 1, b) })));
  }
  if (op === elementwiseOps.Where) {
    const one = (v: Value, taken: Value) =>
      uniformValue(v) === 0 ? [] : map(termsOf(v), (list) => list.map((t) => weighed(t, toFloat(taken))));
    return plus(one(b, a), one(c, not(a)));
  }
  if (op === reduceOps.ReduceSum) {
    const found = map(termsOf(a), (terms) => ofTerms(terms, attrs.axes as readonly number[]));
    return found && [{ log: found, better: true }];
  }
  if (fixed(x)) return [{ weight: x, log: zero, better: false }];
  const l = logOf(x);
  return l && [{ log: l, better: true }];
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

/** log (F(a) − F(b)), a probability between two bounds, of a logistic or normal distribution function F, in the tail that both are nearer to. */
function difference(x: Value): Value | undefined {
  const [above, below] = operandsOf(x, elementwiseOps.Sub) ?? [];
  const [a, b] = [map(above, distributionOf), map(below, distributionOf)];
  if (!a || !b || a.kind !== b.kind || a.scale !== b.scale || a.shift !== b.shift || !(a.scale > 0)) return undefined;
  if (!sameShape(a.z.shape, b.z.shape)) return undefined;
  const scaled = (l: Value) => (a.scale === 1 ? l : add(l, Math.log(a.scale)));
  // σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b − a))
  if (a.kind === 'logistic') {
    return scaled(add(add(logSigmoid(a.z), logSigmoid(neg(b.z))), logComplement(sub(b.z, a.z))));
  }
  // erf(a) − erf(b) = erfc(b) − erfc(a) = erfc(−a) − erfc(−b)
  const right = greater(add(a.z, b.z), 0);
  const [larger, smaller] = [where(right, b.z, neg(a.z)), where(right, a.z, neg(b.z))].map(logErfc) as [Value, Value];
  return scaled(add(larger, logComplement(sub(smaller, larger))));
}

/** x as scale · F(z) + shift for F = σ or erf. */
function distributionOf(x: Value) {
  const { base, scale, shift } = affine(x) ?? { base: x, scale: 1, shift: 0 };
  const angle = operandsOf(base, elementwiseOps.Tanh)?.[0];
  if (angle) return { kind: 'logistic', z: mul(2, angle), scale: 2 * scale, shift: shift - scale }; // tanh(a) = 2 σ(2 a) − 1
  const [z, u] = [logitOf(base), operandsOf(base, elementwiseOps.Erf)?.[0]];
  if (z) return { kind: 'logistic', z, scale, shift };
  return u && { kind: 'normal', z: u, scale, shift };
}

/** log softplus(t), which is t far below 0. */
function logSoftplus(t: Value): Value {
  const far = -15;
  return where(less(t, far), sub(t, mul(0.5, exp(minimumOf(t, far)))), log(softplusInTails(clamp(t, far, Infinity))));
}

const minimumOf = (x: Value, most: number) => clamp(x, -Infinity, most);

/** log of the larger of x and a number that is not above 0, which x is. */
function bounded(x: Value, least: Value): Value | undefined {
  const u = uniformValue(least);
  return u !== undefined && u <= 0 && sameShape(broadcastTwo(x.shape, least.shape) ?? [-1], x.shape)
    ? logOf(x)
    : undefined;
}

/** log of x kept within bounds. */
function cut(x: Value, low: number, high: number): Value | undefined {
  if (!(high > 0)) return undefined;
  const l = logOf(x);
  const never = high >= 1 && (isNode(l, softmaxOps.LogSoftmax) || isNode(l, logSigmoidOps.LogSigmoid)); // of a probability
  return l && clamp(l, low > 0 ? Math.log(low) : -Infinity, never ? Infinity : Math.log(high));
}

function joined(parts: readonly Value[], axis: number): Value | undefined {
  const logs = parts.map(logOf);
  return logs.some((l) => l)
    ? concat(
        parts.map((part, k) => logs[k] ?? log(part)),
        axis,
      )
    : undefined;
}

/** log (A · B): rows that pick one number each pick its logarithm; what else is known of the example weighs them. */
function product(a: Value, b: Value): Value | undefined {
  const [ofA, ofB] = [logOf(a), logOf(b)];
  if (ofB && picks(a)) return matmul(a, ofB);
  if (ofA && b.shape.length >= 2 && picks(transpose(b, swapped(b)))) return matmul(ofA, b);
  if (!ofA && !ofB) return undefined;
  const [p, k, o] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!];
  const batch = broadcastTwo(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!batch || sizeOf(batch) * p * k * o > LARGEST_PRODUCT) return undefined;
  const rank = batch.length + 3;
  const open = (v: Value, at: number) =>
    reshape(v, [...v.shape.slice(0, -2), ...v.shape.slice(-2).toSpliced(at, 0, 1)]);
  const terms = timesTerms(
    factor(
      open(a, 2),
      map(ofA, (l) => open(l, 2)),
    ),
    factor(
      open(b, 0),
      map(ofB, (l) => open(l, 0)),
    ),
  );
  return map(ofTerms(terms, [rank - 2]), (y) => reshape(y, [...batch, p, o]));
}

/** What a product of matrices may take where it is written out. */
const LARGEST_PRODUCT = 2 ** 20;

const swapped = (x: Value) => {
  const last = x.shape.length - 1;
  return [...x.shape.keys()].map((a) => (a < last - 1 ? a : a === last ? last - 1 : last));
};

/** Whether every row of x has a single 1 among zeros: a comparison with numbers that differ. */
function picks(x: Value): boolean {
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

/** log (scale · y + shift) for y of which more is known than the sum shows: of 1 − y, 1 + tiny − y, y + tiny, 1 ± tanh, 1 ± erf. */
function affineOf(x: Value): Value | undefined {
  const squares = ofTanhSquared(x);
  if (squares) return squares;
  const sum = affine(x);
  if (!sum) return undefined;
  const { base, scale, shift } = sum;
  if (base.source.kind === 'node' && moves.includes(base.source.op)) {
    const inner = logOf(add(mul(base.source.inputs[0]!, scale), shift));
    return inner && apply(base.source.op, [inner], base.source.attrs);
  }
  if (isNode(base, kinkOps.Clamp)) {
    const ends = [base.source.attrs.low as number, base.source.attrs.high as number].map((v) => scale * v + shift);
    return cut(add(mul(base.source.inputs[0]!, scale), shift), Math.min(...ends), Math.max(...ends));
  }
  const f = distributionOf(x);
  if (f?.kind === 'normal') {
    // scale erf(z) + shift is |scale| erfc(∓z) and what is left.
    const rest = f.shift - Math.abs(f.scale);
    return rest < 0 ? undefined : ofScaled(logErfc(f.scale > 0 ? neg(f.z) : f.z), Math.abs(f.scale), rest);
  }
  if (f) {
    // shift + scale − scale σ(z) is scale σ(−z) and what is left.
    const complement = f.scale < 0 && f.shift + f.scale >= 0;
    if (!complement && (f.scale < 0 || f.shift < 0)) return undefined;
    const l = logSigmoid(complement ? neg(f.z) : f.z);
    return ofScaled(l, Math.abs(f.scale), complement ? f.shift + f.scale : f.shift);
  }
  const l = logOf(base);
  if (!l) return undefined;
  if (scale > 0) return shift < 0 || isNode(base, elementwiseOps.Exp) ? undefined : ofScaled(l, scale, shift);
  if (shift + scale < 0) return undefined;
  return ofScaled(logComplement(l), -scale, shift + scale);
}

/** log (scale · e^l + shift) where e^l is at most 1 and what is added keeps the sum from 0. */
function ofScaled(l: Value, scale: number, shift: number): Value {
  if (shift === 0) return scale === 1 ? l : add(l, Math.log(scale));
  return log(add(mul(exp(l), scale), shift));
}

/** log (1 − tanh² a), of 4 σ(2 a) σ(−2 a). */
function ofTanhSquared(x: Value): Value | undefined {
  const sum = affine(x);
  const [t, again] = operandsOf(sum?.base, elementwiseOps.Mul) ?? [];
  const a = t === again ? operandsOf(t, elementwiseOps.Tanh)?.[0] : undefined;
  if (!sum || !a || sum.scale >= 0 || sum.shift + sum.scale < 0) return undefined;
  const double = mul(2, a);
  const l = add(add(logSigmoid(double), logSigmoid(neg(double))), Math.log(4));
  return ofScaled(l, -sum.scale, sum.shift + sum.scale);
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
