// log x, written otherwise where x is made of exponentials that float32 rounds to 0, 1 or infinity: probabilities from
// sigmoids and softmaxes, picked, added up, cut off or with a small number added; densities and their mixtures. PyTorch
// writes every Bernoulli and categorical likelihood so, or lets its exporter do it, and in float64 all of these are
// right.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { broadcastTwo, type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { apply, constantData, uniformValue } from './apply.ts';
import {
  add,
  div,
  elementwiseOps,
  exp,
  greater,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  sub,
  where,
} from './elementwise.ts';
import { expand } from './expand.ts';
import { clamp, kinkOps } from './kinks.ts';
import { linearOps, matmul } from './linear.ts';
import { logErfc } from './log-erfc.ts';
import {
  affine,
  distributionOf,
  isCount,
  isNode,
  logitOf,
  logSoftplus,
  map,
  moves,
  operandsOf,
  picks,
} from './log-patterns.ts';
import { logComplement, logSigmoid, logSigmoidOps, softplusInTails } from './log-sigmoid.ts';
import { factor, fixed, negative, ofTerms, plus, type Term, timesTerms, weighed } from './log-terms.ts';
import { reduceOps } from './reduce.ts';
import { rowOps, rows } from './rows.ts';
import { concat, reshape, shapeOps } from './shape.ts';
import { logSoftmax, softmaxOps } from './softmax.ts';
import { trigonometryOps } from './trigonometry.ts';

/** Of log x: the same by way of what x is made of, where that keeps more of it. */
export const betterLogarithm = (_y: Value, { inputs }: NodeSource): Value | undefined => logOf(inputs[0]!);

/**
 * What is not surely positive, though there is a better way to its logarithm: a factor of it is taken as it is, and may
 * be negative.
 */
const doubtful = new WeakSet<Value>();

/**
 * Whether x is positive whatever the numbers are. A product of which one factor may be negative has the logarithm of
 * that factor in it, which is NaN exactly where the product's is; but of two, or in a sum or a maximum, a negative one
 * need not make the whole negative.
 */
function surelyPositive(x: Value): boolean {
  return constantData(x)?.every((v) => v > 0) ?? (logOf(x) !== undefined && !doubtful.has(x));
}

/** logOf of what is surely positive. */
const logOfPositive = (x: Value): Value | undefined => (surelyPositive(x) ? logOf(x) : undefined);

/** log x of a sum of terms, over axes if need be; x marked where a weight of theirs may be negative. */
function ofSum(
  x: Value,
  terms: readonly Term[] | undefined,
  shape: Shape = x.shape,
  axes: readonly number[] = [],
): Value | undefined {
  const y = ofTerms(terms, shape, axes);
  if (y && terms!.some(({ weight }) => weight && !isCount(weight))) doubtful.add(x);
  return y;
}

/** The same y, x marked as no more certain than what it is made of. */
function from(x: Value, made: readonly Value[], y: Value | undefined): Value | undefined {
  if (y && !made.every(surelyPositive)) doubtful.add(x);
  return y;
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
  known.set(x, null); // while it is looked for: as a term of itself it is no better
  depth++;
  const y = alone(x, x.source) ?? ofSum(x, termsOf(x));
  depth--;
  const whole = y && expand(y, x.shape); // sums and products do without what broadcasting does anyway
  known.set(x, whole ?? null);
  return whole;
}

type Rule = (x: Value, inputs: readonly [Value, Value, Value], node: NodeSource) => Value | undefined;

