// Fourier transforms, whole or of frames, as products with constant matrices.

import type { Value } from '../../graph/index.ts';
import { add, concat, matmul, mul, reshape, slice, sub, transpose, zeroPad } from '../../ops/index.ts';
import { shapeText } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { axisOf } from './shape.ts';

/** Real [..., 1] or complex [..., 2] in; complex [..., 2] out, of half the frequencies where they are wanted once. */
function dft(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const { length: rank } = x.shape;
  const parts = x.shape.at(-1);
  if (rank < 2 || (parts !== 1 && parts !== 2)) ctx.refuse(`${shapeText(x.shape)}, expected [..., 1] or [..., 2]`);
  const asked = ctx.opset < 20 ? ctx.int('axis', 1) : (ctx.maybeKnown(2)?.[0] ?? -2);
  const axis = axisOf(ctx, x, asked);
  if (axis === rank - 1) ctx.refuse('the axis of real and imaginary parts');
  const [inverse, once] = [ctx.int('inverse', 0) === 1, ctx.int('onesided', 0) === 1];
  if (inverse && once) ctx.refuse('an inverse transform of half the frequencies');
  if (once && parts === 2) ctx.refuse('half the frequencies of complex numbers');
  const length = ctx.sized(ctx.maybeKnown(1)?.[0] ?? x.shape[axis]!, 'a length', 2 ** 12);
  if (length < 1) ctx.refuse('a transform of no elements');
  const frequencies = once ? Math.floor(length / 2) + 1 : length;
  const last = rank - 2;
  const perm = [...Array.from({ length: rank - 1 }, (_, a) => a).filter((a) => a !== axis), axis];
  const part = (k: number): Value => {
    const moved = transpose(reshape(slice(x, rank - 1, k, k + 1), x.shape.slice(0, -1)), perm);
    const d = moved.shape[last]!;
    const cut = d > length ? slice(moved, last, 0, length) : moved;
    const rest = moved.shape.map((_, a) => (a === last ? Math.max(0, length - d) : 0));
    return reshape(
      zeroPad(
        cut,
        rest.map(() => 0),
        rest,
      ),
      [-1, length],
    );
  };
  const [re, im] = transformed(ctx, part(0), parts === 2 ? part(1) : undefined, frequencies, inverse);
  const shape = [...perm.slice(0, -1).map((a) => x.shape[a]!), frequencies];
  const back = [...Array.from({ length: rank - 1 }, (_, a) => perm.indexOf(a)), rank - 1];
  const joined = concat(
    [re, im].map((v) => reshape(v, [...shape, 1])),
    rank - 1,
  );
  return transpose(joined, back);
}

/** Real and imaginary parts of the transform of rows [n, length], at so many frequencies from 0. */
function transformed(
  ctx: NodeContext,
  real: Value,
  imaginary: Value | undefined,
  frequencies: number,
  inverse: boolean,
): [Value, Value] {
  const length = real.shape[1]!;
  const turn = (inverse ? 2 : -2) * Math.PI;
  const matrix = (f: (angle: number) => number) => {
    // Whole turns are taken off first: angles stay exact for long signals.
    const data = Array.from({ length: length * frequencies }, (_, at) => {
      const turns = (Math.floor(at / frequencies) * (at % frequencies)) % length;
      return f((turn * turns) / length) / (inverse ? length : 1);
    });
    return ctx.constant(data, [length, frequencies]);
  };
  const [cosines, sines] = [matrix(Math.cos), matrix(Math.sin)];
  const [re, im] = [matmul(real, cosines), matmul(real, sines)];
  if (!imaginary) return [re, im];
  return [sub(re, matmul(imaginary, sines)), add(im, matmul(imaginary, cosines))];
}

/** Signals [n, L, 1] or complex [n, L, 2] in frames of one length, each times a window: [n, frames, frequencies, 2]. */
function stft(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [n, length, parts] = x.shape as [number, number, number];
  if (x.shape.length !== 3 || (parts !== 1 && parts !== 2))
    ctx.refuse(`${shapeText(x.shape)}, expected [n, length, 1] or [n, length, 2]`);
  const step = ctx.sized(ctx.single(1), 'a step', 2 ** 20);
  const window = ctx.maybe(2);
  const size = ctx.sized(
    ctx.maybe(3) ? ctx.single(3) : (window?.shape[0] ?? ctx.refuse('neither a window nor a length of frames')),
    'frames',
    2 ** 12,
  );
  if (step < 1 || size < 1 || size > length)
    ctx.refuse(`frames of ${size} in steps of ${step} in a signal of ${length}`);
  if (window) ctx.expectShape(2, [size]);
  const once = ctx.int('onesided', 1) === 1;
  if (once && parts === 2) ctx.refuse('half the frequencies of complex numbers');
  // ONNX Runtime weighs them otherwise than ONNX says.
  if (window && parts === 2) ctx.refuse('a window over complex numbers, of which readings differ');
  const count = ctx.sized(Math.floor((length - size) / step) + 1, 'a number of frames', 2 ** 12);
  const frequencies = once ? Math.floor(size / 2) + 1 : size;
  const part = (k: number): Value => {
    const signal = reshape(slice(x, 2, k, k + 1), [n, 1, length]);
    const frames = Array.from({ length: count }, (_, i) => slice(signal, 2, i * step, i * step + size));
    const all = concat(frames, 1); // [n, frames, size]
    return reshape(window ? mul(all, window) : all, [n * count, size]);
  };
  const both = transformed(ctx, part(0), parts === 2 ? part(1) : undefined, frequencies, false);
  return concat(
    both.map((v) => reshape(v, [n, count, frequencies, 1])),
    3,
  );
}

export const signalOperators = {
  DFT: dft,
  STFT: stft,
} satisfies Operators;
