// ONNX's products, convolutions, poolings and interpolation.

import type { Value } from '../../graph/index.ts';
import {
  abs,
  add,
  conv,
  convTranspose,
  div,
  expand,
  matmul,
  maximum,
  mul,
  power,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  sliceRaw,
  sqrt,
  square,
  transpose,
  zeroPad,
} from '../../ops/index.ts';
import { shapeText } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { einsum } from './einsum.ts';
import { resize } from './resize.ts';

/** NumPy's matmul: a vector counts as a row on the left and as a column on the right. */
function product(ctx: NodeContext): Value {
  const [a, b] = [ctx.in(0), ctx.in(1)];
  const left = a.shape.length === 1 ? reshape(a, [1, -1]) : a;
  const right = b.shape.length === 1 ? reshape(b, [-1, 1]) : b;
  const y = matmul(left, right);
  const keep = y.shape.filter(
    (_, i) =>
      !(a.shape.length === 1 && i === y.shape.length - 2) && !(b.shape.length === 1 && i === y.shape.length - 1),
  );
  return reshape(y, keep);
}

function gemm(ctx: NodeContext): Value {
  const a = ctx.int('transA', 0) ? transpose(ctx.in(0)) : ctx.in(0);
  const b = ctx.int('transB', 0) ? transpose(ctx.in(1)) : ctx.in(1);
  const y = mul(ctx.float('alpha', 1), matmul(a, b));
  const c = ctx.maybe(2);
  return c ? add(y, mul(ctx.float('beta', 1), c)) : y;
}

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before each spatial axis, then after each. */
  readonly pads: readonly number[];
}

/** Strides or dilations, one for each spatial axis. */
function steps(ctx: NodeContext, name: 'strides' | 'dilations', kernel: readonly number[]): readonly number[] {
  const list = ctx.ints(name) ?? kernel.map(() => 1);
  for (const step of list) if (ctx.sized(step, name, 2 ** 20) === 0) ctx.refuse(`${name} of 0`);
  return list;
}

function windowOf(ctx: NodeContext, x: Value, kernel: readonly number[]): Window {
  const r = kernel.length;
  if (x.shape.length !== r + 2) ctx.refuse(`${shapeText(x.shape)} has not ${r} spatial axes`);
  const strides = steps(ctx, 'strides', kernel);
  const dilations = steps(ctx, 'dilations', kernel);
  for (const p of ctx.ints('pads') ?? []) ctx.sized(p, 'padding', 2 ** 20);
  const mode = ctx.text('auto_pad', 'NOTSET');
  if (mode === 'NOTSET') return { kernel, strides, dilations, pads: ctx.ints('pads') ?? new Array(2 * r).fill(0) };
  if (mode === 'VALID') return { kernel, strides, dilations, pads: new Array(2 * r).fill(0) };
  const total = kernel.map((k, s) => {
    const d = x.shape[s + 2]!;
    const span = dilations[s]! * (k - 1) + 1;
    return Math.max(0, (Math.ceil(d / strides[s]!) - 1) * strides[s]! + span - d);
  });
  const small = total.map((t) => Math.floor(t / 2));
  const large = total.map((t) => Math.ceil(t / 2));
  return { kernel, strides, dilations, pads: mode === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small] };
}

function convolution(ctx: NodeContext): Value {
  const [x, w, bias] = [ctx.in(0), ctx.in(1), ctx.maybe(2)];
  const { strides, dilations, pads } = windowOf(ctx, x, ctx.ints('kernel_shape') ?? w.shape.slice(2));
  return conv(x, w, {
    strides,
    dilations,
    pads,
    groups: ctx.sized(ctx.int('group', 1), 'groups', 2 ** 20),
    ...(bias ? { bias } : {}),
  });
}

function transposedConvolution(ctx: NodeContext): Value {
  const [x, w, bias] = [ctx.in(0), ctx.in(1), ctx.maybe(2)];
  const kernel = w.shape.slice(2);
  const r = kernel.length;
  const strides = steps(ctx, 'strides', kernel);
  const dilations = steps(ctx, 'dilations', kernel);
  for (const p of [...(ctx.ints('pads') ?? []), ...(ctx.ints('output_padding') ?? [])])
    ctx.sized(p, 'padding', 2 ** 20);
  const outputPadding = ctx.ints('output_padding') ?? kernel.map(() => 0);
  const mode = ctx.text('auto_pad', 'NOTSET');
  const wanted =
    ctx.ints('output_shape') ?? (mode.startsWith('SAME') ? x.shape.slice(2).map((d, s) => d * strides[s]!) : undefined);
  let pads = ctx.ints('pads') ?? new Array<number>(2 * r).fill(0);
  if (wanted) {
    const total = kernel.map((k, s) => {
      const full = strides[s]! * (x.shape[s + 2]! - 1) + outputPadding[s]! + dilations[s]! * (k - 1) + 1;
      return full - wanted[wanted.length - r + s]!;
    });
    const small = total.map((t) => Math.floor(t / 2));
    const large = total.map((t, s) => t - small[s]!);
    pads = mode === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
  }
  const groups = ctx.sized(ctx.int('group', 1), 'groups', 2 ** 20);
  const y = convTranspose(x, w, { strides, dilations, pads, groups, outputPadding });
  return bias ? add(y, reshape(bias, [1, -1, ...kernel.map(() => 1)])) : y;
}

