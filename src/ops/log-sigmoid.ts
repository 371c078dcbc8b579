// log σ(x), log (1 − eˣ) and what is made of them, right far from 0 too: a probability that is rounded to 0 or 1 has no
// logarithm and no gradient left. ONNX Runtime's Sigmoid is 0 below about -18.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { sameShape } from '../tensor/shape.ts';
import { apply, uniformValue } from './apply.ts';
import { elementwise, exp, greater, less, minimum, mul, neg, sub, where } from './elementwise.ts';

const logSigma = (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** Where F.binary_cross_entropy cuts logarithms off, and the least p (1 − p) that its gradient is divided by. */
const LEAST = { log: -100, variance: 1e-12 };

export const logSigmoidOps: Record<'LogSigmoid' | 'CutLogSigmoid' | 'LogComplement', OpRecord> = {
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
  // log (1 − eˣ), the complement of a probability's logarithm; from 0 on there is none. As 2 t / (1 + t) for t =
  // tanh(−x / 2), which keeps all digits near 0. The gradient is −e to x − y.
  LogComplement: elementwise('LogComplement', 1, {
    f: (x) => (x < 0 ? Math.log(-Math.expm1(x)) : -Infinity),
    d: (dY, [x], y) => [where(less(x!, 0), neg(mul(dY, exp(sub(x!, y)))), 0)],
    emit: (ctx, [x]) => {
      const t = ctx.emit('Relu', [ctx.emit('Tanh', [ctx.emit('Mul', [x!, ctx.float(-0.5)])])]);
      return ctx.emit('Log', [ctx.emit('Div', [ctx.emit('Add', [t, t]), ctx.emit('Add', [t, ctx.float(1)])])]);
    },
  }),
};

/** log σ(x), without under- or overflow; of the shape of x (PyTorch's logsigmoid). */
export const logSigmoid = (x: Value): Value => apply(logSigmoidOps.LogSigmoid, [x]);

/** log (1 − eˣ). */
export const logComplement = (x: Value): Value => apply(logSigmoidOps.LogComplement, [x]);

/** log(1 + eˣ), with a gradient that is right far below 0. */
export const softplusInTails = (x: Value): Value => neg(logSigmoid(neg(x)));

/** Of max(log σ(z), −100), however it is written: as PyTorch's binary_cross_entropy has it. */
export function cutAsPyTorch(y: Value, { inputs, attrs }: NodeSource): Value | undefined {
  const isLog = (x: Value) => x.source.kind === 'node' && x.source.op === logSigmoidOps.LogSigmoid;
  const [a, b] = inputs as readonly [Value, Value | undefined];
  const [x, least] = b === undefined ? [a, attrs.low] : isLog(a) ? [a, uniformValue(b)] : [b, uniformValue(a)];
  if (least !== LEAST.log || !isLog(x) || !sameShape(x.shape, y.shape)) return undefined;
  if (b === undefined && !((attrs.high as number) >= 0)) return undefined;
  return cutLogSigmoid((x.source as NodeSource).inputs[0]!);
}

/** max(log σ(x), −100) with the gradient that PyTorch's binary_cross_entropy has. */
export const cutLogSigmoid = (x: Value): Value => apply(logSigmoidOps.CutLogSigmoid, [x]);
