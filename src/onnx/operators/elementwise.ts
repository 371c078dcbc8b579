// ONNX's elementwise operators.

import type { Value } from '../../graph/index.ts';
import {
  abs,
  acos,
  acosh,
  add,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  constantData,
  cos,
  cosh,
  div,
  equal,
  erf,
  exp,
  expand,
  floor,
  fractionalPower,
  greater,
  intDiv,
  less,
  log,
  maximum,
  minimum,
  mul,
  neg,
  negativePart,
  not,
  power,
  relu,
  remainder,
  reshape,
  round,
  sigmoid,
  sign,
  sin,
  sinh,
  softplus,
  softplusInTails,
  squareRoot,
  sub,
  tan,
  tanh,
  toFloat,
  toInt,
  uniformValue,
  where,
} from '../../ops/index.ts';
import { mapBroadcast } from '../../tensor/ndarray.ts';
import { broadcastTwo, sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operator, Operators } from './context.ts';

const unary =
  (f: (x: Value) => Value): Operator =>
  (ctx) =>
    f(ctx.in(0));

const binary =
  (f: (a: Value, b: Value) => Value): Operator =>
  (ctx) =>
    f(ctx.in(0), ctx.in(1));

const folded =
  (f: (a: Value, b: Value) => Value): Operator =>
  (ctx) =>
    ctx.inputs.reduce(f);

function divide(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  return a.dtype === 'int' ? intDiv(a, b) : div(a, b);
}

/** The remainder has the divisor's sign; with `fmod` the dividend's. */
function modulo(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  const rest = remainder(a, b);
  if (ctx.int('fmod', 0) === 1) return rest;
  if (a.dtype !== 'int') ctx.refuse('fmod = 0 for floating-point numbers');
  const crosses = both(not(equal(rest, 0)), oneOf(less(rest, 0), less(b, 0)));
  return where(crosses, add(rest, b), rest);
}

/** Whole numbers stay whole: their powers are products. */
function raised(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  if (a.dtype === 'float') {
    const [exponent, shape] = [uniformValue(b), broadcastTwo(a.shape, b.shape)];
    if (exponent === undefined || !shape || !sameShape(shape, a.shape)) return power(a, toFloat(b));
    return fractionalPower(a, exponent);
  }
  ctx.refuseWrapping();
  const [base, exponent] = [ctx.importer.known(a), ctx.importer.known(b)];
  if (base && exponent) {
    const shape = broadcastTwo(a.shape, b.shape) ?? ctx.refuse(`${shapeText(a.shape)} to ${shapeText(b.shape)}`);
    const known = (v: Value, data: Float64Array) => ({ shape: v.shape, data });
    const data = mapBroadcast(shape, [known(a, base), known(b, exponent)], (x, e) => Math.trunc(x ** e)).data;
    const odd = data.find((v) => !Number.isFinite(v));
    return odd === undefined ? ctx.constant(data, shape, 'int') : ctx.refuse(`a power of whole numbers that is ${odd}`);
  }
  const e = exponent?.[0];
  if (e === undefined || exponent?.some((x) => x !== e) || !Number.isInteger(e) || e < 0 || e > 62) {
    ctx.refuse('powers of whole numbers with other exponents than one constant from 0 to 62');
  }
  const shape = broadcastTwo(a.shape, b.shape) ?? ctx.refuse(`${shapeText(a.shape)} to ${shapeText(b.shape)}`);
  const one = ctx.constant(1, [], 'int');
  return expand(
    Array.from({ length: e }).reduce<Value>((y) => mul(y, a), one),
    shape,
  );
}

/** The largest float32; what is beyond it is infinite. */
const LARGEST = 3.4028234663852886e38;

/** From opset 11 on the bounds are operands, before that attributes. */
function clip(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const bound = (i: number, name: string) =>
    ctx.maybe(i) ?? (ctx.opset < 11 && ctx.has(name) ? ctx.constant(ctx.float(name)) : undefined);
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  for (const v of [low, high]) {
    if (v && sizeOf(v.shape) !== 1) ctx.refuse(`a bound of the shape ${shapeText(v.shape)}, expected a number`);
  }
  const number = (v: Value | undefined, otherwise: number) => (v ? constantData(v)?.[0] : otherwise);
  // Without a bound it is the largest number of the type, which infinity exceeds.
  const most = ctx.element(0) === FLOAT16 ? 65504 : ctx.element(0) === DOUBLE ? Infinity : LARGEST;
  const [a, b] = [number(low, -most), number(high, most)];
  if (x.dtype === 'float' && a !== undefined && b !== undefined) return clamp(x, a, b);
  const scalar = (v: Value) => reshape(v, []);
  if (x.dtype !== 'float') {
    const bounded = low ? maximum(x, scalar(low)) : x;
    return high ? minimum(bounded, scalar(high)) : bounded;
  }
  // Bounds that are learned or fed: at a bound, it is the bound that the result follows. What is not a number stays.
  const within = low ? where(not(less(scalar(low), x)), kept(x, scalar(low)), x) : x;
  const result = high ? where(not(less(within, scalar(high))), kept(within, scalar(high)), within) : within;
  return clamp(result, low ? -Infinity : -most, high ? Infinity : most);
}