/** Logarithms that need no sum, or are of one. */
const rules = new Map<OpRecord, Rule>([
  ...moves.map((op): [OpRecord, Rule] => [
    op,
    (x, [a], { attrs }) =>
      from(
        x,
        [a],
        map(logOf(a), (l) => apply(op, [l], attrs)),
      ),
  ]),
  [elementwiseOps.Exp, (_x, [a]) => a],
  [softmaxOps.Softmax, (_x, [a], { attrs }) => logSoftmax(a, attrs.axis as number)],
  [
    elementwiseOps.Where,
    (x, [c, a, b]) =>
      from(
        x,
        [a, b],
        either(a, b, (ofA, ofB) => where(c, ofA, ofB)),
      ),
  ],
  [elementwiseOps.Mul, (x, [a, b]) => from(x, [a, b], oneSure(a, b) ? either(a, b, add) : undefined)],
  [elementwiseOps.Div, (x, [a, b]) => from(x, [a, b], oneSure(a, b) ? either(a, b, sub) : undefined)],
  [elementwiseOps.Pow, (_x, [a, b]) => map(logOfPositive(a), (l) => mul(b, l))],
  [
    elementwiseOps.Sqrt,
    (x, [a]) =>
      from(
        x,
        [a],
        map(logOf(a), (l) => mul(0.5, l)),
      ),
  ],
  [
    elementwiseOps.Max,
    (x, [a, b]) =>
      bounded(x, a, b) ?? bounded(x, b, a) ?? ([a, b].every(surelyPositive) ? either(a, b, maximum) : undefined),
  ],
  [elementwiseOps.Min, (x, [a, b]) => from(x, [a, b], either(a, b, minimum))],
  [reduceOps.ReduceMax, (_x, [a], { op, attrs }) => map(logOfPositive(a), (l) => apply(op, [l], attrs))],
  [reduceOps.ReduceSum, (x, [a], { attrs }) => ofSum(x, termsOf(a), a.shape, attrs.axes as readonly number[])],
  [kinkOps.Clamp, (x, [a], { attrs }) => cut(x, a, attrs.low as number, attrs.high as number)],
  [elementwiseOps.Neg, (_x, [a]) => map(operandsOf(a, logSigmoidOps.LogSigmoid), ([u]) => logSoftplus(neg(u)))],
  [elementwiseOps.Softplus, (_x, [a]) => logSoftplus(a)],
  // |x| + log ((1 + e^(−2 |x|)) / 2)
  [trigonometryOps.Cosh, (_x, [a]) => sub(add(neg(a), softplusInTails(mul(2, a))), Math.LN2)],
  [shapeOps.Concat, (x, _inputs, { inputs, attrs }) => from(x, inputs, joined(inputs, attrs.axis as number))],
  [linearOps.MatMul, (x, [a, b]) => product(x, a, b)],
  [
    rowOps.Rows,
    (x, [places, table]) =>
      from(
        x,
        [table],
        map(logOf(table), (l) => rows(l, places)),
      ),
  ],
]);

const oneSure = (a: Value, b: Value): boolean => surelyPositive(a) || surelyPositive(b);

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

const knownTerms = new WeakMap<Value, readonly Term[] | null>();

/** x as a sum of terms, by the logarithms of what it adds up. */
function termsOf(x: Value): readonly Term[] | undefined {
  if (depth >= DEEPEST) return undefined;
  const before = knownTerms.get(x);
  if (before !== undefined) return before ?? undefined;
  depth++;
  const found = newTermsOf(x);
  depth--;
  knownTerms.set(x, found ?? null);
  return found;
}

function newTermsOf(x: Value): readonly Term[] | undefined {
  const u = uniformValue(x);
  const zero = x.arena.constant(0);
  if (u !== undefined && u > 0) return [{ log: x.arena.constant(Math.log(u)), better: false }];
  if (x.source.kind !== 'node') return fixed(x) ? [{ weight: x, log: zero, better: false }] : undefined;
  const { op, inputs } = x.source;
  const [a, b, c] = inputs as [Value, Value, Value];
  if (op === elementwiseOps.Add) return plus(termsOf(a), termsOf(b));
  if (op === elementwiseOps.Sub)
    return plus(
      termsOf(a),
      map(termsOf(b), (terms) => terms.map(negative)),
    );
  if (op === elementwiseOps.Mul) {
    const terms = timesTerms(factor(a, logOfPositive(a)), factor(b, logOfPositive(b)));
    if (terms) return terms;
    const [some, other] = fixed(a) ? [b, a] : [a, b];
    return fixed(other) ? map(termsOf(some), (list) => list.map((t) => weighed(t, other))) : undefined;
  }
  if (op === elementwiseOps.Div && fixed(b)) {
    return map(termsOf(a), (list) => list.map((t) => ({ ...t, weight: div(t.weight ?? 1, b) })));
  }
  if (op === elementwiseOps.Where) {
    const one = (v: Value, taken: Value) =>
      uniformValue(v) === 0
        ? []
        : map(termsOf(v), (list) => list.map((t) => ({ ...t, weight: where(taken, t.weight ?? 1, 0) })));
    return plus(one(b, a), one(c, not(a)));
  }
  if (fixed(x)) return [{ weight: x, log: zero, better: false }];
  const l = logOfPositive(x);
  return l && [{ log: l, better: true }];
}

