// Elementwise ops with NumPy broadcasting: arithmetic, comparison, activations. Operands in, value of the joint shape
// out.

import erf64 from '@stdlib/math-base-special-erf';
import { defined } from '../defined.ts';
import { GraphError } from '../errors.ts';
import type { Lowering, OpRecord, Value, ValueType } from '../graph/index.ts';
import { mapBroadcast } from '../tensor/ndarray.ts';
import { broadcastTwo, shapeText } from '../tensor/shape.ts';
import { apply, type Operand, uniformValue } from './apply.ts';
import { expand } from './expand.ts';

function broadcastType(name: string, inputs: readonly ValueType[], dtype: ValueType['dtype']): ValueType {
  const [first, second] = inputs.slice(-2);
  if (second && first!.dtype !== second.dtype)
    throw new GraphError(`${name}: of ${first!.dtype} and ${second.dtype} values`);
  let shape = inputs[0]!.shape;
  for (const x of inputs.slice(1)) {
    const joint = broadcastTwo(shape, x.shape);
    if (!joint) {
      throw new GraphError(`${name}: shapes ${inputs.map((v) => shapeText(v.shape)).join(' and ')} do not broadcast`);
    }
    shape = joint;
  }
  return { shape, dtype };
}

interface ElementwiseRule {
  /** The float64 function of one element each. */
  readonly f: (...x: number[]) => number;
  /** Partial derivatives times dY, not yet summed to the operands' shapes. Absent: piecewise constant. */
  readonly d?: (dY: Value, inputs: readonly Value[], y: Value, needs: readonly boolean[]) => readonly (Value | null)[];
  readonly dtype?: ValueType['dtype'];
  readonly takes?: OpRecord['takes'];
  /** Whether the first operand must be truth values. */
  readonly decides?: boolean;
  /** Where ONNX has no op of this name and meaning. */
  readonly emit?: (ctx: Lowering, names: readonly string[]) => string;
}

export function elementwise(name: string, arity: number, rule: ElementwiseRule): OpRecord {
  const { d } = rule;
  return {
    name,
    elementwise: true,
    ...(rule.takes ? { takes: rule.takes } : {}),
    type: (inputs) => {
      if (inputs.length !== arity) throw new GraphError(`${name}: ${inputs.length} operands, takes ${arity}`);
      if (rule.decides && inputs[0]!.dtype !== 'bool') {
        throw new GraphError(`${name}: of ${inputs[0]!.dtype} values, takes truth values`);
      }
      return broadcastType(name, inputs, rule.dtype ?? inputs[inputs.length - 1]!.dtype);
    },
    evaluate: (inputs, _attrs, out) => mapBroadcast(out.shape, inputs, rule.f),
    gradient: (dY, node, y, needs) => {
      if (!d) return node.inputs.map(() => null);
      return d(dY, node.inputs, y, needs).map((dX, i) => (needs[i] ? dX : null));
    },
    lower: (ctx, inputs, _node, y) => {
      const { names, lead } = ctx.aligned(inputs, y.shape);
      const name1 = rule.emit ? rule.emit(ctx, names) : ctx.emit(name, names);
      return { name: name1, shape: y.shape, dtype: y.dtype, lead };
    },
  };
}

const unary = (
  name: string,
  f: (x: number) => number,
  d: (x: Value, y: Value, dY: Value) => Value,
  takes?: OpRecord['takes'],
): OpRecord => elementwise(name, 1, { f, d: (dY, [x], y) => [d(x!, y, dY)], ...defined({ takes }) });

