// Trigonometric and hyperbolic functions and their inverses.

import type { OpRecord, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { add, div, elementwise, mul, neg, sqrt, square, sub } from './elementwise.ts';

/** A function of one number with its derivative. */
const unary = (name: string, f: (x: number) => number, d: (x: Value, y: Value, dY: Value) => Value): OpRecord =>
  elementwise(name, 1, { f, d: (dY, [x], y) => [d(x!, y, dY)] });

type Name = 'Sin' | 'Cos' | 'Tan' | 'Asin' | 'Acos' | 'Atan' | 'Sinh' | 'Cosh' | 'Asinh' | 'Acosh' | 'Atanh';

export const trigonometryOps: Record<Name, OpRecord> = {
  Sin: unary('Sin', Math.sin, (x, _y, dY) => mul(dY, cos(x))),
  Cos: unary('Cos', Math.cos, (x, _y, dY) => neg(mul(dY, sin(x)))),
  Tan: unary('Tan', Math.tan, (_x, y, dY) => mul(dY, add(1, square(y)))),
  // (1 − x)(1 + x) has no cancellation near 1, where 1 − x² has.
  Asin: unary('Asin', Math.asin, (x, _y, dY) => div(dY, sqrt(mul(sub(1, x), add(1, x))))),
  Acos: unary('Acos', Math.acos, (x, _y, dY) => neg(div(dY, sqrt(mul(sub(1, x), add(1, x)))))),
  Atan: unary('Atan', Math.atan, (x, _y, dY) => div(dY, add(1, square(x)))),
  Sinh: unary('Sinh', Math.sinh, (x, _y, dY) => mul(dY, cosh(x))),
  Cosh: unary('Cosh', Math.cosh, (x, _y, dY) => mul(dY, sinh(x))),
  Asinh: unary('Asinh', Math.asinh, (x, _y, dY) => div(dY, sqrt(add(1, square(x))))),
  Acosh: unary('Acosh', Math.acosh, (x, _y, dY) => div(dY, sqrt(mul(sub(x, 1), add(x, 1))))),
  Atanh: unary('Atanh', Math.atanh, (x, _y, dY) => div(dY, mul(sub(1, x), add(1, x)))),
};

export const sin = (x: Value): Value => apply(trigonometryOps.Sin, [x]);
export const cos = (x: Value): Value => apply(trigonometryOps.Cos, [x]);
export const tan = (x: Value): Value => apply(trigonometryOps.Tan, [x]);
export const asin = (x: Value): Value => apply(trigonometryOps.Asin, [x]);
export const acos = (x: Value): Value => apply(trigonometryOps.Acos, [x]);
export const atan = (x: Value): Value => apply(trigonometryOps.Atan, [x]);
export const sinh = (x: Value): Value => apply(trigonometryOps.Sinh, [x]);
export const cosh = (x: Value): Value => apply(trigonometryOps.Cosh, [x]);
export const asinh = (x: Value): Value => apply(trigonometryOps.Asinh, [x]);
export const acosh = (x: Value): Value => apply(trigonometryOps.Acosh, [x]);
export const atanh = (x: Value): Value => apply(trigonometryOps.Atanh, [x]);
