// ONNX's elementwise operators.

import type { Value } from '../../graph/index.ts';
import {
  abs,
  add,
  ceil,
  cos,
  div,
  equal,
  erf,
  exp,
  expand,
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
  round,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  sub,
  tanh,
  toFloat,
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

/** Whole numbers are divided only where they are known: shape arithmetic. */
function divide(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  if (a.dtype !== 'int') return div(a, b);
  const quotient = add(ctx.constant(0, [], 'int'), div(a, b));
  const data = ctx.importer.known(quotient) ?? ctx.refuse('division of whole numbers that depend on the inputs');
  return ctx.constant(data.map(Math.trunc), quotient.shape, 'int');
}

function modulo(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  const fmod = ctx.int('fmod', 0) === 1;
  const quotient = div(toFloat(a), toFloat(b));
  const whole = fmod ? mul(sign(quotient), floor(abs(quotient))) : floor(quotient);
  const rest = sub(toFloat(a), mul(toFloat(b), whole));
  if (a.dtype === 'float') return rest;
  const data = ctx.importer.known(rest) ?? ctx.refuse('remainders of whole numbers that depend on the inputs');
  return ctx.constant(data, rest.shape, 'int');
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
  const data = ctx.importer.known(x);
  if (!data) ctx.refuse('a cast to whole numbers of values that depend on the inputs');
  return ctx.constant(data.map(Math.trunc), x.shape, 'int');
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
  IsNaN: unary((x) => not(equal(x, x))),
  Where: (ctx) => {
    const [c, a, b] = [ctx.in(0), ctx.in(1), ctx.in(2)];
    return where(c, a, b);
  },
  Identity: unary((x) => x),
  Dropout: (ctx) => [ctx.in(0), expand(equal(ctx.constant(0), 0), ctx.in(0).shape)],
};