/** The bound, where x is a number. */
const kept = (x: Value, bound: Value) => where(equal(x, x), bound, x);

const { FLOAT, DOUBLE, FLOAT16, BFLOAT16, BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 } =
  TensorProto_DataType;

/** Sizes of the whole-number types that wrap around, in bits; negative for those with a sign. */
const wraps: Readonly<Record<number, number>> = {
  [UINT8]: 8,
  [UINT16]: 16,
  [UINT32]: 32,
  [INT8]: -8,
  [INT16]: -16,
};

function cast(ctx: NodeContext): Value {
  return converted(ctx, ctx.int('to'));
}

/** The first operand as numbers of a type of the file. Floating-point types are all computed in float32. */
function converted(ctx: NodeContext, to: number): Value {
  const x = ctx.in(0);
  ctx.declare(0, to);
  const floats: readonly number[] = [FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  if (floats.includes(to)) return toFloat(x);
  if (to === BOOL) return x.dtype === 'bool' ? x : not(equal(x, ctx.constant(0, [], x.dtype)));
  const whole = x.dtype === 'int' ? x : toInt(toFloat(x));
  if (to === INT64 || to === INT32) return whole;
  const bits = wraps[to];
  const from = ctx.element(0);
  if (bits === undefined) {
    const name = TensorProto_DataType[to]?.toLowerCase() ?? `type ${to}`;
    const unsigned: readonly (number | undefined)[] = [UINT8, UINT16, UINT32, UINT64, BOOL];
    if (to !== UINT64) ctx.refuse(`a cast to ${name}`);
    if (unsigned.includes(from) || ctx.importer.known(whole)?.every((v) => v >= 0)) return whole;
    return ctx.refuse(`a cast to ${name} of numbers that may be negative`);
  }
  const fromBits = from === BOOL ? 1 : from === undefined ? undefined : wraps[from];
  const fits = from === to || (fromBits !== undefined && fromBits > 0 && fromBits < Math.abs(bits));
  if (fits) return whole;
  const size = 2 ** Math.abs(bits);
  const positive = remainder(add(remainder(whole, size), size), size);
  return bits > 0 ? positive : sub(positive, mul(toInt(not(less(positive, size / 2))), size));
}

/** The type is that of the second operand, which the file must say somewhere. */
function castLike(ctx: NodeContext): Value {
  const to = ctx.element(1) ?? (ctx.in(1).dtype === 'float' ? FLOAT : undefined);
  return converted(ctx, to ?? ctx.refuse('a cast to whole numbers of a type that the file does not say'));
}

const selu = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 };

/** α (e^min(x, 0) − 1) below zero, x above. */
export const elu = (x: Value, alpha: number) => add(relu(x), mul(alpha, sub(exp(negativePart(x)), 1)));

export const leakyRelu = (x: Value, alpha: number) => add(relu(x), mul(alpha, negativePart(x)));

export const thresholdedRelu = (x: Value, alpha: number) => where(greater(x, alpha), x, 0);

export const softsign = (x: Value) => div(x, add(1, abs(x)));

export const hardSigmoid = (x: Value, alpha: number, beta: number) => clamp(add(mul(alpha, x), beta), 0, 1);

function gelu(ctx: NodeContext): Value {
  const x = ctx.in(0);
  if (ctx.text('approximate', 'none') === 'tanh') {
    const inner = mul(Math.sqrt(2 / Math.PI), add(x, mul(0.044715, power(x, 3))));
    return mul(mul(0.5, x), add(1, tanh(inner)));
  }
  return mul(mul(0.5, x), add(1, erf(mul(x, Math.SQRT1_2))));
}

/** x ± bias outside ±λ, 0 inside. */
function shrink(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [lambda, bias] = [ctx.float('lambd', 0.5), ctx.float('bias', 0)];
  return where(less(x, -lambda), add(x, bias), where(greater(x, lambda), sub(x, bias), 0));
}

function isInfinite(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [down, up] = [ctx.int('detect_negative', 1) !== 0, ctx.int('detect_positive', 1) !== 0];
  if (down && up) return greater(abs(x), LARGEST);
  if (up) return greater(x, LARGEST);
  return down ? less(x, -LARGEST) : less(x, x);
}

/** The identity, unless the model means to be trained. Before opset 12 the mask is not said to be anything then. */
function dropout(ctx: NodeContext): Value[] {
  const x = ctx.in(0);
  if (ctx.opset < 12) return [x];
  const training = ctx.maybe(2) ? ctx.known(2)[0] !== 0 : false;
  const ratio = ctx.maybe(1) ? ctx.importer.known(ctx.in(1))?.[0] : 0.5;
  if (training && ratio !== 0) {
    ctx.refuse('training mode, in which elements are dropped at random; export the model in evaluation mode');
  }
  ctx.declare(1, BOOL);
  return [x, expand(equal(ctx.constant(0), 0), x.shape)];
}