/**
 * log (F(a) − F(b)), a probability between two bounds, of a logistic or normal distribution function F, in the tail
 * that both are nearer to.
 */
function difference(x: Value): Value | undefined {
  const [above, below] = operandsOf(x, elementwiseOps.Sub) ?? [];
  const [a, b] = [map(above, distributionOf), map(below, distributionOf)];
  if (!a || !b || a.kind !== b.kind || a.scale !== b.scale || a.shift !== b.shift || !(a.scale > 0)) return undefined;
  if (!sameShape(a.z.shape, b.z.shape)) return undefined;
  doubtful.add(x); // whether a is above b is not known
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

/** log of the larger of x and a number that is not above 0, which x is. */
function bounded(whole: Value, x: Value, least: Value): Value | undefined {
  const u = uniformValue(least);
  return u !== undefined && u <= 0 && sameShape(broadcastTwo(x.shape, least.shape) ?? [-1], x.shape)
    ? from(whole, [x], logOf(x))
    : undefined;
}

/** log of x kept within bounds, which make the `whole`. */
function cut(whole: Value, x: Value, low: number, high: number): Value | undefined {
  if (!(high > 0)) return undefined;
  const l = low > 0 ? logOfPositive(x) : from(whole, [x], logOf(x));
  // of a probability
  const never = high >= 1 && (isNode(l, softmaxOps.LogSoftmax) || isNode(l, logSigmoidOps.LogSigmoid));
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
function product(x: Value, a: Value, b: Value): Value | undefined {
  if (logOf(b) && picks(a)) return from(x, [b], matmul(a, logOf(b)!));
  if (logOf(a) && picksByColumns(b)) return from(x, [a], matmul(logOf(a)!, b));
  const [ofA, ofB] = [logOfPositive(a), logOfPositive(b)];
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
  return map(ofSum(x, terms, [...batch, p, k, o], [rank - 2]), (y) => reshape(y, [...batch, p, o]));
}

/** What a product of matrices may take where it is written out. */
const LARGEST_PRODUCT = 2 ** 20;

/** Whether every column of x has a single 1 among zeros: rows that pick, transposed. */
export function picksByColumns(x: Value): boolean {
  if (!isNode(x, shapeOps.Transpose)) return false;
  const last = x.shape.length - 1;
  const swapped = (x.source.attrs.perm as readonly number[]).every(
    (p, a) => p === (a < last - 1 ? a : a === last ? last - 1 : last),
  );
  return swapped && picks(x.source.inputs[0]!);
}

/**
 * log (scale · y + shift) for y of which more is known than the sum shows: of 1 − y, 1 + tiny − y, y + tiny, 1 ± tanh,
 * 1 ± erf.
 */
function affineOf(x: Value): Value | undefined {
  const squares = ofTanhSquared(x);
  if (squares) return squares;
  const sum = affine(x);
  if (!sum) return undefined;
  const { base, scale, shift } = sum;
  if (base.source.kind === 'node' && moves.includes(base.source.op)) {
    const inner = scaled(base.source.inputs[0]!, scale, shift);
    const { op, attrs } = base.source;
    return from(
      x,
      [inner],
      map(logOf(inner), (l) => apply(op, [l], attrs)),
    );
  }
  if (isNode(base, kinkOps.Clamp)) {
    const ends = [base.source.attrs.low as number, base.source.attrs.high as number].map((v) => scale * v + shift);
    return cut(x, scaled(base.source.inputs[0]!, scale, shift), Math.min(...ends), Math.max(...ends));
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
  const l = logOfPositive(base);
  if (!l) return undefined;
  if (scale > 0) return shift < 0 || isNode(base, elementwiseOps.Exp) ? undefined : ofScaled(l, scale, shift);
  // shift + scale y is |scale| (1 − y) and what is left; with anything left it may be positive though y is above 1.
  const left = shift + scale;
  const probability = isNode(l, softmaxOps.LogSoftmax) || isNode(l, logSigmoidOps.LogSigmoid);
  if (!probability) {
    if (left !== 0) return undefined;
    doubtful.add(x);
  }
  return left >= 0 ? ofScaled(logComplement(l), -scale, left) : undefined;
}

/** scale · x + shift, as simply as that is written. */
function scaled(x: Value, scale: number, shift: number): Value {
  if (scale === -1) return shift === 0 ? neg(x) : sub(shift, x);
  const product = scale === 1 ? x : mul(x, scale);
  return shift === 0 ? product : add(product, shift);
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
