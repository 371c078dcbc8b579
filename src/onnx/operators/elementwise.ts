// ONNX's elementwise operators.

import type { Value } from '../../graph/index.ts';
import {
  abs,
  add,
  atan,
  ceil,
  cos,
  div,
  equal,
  erf,
  exp,
  expand,
  floor,
  greater,
  intDiv,
  less,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  power,
  relu,
  round,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  sub,
  tanh,
  toFloat,
  toInt,
  where,
} from '../../ops/index.ts';
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
  const fmod = ctx.int('fmod', 0) === 1;
  if (a.dtype === 'int') {
    const rest = sub(a, mul(b, intDiv(a, b)));
    if (fmod) return rest;
    const zero = ctx.constant(0, [], 'int');
    const crosses = both(not(equal(rest, zero)), oneOf(less(rest, zero), less(b, zero)));
    return where(crosses, add(rest, b), rest);
  }
  if (!fmod) ctx.refuse('fmod = 0 for floating-point numbers');
  const quotient = div(a, b);
  return sub(a, mul(b, mul(sign(quotient), floor(abs(quotient)))));
}

/** From opset 11 on the bounds are operands, before that attributes. */
function clip(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const low = ctx.maybe(1) ?? (ctx.has('min') ? ctx.constant(ctx.float('min')) : undefined);
  const high = ctx.maybe(2) ?? (ctx.has('max') ? ctx.constant(ctx.float('max')) : undefined);
  const bounded = low ? maximum(x, low) : x;
  return high ? minimum(bounded, high) : bounded;
}

function cast(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const to = ctx.int('to');
  if ([1, 10, 11, 16].includes(to)) return toFloat(x);
  if (to === 9) return x.dtype === 'bool' ? x : not(equal(x, ctx.constant(0, [], x.dtype)));
  if (x.dtype === 'int') return x;
  return toInt(toFloat(x));
}

/** sin⁻¹ x = tan⁻¹(x / √(1 − x²)). */
const arcsine = (x: Value) => atan(div(x, sqrt(sub(1, mul(x, x)))));

/** x ± bias outside ±λ, 0 inside. */
function shrink(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [lambda, bias] = [ctx.float('lambd', 0.5), ctx.float('bias', 0)];
  return where(less(x, -lambda), add(x, bias), where(greater(x, lambda), sub(x, bias), 0));
}

const selu = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 };
const negativePart = (x: Value) => minimum(x, 0);

/** α (e^min(x, 0) − 1) below zero, x above. */
const elu = (x: Value, alpha: number) => add(relu(x), mul(alpha, sub(exp(negativePart(x)), 1)));

const hardSigmoid = (x: Value, alpha: number, beta: number) => maximum(0, minimum(1, add(mul(alpha, x), beta)));

function gelu(ctx: NodeContext): Value {
  const x = ctx.in(0);
  if (ctx.text('approximate', 'none') === 'tanh') {
    const inner = mul(Math.sqrt(2 / Math.PI), add(x, mul(0.044715, power(x, 3))));
    return mul(mul(0.5, x), add(1, tanh(inner)));
  }
  return mul(mul(0.5, x), add(1, erf(mul(x, Math.SQRT1_2))));
}

/** Logic on 0 and 1. */
const both = (a: Value, b: Value) => greater(mul(toFloat(a), toFloat(b)), 0.5);
const either = (a: Value, b: Value) => greater(add(toFloat(a), toFloat(b)), 0.5);
const oneOf = (a: Value, b: Value) => not(equal(toFloat(a), toFloat(b)));

/** Nothing in evaluation; in training elements are dropped at random, unless the ratio is 0. */
function dropout(ctx: NodeContext): readonly Value[] {
  const x = ctx.in(0);
  const training = ctx.maybe(2) !== undefined && ctx.known(2)[0] !== 0;
  const ratio = ctx.maybe(1) ? ctx.known(1)[0]! : 0.5;
  if (training && ratio !== 0) {
    ctx.refuse(`training mode, in which elements are dropped at random; export the model in evaluation mode`);
  }
  return [x, expand(equal(ctx.constant(0), 0), x.shape)];
}

export const elementwiseOperators: Operators = {
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Div: divide,
  Mod: modulo,
  Pow: (ctx) => power(ctx.in(0), toFloat(ctx.in(1))),
  Max: folded(maximum),
  Min: folded(minimum),
  Sum: folded(add),
  Mean: (ctx) => div(ctx.inputs.reduce(add), ctx.count),
  Neg: unary(neg),
  Abs: unary(abs),
  Exp: unary(exp),
  Log: unary(log),
  Sqrt: unary(sqrt),
  Reciprocal: unary((x) => div(1, x)),
  Sin: unary(sin),
  Cos: unary(cos),
  Tan: unary((x) => div(sin(x), cos(x))),
  Asin: unary(arcsine),
  Acos: unary((x) => sub(Math.PI / 2, arcsine(x))),
  Atan: unary(atan),
  Shrink: shrink,
  Sinh: unary((x) => mul(0.5, sub(exp(x), exp(neg(x))))),
  Cosh: unary((x) => mul(0.5, add(exp(x), exp(neg(x))))),
  Asinh: unary((x) => mul(sign(x), log(add(abs(x), sqrt(add(mul(x, x), 1)))))),
  Acosh: unary((x) => log(add(x, sqrt(sub(mul(x, x), 1))))),
  Atanh: unary((x) => mul(0.5, log(div(add(1, x), sub(1, x))))),
  Erf: unary(erf),
  Sign: unary(sign),
  Floor: unary(floor),
  Ceil: unary(ceil),
  Round: unary(round),
  Relu: unary(relu),
  Sigmoid: unary(sigmoid),
  Tanh: unary(tanh),
  Softplus: unary(softplus),
  Softsign: unary((x) => div(x, add(1, abs(x)))),
  LeakyRelu: (ctx) => add(relu(ctx.in(0)), mul(ctx.float('alpha', 0.01), negativePart(ctx.in(0)))),
  PRelu: (ctx) => add(relu(ctx.in(0)), mul(ctx.in(1), negativePart(ctx.in(0)))),
  ThresholdedRelu: (ctx) => where(greater(ctx.in(0), ctx.float('alpha', 1)), ctx.in(0), 0),
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
  CastLike: (ctx) => (ctx.in(1).dtype === 'float' ? toFloat(ctx.in(0)) : ctx.refuse('a cast to other than floats')),
  Less: binary(less),
  Greater: binary(greater),
  LessOrEqual: binary((a, b) => not(greater(a, b))),
  GreaterOrEqual: binary((a, b) => not(less(a, b))),
  Equal: binary((a, b) => (a.dtype === 'bool' ? equal(toFloat(a), toFloat(b)) : equal(a, b))),
  And: binary(both),
  Or: binary(either),
  Xor: binary(oneOf),
  Not: unary(not),
  IsInf: unary((x) => greater(abs(x), 3.5e38)),
  IsNaN: unary((x) => not(equal(x, x))),
  Where: (ctx) => {
    const [c, a, b] = [ctx.in(0), ctx.in(1), ctx.in(2)];
    return where(c, a, b);
  },
  Identity: (ctx) => ctx.any(0),
  Dropout: dropout,
};