export const elementwiseOps = {
  Add: elementwise('Add', 2, { takes: 'numbers', f: (a, b) => a + b, d: (dY) => [dY, dY] }),
  Sub: elementwise('Sub', 2, {
    takes: 'numbers',
    f: (a, b) => a - b,
    d: (dY, _x, _y, needs) => [dY, needs[1] ? neg(dY) : null],
  }),
  Mul: elementwise('Mul', 2, {
    takes: 'numbers',
    f: (a, b) => a * b,
    d: (dY, [a, b], _y, needs) => [needs[0] ? mul(dY, b!) : null, needs[1] ? mul(dY, a!) : null],
  }),
  Div: elementwise('Div', 2, {
    f: (a, b) => a / b,
    d: (dY, [, b], y, needs) => [needs[0] ? div(dY, b!) : null, needs[1] ? neg(div(mul(dY, y), b!)) : null],
  }),
  // Two that are equal share the gradient.
  Max: elementwise('Max', 2, {
    takes: 'numbers',
    f: Math.max,
    d: (dY, [a, b]) => [mul(dY, shareOfLarger(a!, b!)), mul(dY, shareOfLarger(b!, a!))],
  }),
  Min: elementwise('Min', 2, {
    takes: 'numbers',
    f: Math.min,
    d: (dY, [a, b]) => [mul(dY, shareOfLarger(b!, a!)), mul(dY, shareOfLarger(a!, b!))],
  }),
  Neg: unary(
    'Neg',
    (x) => -x,
    (_x, _y, dY) => neg(dY),
    'numbers',
  ),
  Exp: unary('Exp', Math.exp, (_x, y, dY) => mul(dY, y)),
  Log: unary('Log', Math.log, (x, _y, dY) => div(dY, x)),
  Sqrt: unary('Sqrt', Math.sqrt, (_x, y, dY) => div(mul(dY, 0.5), y)),
  Abs: unary('Abs', Math.abs, (x, _y, dY) => mul(dY, sign(x)), 'numbers'),
  Tanh: unary('Tanh', Math.tanh, (_x, y, dY) => mul(dY, sub(1, mul(y, y)))),
  Sigmoid: unary(
    'Sigmoid',
    (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
    (_x, y, dY) => mul(dY, mul(y, sub(1, y))),
  ),
  // x σ(x), with derivative σ + y (1 − σ).
  Silu: elementwise('Silu', 1, {
    f: (x) => x / (1 + Math.exp(-x)),
    d: (dY, [x], y) => {
      const s = sigmoid(x!);
      return [mul(dY, add(s, mul(y, sub(1, s))))];
    },
    emit: (ctx, [x]) => ctx.emit('Mul', [x!, ctx.emit('Sigmoid', [x!])]),
  }),
  Softplus: unary(
    'Softplus',
    (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    (x, _y, dY) => mul(dY, sigmoid(x)),
  ),
  // y > 0 exactly where x > 0, and y is at hand.
  Relu: unary(
    'Relu',
    (x) => Math.max(x, 0),
    (_x, y, dY) => mul(dY, step(y)),
  ),
  Erf: unary('Erf', erf64, (x, _y, dY) => mul(dY, mul(2 / Math.sqrt(Math.PI), exp(neg(square(x)))))),
  // The exponent's gradient needs log a, so it exists for positive a only, as the power itself for fractional
  // exponents. What 0⁰ and powers of 0 leave open is 0, as in PyTorch.
  Pow: elementwise('Pow', 2, {
    f: Math.pow,
    d: (dY, [a, b], y, needs) => [
      needs[0] ? mul(dY, where(equal(b!, 0), 0, mul(b!, power(a!, sub(b!, 1))))) : null,
      needs[1] ? mul(dY, where(equal(a!, 0), 0, mul(y, log(a!)))) : null,
    ],
  }),
  Floor: elementwise('Floor', 1, { f: Math.floor }),
  Ceil: elementwise('Ceil', 1, { f: Math.ceil }),
  // Halves go to the even neighbour.
  Round: elementwise('Round', 1, {
    f: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  }),
  Sign: elementwise('Sign', 1, { takes: 'numbers', f: Math.sign }),
  /** The value alone: no gradient goes through it. */
  Detach: elementwise('Detach', 1, { takes: 'anything', f: (x) => x, emit: (ctx, [x]) => ctx.emit('Identity', [x!]) }),
  // 1 where x > 0, else 0. max(0, min(1, 2^127 x)) is that for all but subnormal x, in one vectorised pass; ONNX
  // Runtime's Sign and comparison with cast take two to five times as long.
  Step: elementwise('Step', 1, {
    f: (x) => Number(x > 0),
    emit: (ctx, [x]) => ctx.emit('HardSigmoid', [x!], { alpha: { float: 2 ** 127 }, beta: { float: 0 } }),
  }),
  Less: elementwise('Less', 2, { takes: 'numbers', f: (a, b) => Number(a < b), dtype: 'bool' }),
  Greater: elementwise('Greater', 2, { takes: 'numbers', f: (a, b) => Number(a > b), dtype: 'bool' }),
  Equal: elementwise('Equal', 2, { takes: 'anything', f: (a, b) => Number(a === b), dtype: 'bool' }),
  Not: elementwise('Not', 1, { takes: 'anything', decides: true, f: (a) => Number(a === 0), dtype: 'bool' }),
  // Where(condition, a, b). The branch not taken gets a zero, whatever its value was.
  Where: elementwise('Where', 3, {
    takes: 'anything',
    decides: true,
    f: (c, a, b) => (c !== 0 ? a : b),
    d: (dY, [c]) => [null, where(c!, dY, 0), where(c!, 0, dY)],
  }),
  ToFloat: elementwise('ToFloat', 1, {
    takes: 'anything',
    f: (x) => x,
    dtype: 'float',
    emit: (ctx, [x]) => ctx.emit('Cast', [x!], { to: 1 }),
  }),
  // Towards zero.
  ToInt: elementwise('ToInt', 1, {
    takes: 'anything',
    f: Math.trunc,
    dtype: 'int',
    emit: (ctx, [x]) => ctx.emit('Cast', [x!], { to: 7 }),
  }),
  // What is left of a by division towards zero; it has the sign of a. Of whole and of floating-point numbers.
  Remainder: elementwise('Remainder', 2, {
    takes: 'numbers',
    f: (a, b) => a % b,
    d: (dY, [a, b]) => {
      const quotient = div(a!, b!);
      return [dY, neg(mul(dY, mul(sign(quotient), floor(abs(quotient)))))];
    },
    emit: (ctx, names) => ctx.emit('Mod', names, { fmod: 1 }),
  }),
} satisfies Record<string, OpRecord>;

/** A binary op; of two that are one number each throughout it is a number as well, repeated. */
function binary(op: OpRecord, a: Operand, b: Operand): Value {
  const shape = broadcastTwo(typeof a === 'number' ? [] : a.shape, typeof b === 'number' ? [] : b.shape);
  const [ua, ub] = [uniformValue(a), uniformValue(b)];
  if (shape && ua !== undefined && ub !== undefined) {
    const arena = typeof a === 'number' ? (b as Value).arena : a.arena;
    const other = (x: Operand) => (typeof x === 'number' ? 'float' : x.dtype);
    const dtype = (x: Operand, y: Operand) => (typeof x === 'number' ? other(y) : x.dtype);
    const value = apply(op, [arena.constant(ua, [], dtype(a, b)), arena.constant(ub, [], dtype(b, a))]);
    return expand(value, shape);
  }
  return apply(op, [typed(a, b), typed(b, a)]);
}

/** A number beside a value of whole numbers is a whole number itself. */
function typed(x: Operand, other: Operand): Operand {
  if (typeof x !== 'number' || typeof other === 'number' || other.dtype !== 'int' || !Number.isInteger(x)) return x;
  return other.arena.constant(x, [], 'int');
}

/**
 * a + b, of the shape that both broadcast to by NumPy's rules (ONNX Add). Throws a GraphError where they do not, or
 * differ in type, as all ops of two do.
 */
export const add = (a: Operand, b: Operand): Value => binary(elementwiseOps.Add, a, b);
/** a − b, broadcast as by `add` (ONNX Sub). */
export const sub = (a: Operand, b: Operand): Value => binary(elementwiseOps.Sub, a, b);
/** a · b, broadcast as by `add` (ONNX Mul). */
export const mul = (a: Operand, b: Operand): Value => binary(elementwiseOps.Mul, a, b);
/** a / b of floats, broadcast as by `add` (ONNX Div); for whole numbers there is `intDiv`. */
export const div = (a: Operand, b: Operand): Value => binary(elementwiseOps.Div, a, b);
/** aᵇ of floats, broadcast as by `add` (ONNX Pow). What 0⁰ leaves open in a gradient is 0, as in PyTorch. */
export const power = (a: Operand, b: Operand): Value => binary(elementwiseOps.Pow, a, b);

/** −x, of the shape of x as all ops of one value are (ONNX Neg). */
export function neg(x: Value): Value {
  const u = uniformValue(x);
  return u === undefined ? apply(elementwiseOps.Neg, [x]) : expand(x.arena.constant(-u, [], x.dtype), x.shape);
}

/** The larger of a and b, broadcast as by `add` (ONNX Max); two that are equal share the gradient, as in PyTorch. */
export const maximum = (a: Operand, b: Operand): Value => binary(elementwiseOps.Max, a, b);
/** The smaller of a and b, broadcast as by `add` (ONNX Min); two that are equal share the gradient, as in PyTorch. */
export const minimum = (a: Operand, b: Operand): Value => binary(elementwiseOps.Min, a, b);
/** Whether a < b, as truth values, broadcast as by `add` (ONNX Less). */
export const less = (a: Operand, b: Operand): Value => binary(elementwiseOps.Less, a, b);
/** Whether a > b, as truth values, broadcast as by `add` (ONNX Greater). */
export const greater = (a: Operand, b: Operand): Value => binary(elementwiseOps.Greater, a, b);
/** Whether a = b, as truth values, of any type, broadcast as by `add` (ONNX Equal). */
export const equal = (a: Operand, b: Operand): Value => binary(elementwiseOps.Equal, a, b);
/** eˣ (ONNX Exp). */
export const exp = (x: Value): Value => apply(elementwiseOps.Exp, [x]);
/** Natural logarithm; −∞ at 0, NaN below (ONNX Log). */
export const log = (x: Value): Value => apply(elementwiseOps.Log, [x]);
/** √x; NaN below 0, and of infinite slope there: of a norm take `root` (ONNX Sqrt). */
export const sqrt = (x: Value): Value => apply(elementwiseOps.Sqrt, [x]);
/** |x|; the slope at 0 is 0, as in PyTorch (ONNX Abs). */
export const abs = (x: Value): Value => apply(elementwiseOps.Abs, [x]);
/** Hyperbolic tangent (ONNX Tanh). */
export const tanh = (x: Value): Value => apply(elementwiseOps.Tanh, [x]);
/** σ(x) = 1 / (1 + e⁻ˣ) (ONNX Sigmoid). */
export const sigmoid = (x: Value): Value => apply(elementwiseOps.Sigmoid, [x]);
/** x σ(x) (PyTorch's SiLU). */
export const silu = (x: Value): Value => apply(elementwiseOps.Silu, [x]);
/** log(1 + eˣ) (ONNX Softplus). */
export const softplus = (x: Value): Value => apply(elementwiseOps.Softplus, [x]);
/** max(x, 0); the slope at 0 is 0, as in PyTorch (ONNX Relu). */
export const relu = (x: Value): Value => apply(elementwiseOps.Relu, [x]);
/** The error function, 2/√π ∫₀ˣ exp(−t²) dt (ONNX Erf). */
export const erf = (x: Value): Value => apply(elementwiseOps.Erf, [x]);
/** The next whole number downwards, as a float; without a gradient (ONNX Floor). */
export const floor = (x: Value): Value => apply(elementwiseOps.Floor, [x]);
/** The next whole number upwards, as a float; without a gradient (ONNX Ceil). */
export const ceil = (x: Value): Value => apply(elementwiseOps.Ceil, [x]);
/** The nearest whole number, as a float, halves to the even one; without a gradient (ONNX Round). */
export const round = (x: Value): Value => apply(elementwiseOps.Round, [x]);
/** −1, 0 or 1; without a gradient (ONNX Sign). */
export const sign = (x: Value): Value => apply(elementwiseOps.Sign, [x]);
/** x, without a gradient (PyTorch's detach). */
export const detach = (x: Value): Value => apply(elementwiseOps.Detach, [x]);
/** 1 where x > 0, else 0; without a gradient. */
export const step = (x: Value): Value => apply(elementwiseOps.Step, [x]);
/** The opposite of truth values (ONNX Not). Throws a GraphError for others. */
export const not = (x: Value): Value => apply(elementwiseOps.Not, [x]);

/**
 * a where the condition holds, b elsewhere; all three broadcast as by `add` (ONNX Where). Throws a GraphError for a
 * condition that is no truth values.
 */
export function where(condition: Value, a: Operand, b: Operand): Value {
  const dtypes = [a, b].map((x) => (typeof x === 'number' ? undefined : x.dtype));
  if (!dtypes.includes('bool')) return apply(elementwiseOps.Where, [condition, typed(a, b), typed(b, a)]);
  // ONNX Runtime selects no truth values.
  const number = (x: Operand) => (typeof x === 'number' ? x : toFloat(x));
  return greater(apply(elementwiseOps.Where, [condition, number(a), number(b)]), 0.5);
}

/** The share of a in the gradient of max(a, b): half of it for each of two equals. */
const shareOfLarger = (a: Value, b: Value): Value => where(equal(a, b), 0.5, toFloat(greater(a, b)));

/** x as floats, truth values as 0 or 1 (ONNX Cast); x itself if it is of floats already. */
export const toFloat = (x: Value): Value => (x.dtype === 'float' ? x : apply(elementwiseOps.ToFloat, [x]));

/** x as whole numbers, cut off towards zero (ONNX Cast); x itself if it is of whole numbers already. */
export const toInt = (x: Value): Value => (x.dtype === 'int' ? x : apply(elementwiseOps.ToInt, [x]));

/**
 * What division towards zero leaves of a, with the sign of a; broadcast as by `add` (ONNX Mod with fmod = 1, PyTorch's
 * fmod).
 */
export const remainder = (a: Operand, b: Operand): Value => binary(elementwiseOps.Remainder, a, b);

/** x². */
export const square = (x: Value): Value => mul(x, x);