/** The values that each place of the kernel meets, each of the output's shape. Padding has the value `outside`. */
function taps(ctx: NodeContext, x: Value, w: Window, outside: number): Value[] {
  const r = w.kernel.length;
  const ceilMode = ctx.int('ceil_mode', 0) === 1;
  const out = w.kernel.map((k, s) => {
    const room = x.shape[s + 2]! + w.pads[s]! + w.pads[s + r]! - (w.dilations[s]! * (k - 1) + 1);
    const steps = room / w.strides[s]!;
    const size = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A window that would start in the padding at the end is left out.
    return ceilMode && (size - 1) * w.strides[s]! >= x.shape[s + 2]! + w.pads[s]! ? size - 1 : size;
  });
  const after = out.map((o, s) => {
    const reach = (o - 1) * w.strides[s]! + w.dilations[s]! * (w.kernel[s]! - 1) + 1;
    return Math.max(w.pads[s + r]!, reach - x.shape[s + 2]! - w.pads[s]!);
  });
  const front = [0, 0, ...w.pads.slice(0, r)];
  const back = [0, 0, ...after];
  let padded = zeroPad(x, front, back);
  if (outside !== 0 && [...front, ...back].some((p) => p > 0)) {
    const ones = zeroPad(expand(ctx.constant(1), x.shape), front, back);
    const known = ctx.importer.known(ones)!;
    const border = Float64Array.from(known, (v) => (v === 1 ? 0 : outside));
    padded = add(padded, ctx.constant(border, padded.shape));
  }
  const count = ctx.sized(
    w.kernel.reduce((a, b) => a * b, 1),
    'a window',
    4096,
  );
  return Array.from({ length: count }, (_, flat) => {
    const index = new Array<number>(r);
    for (let s = r - 1, rest = flat; s >= 0; s--) {
      index[s] = rest % w.kernel[s]!;
      rest = Math.floor(rest / w.kernel[s]!);
    }
    const starts = [0, 0, ...index.map((t, s) => t * w.dilations[s]!)];
    return sliceRaw(padded, starts, [...x.shape.slice(0, 2), ...out], [1, 1, ...w.strides]);
  });
}

function maxPool(ctx: NodeContext): Value {
  const x = ctx.in(0);
  if (ctx.node.outputs.length > 1 && ctx.node.outputs[1] !== '') ctx.refuse('the indices of the maxima');
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  return taps(ctx, x, windowOf(ctx, x, kernel), -3e38).reduce(maximum);
}

function averagePool(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  const w = windowOf(ctx, x, kernel);
  const sum = taps(ctx, x, w, 0).reduce(add);
  if (ctx.int('count_include_pad', 0) === 1) return div(sum, kernel.length === 0 ? 1 : kernel.reduce((a, b) => a * b));
  return div(sum, taps(ctx, expand(ctx.constant(1), x.shape), w, 0).reduce(add));
}

/** (Σ |x|^p)^(1/p) over windows. */
function lpPool(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  return lpNorm(ctx, (powers) => taps(ctx, powers, windowOf(ctx, x, kernel), 0).reduce(add));
}

function lpNorm(ctx: NodeContext, sum: (powers: Value) => Value): Value {
  const x = ctx.in(0);
  const p = ctx.int('p', 2);
  if (p === 2) return sqrt(sum(square(x)));
  return p === 1 ? sum(abs(x)) : power(sum(power(abs(x), p)), 1 / p);
}

const spatial = (x: Value) => [...x.shape.keys()].slice(2);

export const linearOperators: Operators = {
  MatMul: product,
  Gemm: gemm,
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: (ctx) => reduceMean(ctx.in(0), spatial(ctx.in(0)), true),
  GlobalMaxPool: (ctx) => reduceMax(ctx.in(0), spatial(ctx.in(0)), true),
  LpPool: lpPool,
  GlobalLpPool: (ctx) => lpNorm(ctx, (powers) => reduceSum(powers, spatial(powers), true)),
  Einsum: einsum,
  Resize: resize,
  Upsample: resize,
};
