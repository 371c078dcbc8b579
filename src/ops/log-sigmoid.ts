// log σ(x) and what is made of it, right far from 0 too: a sigmoid that is rounded to 0 or 1 has no logarithm and no gradient left.
// ONNX Runtime's Sigmoid is 0 below about -18.

import type { OpRecord, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { elementwise, exp, greater, minimum, mul, neg, sub, where } from './elementwise.ts';

const logSigma = (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** Where F.binary_cross_entropy cuts logarithms off, and the least p (1 − p) that its gradient is divided by. */
const LEAST = { log: -100, variance: 1e-12 };

export const logSigmoidOps: Record<'LogSigmoid' | 'CutLogSigmoid', OpRecord> = {
  // The gradient is σ(-x), e to log σ(x) - x.
  LogSigmoid: elementwise('LogSigmoid', 1, {
    f: logSigma,
    d: (dY, [x], y) => [mul(dY, exp(sub(y, x!)))],
    emit: (ctx, [x]) => ctx.emit('Neg', [ctx.emit('Softplus', [ctx.emit('Neg', [x!])])]),
  }),
  // max(log σ(x), -100) with the gradient of PyTorch's binary_cross_entropy, σ(-x) · p (1 − p) / max(p (1 − p), 10⁻¹²).
  CutLogSigmoid: elementwise('CutLogSigmoid', 1, {
    f: (x) => Math.max(logSigma(x), LEAST.log),
    d: (dY, [x]) => {
      const y = logSigmoid(x!);
      const slope = exp(sub(y, x!));
      const part = minimum(mul(mul(exp(y), slope), 1 / LEAST.variance), 1);
      return [where(greater(y, LEAST.log), mul(dY, mul(slope, part)), 0)];
    },
    emit: (ctx, [x]) => {
      const y = ctx.emit('Neg', [ctx.emit('Softplus', [ctx.emit('Neg', [x!])])]);
      return ctx.emit('Max', [y, ctx.float(LEAST.log)]);
    },
  }),
};

/** log σ(x). */
export const logSigmoid = (x: Value): Value => apply(logSigmoidOps.LogSigmoid, [x]);

/** log(1 + eˣ), with a gradient that is right far below 0. */
export const softplusInTails = (x: Value): Value => neg(logSigmoid(neg(x)));

/** The larger of x and -100 where x is a log σ, as PyTorch's binary_cross_entropy has it; undefined for any other x. */
export function cutLogSigmoid(x: Value, least: number | undefined): Value | undefined {
  if (least !== LEAST.log || x.source.kind !== 'node' || x.source.op !== logSigmoidOps.LogSigmoid) return undefined;
  return apply(logSigmoidOps.CutLogSigmoid, x.source.inputs);
}
