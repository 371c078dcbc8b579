// log erfc(x), right far above 0 too, where erfc is rounded to 0 beside 1: the logarithm of a normal distribution's
// tail.

import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import type { Lowering, OpRecord, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { elementwise, exp, mul, neg, square, sub } from './elementwise.ts';

/**
 * log erfc(x) + x² − log t for x ≥ 0 as a polynomial in t = 2 / (2 + x), to 10⁻⁸; the lowest power first. Fitted to
 * 40-digit numbers.
 */
const TAIL = [
  -1.265512124, 0.9999999273, 0.375020199, 0.08259243326, -0.07473419455, -0.2337078897, 0.3355402253, -1.225425168,
  2.398733727, -2.205107498, 0.9913575965, -0.1787572437,
];

/** Of x₊ by that polynomial, which is 0 at 0, and of −x₋ by the error function: one of both is 0. */
function emit(ctx: Lowering, x: string): string {
  const [one, two] = [ctx.float(1), ctx.float(2)];
  const above = ctx.emit('Relu', [x]);
  const t = ctx.emit('Div', [two, ctx.emit('Add', [above, two])]);
  const tail = TAIL.reduceRight(
    (sum, c) => (sum === '' ? ctx.float(c) : ctx.emit('Add', [ctx.emit('Mul', [sum, t]), ctx.float(c)])),
    '',
  );
  const right = ctx.emit('Sub', [ctx.emit('Add', [ctx.emit('Log', [t]), tail]), ctx.emit('Mul', [above, above])]);
  const left = ctx.emit('Log', [ctx.emit('Add', [ctx.emit('Erf', [ctx.emit('Relu', [ctx.emit('Neg', [x])])]), one])]);
  return ctx.emit('Add', [right, left]);
}

export const logErfcOps: Record<'LogErfc', OpRecord> = {
  // The gradient is −2/√π · e to −x² − y.
  LogErfc: elementwise('LogErfc', 1, {
    f: (x) => Math.LN2 + logcdf(-x * Math.SQRT2, 0, 1),
    d: (dY, [x], y) => [mul(dY, mul(-2 / Math.sqrt(Math.PI), exp(sub(neg(square(x!)), y))))],
    emit: (ctx, [x]) => emit(ctx, x!),
  }),
};

/** log erfc(x), also where erfc(x) underflows; of the shape of x. */
export const logErfc = (x: Value): Value => apply(logErfcOps.LogErfc, [x]);