/** Logic on 0 and 1. */
const both = (a: Value, b: Value) => greater(mul(toFloat(a), toFloat(b)), 0.5);
const either = (a: Value, b: Value) => greater(add(toFloat(a), toFloat(b)), 0.5);
const oneOf = (a: Value, b: Value) => not(equal(toFloat(a), toFloat(b)));

type Two = (a: Value, b: Value) => Value;

/**
 * TorchScript writes files with the larger of two truth values, which ONNX Runtime has not: as in PyTorch, that is
 * `or`, the smaller `and`.
 */
const ofTruth =
  (ofNumbers: Two, ofTruths: Two): Two =>
  (a, b) =>
    (a.dtype === 'bool' && b.dtype === 'bool' ? ofTruths : ofNumbers)(a, b);

/** What wraps around in small whole-number types. */
const arithmetic =
  (operator: Operator): Operator =>
  (ctx) => {
    ctx.refuseWrapping();
    return operator(ctx);
  };

export const elementwiseOperators = {
  Add: arithmetic(binary(add)),
  Sub: arithmetic(binary(sub)),
  Mul: arithmetic(binary(mul)),
  Div: divide,
  Mod: modulo,
  Pow: raised,
  Max: folded(ofTruth(maximum, either)),
  Min: folded(ofTruth(minimum, both)),
  Sum: folded(add),
  Mean: (ctx) => div(ctx.inputs.reduce(add), ctx.count),
  Neg: arithmetic(unary(neg)),
  Abs: arithmetic(unary(abs)),
  Exp: unary(exp),
  Log: unary(log),
  Sqrt: unary(squareRoot),
  Reciprocal: unary((x) => div(1, x)),
  Sin: unary(sin),
  Cos: unary(cos),
  Tan: unary(tan),
  Asin: unary(asin),
  Acos: unary(acos),
  Atan: unary(atan),
  Shrink: shrink,
  Sinh: unary(sinh),
  Cosh: unary(cosh),
  Asinh: unary(asinh),
  Acosh: unary(acosh),
  Atanh: unary(atanh),
  Erf: unary(erf),
  Sign: unary(sign),
  Floor: unary(floor),
  Ceil: unary(ceil),
  Round: unary(round),
  Relu: unary((x) => (x.dtype === 'int' ? maximum(x, 0) : relu(x))),
  Sigmoid: unary(sigmoid),
  Tanh: unary(tanh),
  Softplus: unary(softplusInTails),
  Softsign: unary(softsign),
  LeakyRelu: (ctx) => leakyRelu(ctx.in(0), ctx.float('alpha', 0.01)),
  PRelu: (ctx) => {
    const x = ctx.in(0);
    const joint = broadcastTwo(x.shape, ctx.in(1).shape);
    if (!joint || !sameShape(joint, x.shape)) {
      ctx.refuse(`slopes ${shapeText(ctx.in(1).shape)} for ${shapeText(x.shape)}`);
    }
    if (x.dtype === 'int') return where(less(x, 0), mul(ctx.in(1), x), x);
    return add(relu(x), mul(ctx.in(1), negativePart(x)));
  },
  ThresholdedRelu: (ctx) => thresholdedRelu(ctx.in(0), ctx.float('alpha', 1)),
  Elu: (ctx) => elu(ctx.in(0), ctx.float('alpha', 1)),
  Selu: (ctx) => mul(ctx.float('gamma', selu.gamma), elu(ctx.in(0), ctx.float('alpha', selu.alpha))),
  Celu: (ctx) => {
    const [x, alpha] = [ctx.in(0), ctx.float('alpha', 1)];
    return add(relu(x), mul(alpha, sub(exp(div(negativePart(x), alpha)), 1)));
  },
  Gelu: gelu,
  HardSigmoid: (ctx) => hardSigmoid(ctx.in(0), ctx.float('alpha', 0.2), ctx.float('beta', 0.5)),
  HardSwish: unary((x) => mul(x, hardSigmoid(x, 1 / 6, 0.5))),
  Mish: unary((x) => mul(x, tanh(softplus(x)))),
  Swish: (ctx) => mul(ctx.in(0), sigmoid(mul(ctx.float('alpha', 1), ctx.in(0)))),
  Clip: clip,
  Cast: cast,
  CastLike: castLike,
  Less: binary(less),
  Greater: binary(greater),
  LessOrEqual: binary((a, b) => either(less(a, b), equal(a, b))),
  GreaterOrEqual: binary((a, b) => either(greater(a, b), equal(a, b))),
  Equal: binary((a, b) => (a.dtype === 'bool' ? equal(toFloat(a), toFloat(b)) : equal(a, b))),
  And: binary(both),
  Or: binary(either),
  Xor: binary(oneOf),
  Not: unary(not),
  IsInf: isInfinite,
  IsNaN: unary((x) => not(equal(x, x))),
  Where: (ctx) => {
    const [c, a, b] = [ctx.in(0), ctx.in(1), ctx.in(2)];
    return where(c, a, b);
  },
  Identity: (ctx) => ctx.any(0),
  Dropout: dropout,
} satisfies Operators;
