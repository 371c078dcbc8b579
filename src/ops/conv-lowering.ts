// A convolution or transposed convolution in, the ONNX nodes that compute it for all examples out.

import type { Lowered, Lowering, ValueType } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';
import { type ConvAttrs, typeOf } from './conv-attrs.ts';

/** Weights [o, i/g, k] as those of the convolution that takes dY to dX at stride 1: [i, o/g, k], kernel reversed. */
export function flipWeight(ctx: Lowering, w: Lowered, groups: number): Lowered {
  const [o, perIn, ...kernel] = w.shape as [number, number, ...number[]];
  const spatial = kernel.map((_, i) => i + 3);
  const grouped = [groups, o / groups, perIn, ...kernel];
  let name = ctx.reshape(w.name, w.shape, grouped);
  name = ctx.emit('Transpose', [name], { perm: [0, 2, 1, ...spatial] });
  const shape = [groups * perIn, o / groups, ...kernel];
  name = ctx.reshape(name, [groups, perIn, o / groups, ...kernel], shape);
  const axes = kernel.flatMap((k, i) => (k > 1 ? [i + 2] : []));
  if (axes.length > 0) {
    const all = (value: number) => ctx.ints(axes.map(() => value));
    name = ctx.emit('Slice', [name, all(-1), all(-(2 ** 31)), ctx.ints(axes), all(-1)]);
  }
  return { name, shape, dtype: w.dtype, lead: 'none' };
}

/** Conv or ConvTranspose of x [b, c, ...] by w, either of them with or without lead; `bias` only where w has none. */
export function lowerWithWeight(
  ctx: Lowering,
  op: 'Conv' | 'ConvTranspose',
  x: Lowered,
  w: Lowered,
  y: ValueType,
  attrs: ConvAttrs,
  toOnnx: (a: ConvAttrs) => Readonly<Record<string, number | readonly number[]>>,
  bias?: string,
): Lowered {
  if (w.lead === 'none') {
    const operands = bias === undefined ? [w.name] : [w.name, bias];
    if (x.lead === 'none') {
      return { name: ctx.emit(op, [x.name, ...operands], toOnnx(attrs)), ...typeOf(y), lead: 'none' };
    }
    const n = ctx.leadSize(x.lead);
    const rows = ctx.reshape(x.name, ctx.storage(x.shape, x.lead), [n * x.shape[0]!, ...x.shape.slice(1)]);
    const name =
      op === 'Conv' && isNarrow(w.shape, attrs)
        ? narrowConv(ctx, rows, w, attrs, operands[1])
        : ctx.emit(op, [rows, ...operands], toOnnx(attrs));
    return ctx.stored(name, [n * y.shape[0]!, ...y.shape.slice(1)], y, x.lead);
  }
  // A weight per example: the examples become groups of one convolution, b stays its batch.
  const n = ctx.leadSize(w.lead);
  const [b, c, ...space] = x.shape as [number, number, ...number[]];
  let rows = ctx.expanded(x, w.lead);
  const spatial = space.map((_, i) => i + 3);
  if (b > 1) rows = ctx.emit('Transpose', [rows], { perm: [1, 0, 2, ...spatial] });
  rows = ctx.reshape(rows, b > 1 ? [b, n, c, ...space] : [n, b, c, ...space], [b, n * c, ...space]);
  const weight = ctx.reshape(ctx.full(w), [n, ...w.shape], [n * w.shape[0]!, ...w.shape.slice(1)]);
  let name = ctx.emit(op, [rows, weight], toOnnx({ ...attrs, groups: n * attrs.groups }));
  const [, cOut, ...outSpace] = y.shape as [number, number, ...number[]];
  if (b > 1) {
    name = ctx.reshape(name, [b, n * cOut, ...outSpace], [b, n, cOut, ...outSpace]);
    name = ctx.emit('Transpose', [name], { perm: [1, 0, 2, ...spatial] });
    return ctx.stored(name, [n, b, cOut, ...outSpace], y, w.lead);
  }
  return ctx.stored(name, [b, n * cOut, ...outSpace], y, w.lead);
}

/**
 * ONNX Runtime computes output channels in blocks of this many (AVX-512; of 8 otherwise, where the condition below
 * holds too).
 */
const BLOCK = 16;

/**
 * Whether blocks of output channels would be mostly empty, and less so with the last axis' taps as channels of their
 * own.
 */
function isNarrow(w: Shape, a: ConvAttrs): boolean {
  const [cOut, cIn] = w as [number, number];
  const last = w.at(-1)!;
  const blocks = (channels: number) => Math.ceil(channels / BLOCK) * BLOCK;
  return a.groups === 1 && cIn >= BLOCK && a.strides.at(-1) === 1 && 2 * blocks(cOut * last) < blocks(cOut) * last;
}

/**
 * A convolution of rows [n, cIn, ...] to few channels in two: all axes but the last, with one output for each tap of
 * the last; then those added up, each at its shift (kernels that are 1 at one tap). Twice as fast for a 3×3 kernel and
 * up to 5 channels.
 */
function narrowConv(ctx: Lowering, rows: string, w: Lowered, a: ConvAttrs, bias: string | undefined): string {
  const [cOut, cIn, ...kernel] = w.shape as [number, number, ...number[]];
  const r = kernel.length;
  const last = kernel[r - 1]!;
  const others = kernel.slice(0, -1);
  // [cOut, cIn, ...others, last] -> [cOut · last, cIn, ...others, 1]
  const spread = ctx.emit('Transpose', [w.name], { perm: [0, r + 1, 1, ...others.map((_, s) => s + 2)] });
  const weight = ctx.reshape(spread, [cOut, last, cIn, ...others], [cOut * last, cIn, ...others, 1]);
  const ones = others.map(() => 1);
  const none = others.map(() => 0);
  const along = ctx.emit('Conv', [rows, weight], {
    strides: [...a.strides.slice(0, -1), 1],
    pads: [...a.pads.slice(0, r - 1), 0, ...a.pads.slice(r, -1), 0],
    dilations: [...a.dilations.slice(0, -1), 1],
    group: 1,
  });
  const taps = new Float32Array(cOut * last * last).map((_, i) => Number(Math.floor(i / last) % last === i % last));
  const sum = ctx.float(taps, [cOut, last, ...ones, last]);
  return ctx.emit('Conv', bias === undefined ? [along, sum] : [along, sum, bias], {
    strides: [...ones, 1],
    pads: [...none, a.pads[r - 1]!, ...none, a.pads[2 * r - 1]!],
    dilations: [...ones, a.dilations[r - 1]!],
    group: cOut,
  });
}
