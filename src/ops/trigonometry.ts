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

/** sin x, in radians (ONNX Sin). */
export const sin = (x: Value): Value => apply(trigonometryOps.Sin, [x]);
/** cos x, in radians (ONNX Cos). */
export const cos = (x: Value): Value => apply(trigonometryOps.Cos, [x]);
/** tan x, in radians (ONNX Tan). */
export const tan = (x: Value): Value => apply(trigonometryOps.Tan, [x]);
/** The angle in [−π/2, π/2] whose sine is x; NaN outside [−1, 1] (ONNX Asin). */
export const asin = (x: Value): Value => apply(trigonometryOps.Asin, [x]);
/** The angle in [0, π] whose cosine is x; NaN outside [−1, 1] (ONNX Acos). */
export const acos = (x: Value): Value => apply(trigonometryOps.Acos, [x]);
/** The angle in (−π/2, π/2) whose tangent is x (ONNX Atan). */
export const atan = (x: Value): Value => apply(trigonometryOps.Atan, [x]);
/** Hyperbolic sine, (eˣ − e⁻ˣ) / 2 (ONNX Sinh). */
export const sinh = (x: Value): Value => apply(trigonometryOps.Sinh, [x]);
/** Hyperbolic cosine, (eˣ + e⁻ˣ) / 2 (ONNX Cosh). */
export const cosh = (x: Value): Value => apply(trigonometryOps.Cosh, [x]);
/** The number whose hyperbolic sine is x (ONNX Asinh). */
export const asinh = (x: Value): Value => apply(trigonometryOps.Asinh, [x]);
/** The number ≥ 0 whose hyperbolic cosine is x; NaN below 1 (ONNX Acosh). */
export const acosh = (x: Value): Value => apply(trigonometryOps.Acosh, [x]);
/** The number whose hyperbolic tangent is x; ±∞ at ±1, NaN beyond (ONNX Atanh). */
export const atanh = (x: Value): Value => apply(trigonometryOps.Atanh, [x]);
