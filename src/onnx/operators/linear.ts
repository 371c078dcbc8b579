// ONNX's products, convolutions, poolings and interpolation.

import { defined } from '../../defined.ts';
import type { Value } from '../../graph/index.ts';
import {
  abs,
  add,
  conv,
  convTranspose,
  div,
  equal,
  expand,
  firstMaximum,
  matmul,
  mul,
  power,
  reduceFirstMax,
  reduceMean,
  reduceSum,
  reshape,
  root,
  sliceRaw,
  square,
  toInt,
  transpose,
  where,
  zeroPad,
} from '../../ops/index.ts';
import { broadcastTwo, sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { einsum } from './einsum.ts';
import { resize } from './resize.ts';

/** NumPy's matmul: a vector counts as a row on the left and as a column on the right. */
function product(ctx: NodeContext): Value {
  ctx.refuseWrapping();
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
  for (const i of [0, 1]) {
    if (ctx.in(i).shape.length !== 2) ctx.refuse(`operand ${i} is ${shapeText(ctx.in(i).shape)}, expected two axes`);
  }
  const a = ctx.int('transA', 0) ? transpose(ctx.in(0)) : ctx.in(0);
  const b = ctx.int('transB', 0) ? transpose(ctx.in(1)) : ctx.in(1);
  const y = mul(ctx.float('alpha', 1), matmul(a, b));
  const c = ctx.maybe(2);
  if (!c) return y;
  const joint = broadcastTwo(y.shape, c.shape);
  if (!joint || !sameShape(joint, y.shape))
    ctx.refuse(`operand 2 is ${shapeText(c.shape)}, the product ${shapeText(y.shape)}`);
  return add(y, mul(ctx.float('beta', 1), c));
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
  const list = ctx.listOf(name, kernel.length) ?? kernel.map(() => 1);
  for (const step of list) if (ctx.sized(step, name, 2 ** 20) === 0) ctx.refuse(`${name} of 0`);
  return list;
}

/** Padding before each spatial axis, then after each. */
function padsOf(ctx: NodeContext, r: number): readonly number[] {
  const pads = ctx.listOf('pads', 2 * r) ?? new Array<number>(2 * r).fill(0);
  for (const p of pads) ctx.sized(p, 'padding', 2 ** 20);
  return pads;
}

type Padding = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER';

/** Padding is either asked for by rule or given. */
function paddingRule(ctx: NodeContext): Padding {
  const mode = ctx.text('auto_pad', 'NOTSET');
  const rules: readonly string[] = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'];
  if (!rules.includes(mode)) ctx.refuse(`auto_pad '${mode}', expected one of ${rules.join(', ')}`);
  const pads = ctx.ints('pads') ?? [];
  if (mode !== 'NOTSET' && pads.some((p) => p !== 0)) ctx.refuse(`auto_pad '${mode}' and pads ${shapeText(pads)}`);
  return mode as Padding;
}

/** The kernel's sizes from the weight; where the node says them too, they must agree. */
function kernelOf(ctx: NodeContext, x: Value, w: Value): readonly number[] {
  const kernel = w.shape.slice(2);
  if (x.shape.length !== w.shape.length || kernel.length < 1) {
    ctx.refuse(`x is ${shapeText(x.shape)}, its weight ${shapeText(w.shape)}: the numbers of axes do not fit`);
  }
  const said = ctx.ints('kernel_shape') ?? kernel;
  if (!sameShape(said, kernel)) {
    ctx.refuse(`kernel_shape ${shapeText(said)}, its weight ${shapeText(w.shape)} has ${shapeText(kernel)}`);
  }
  return kernel;
}

function windowOf(ctx: NodeContext, x: Value, kernel: readonly number[], pooling = false): Window {
  const r = kernel.length;
  if (x.shape.length !== r + 2) ctx.refuse(`${shapeText(x.shape)} has not ${r} spatial axes`);
  for (const k of kernel) if (ctx.sized(k, 'a kernel', 2 ** 20) === 0) ctx.refuse('a kernel of size 0');
  const strides = steps(ctx, 'strides', kernel);
  const dilations = steps(ctx, 'dilations', kernel);
  const mode = paddingRule(ctx);
  if (mode === 'NOTSET') return { kernel, strides, dilations, pads: padsOf(ctx, r) };
  if (mode === 'VALID') return { kernel, strides, dilations, pads: new Array(2 * r).fill(0) };
  const total = kernel.map((k, s) => {
    const d = x.shape[s + 2]!;
    const span = dilations[s]! * (k - 1) + 1;
    return Math.max(0, (Math.ceil(d / strides[s]!) - 1) * strides[s]! + span - d);
  });
  // A convolution takes no padding then; what a pooling does is not agreed on.
  const skips = (k: number, s: number) => strides[s]! > dilations[s]! * (k - 1) + 1;
  if (pooling && kernel.some(skips)) ctx.refuse(`auto_pad '${mode}' with windows that leave places out`);
  const small = total.map((t) => Math.floor(t / 2));
  const large = total.map((t) => Math.ceil(t / 2));
  return { kernel, strides, dilations, pads: mode === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small] };
}

function convolution(ctx: NodeContext): Value {
  const [x, w, bias] = [ctx.in(0), ctx.in(1), ctx.maybe(2)];
  const { strides, dilations, pads } = windowOf(ctx, x, kernelOf(ctx, x, w));
  return conv(x, w, {
    strides,
    dilations,
    pads,
    groups: ctx.sized(ctx.int('group', 1), 'groups', 2 ** 20),
    ...defined({ bias }),
  });
}

function transposedConvolution(ctx: NodeContext): Value {
  const [x, w, bias] = [ctx.in(0), ctx.in(1), ctx.maybe(2)];
  const kernel = kernelOf(ctx, x, w);
  const r = kernel.length;
  const strides = steps(ctx, 'strides', kernel);
  const dilations = steps(ctx, 'dilations', kernel);
  const outputPadding = ctx.listOf('output_padding', r) ?? kernel.map(() => 0);
  for (const [s, p] of outputPadding.entries()) {
    ctx.sized(p, 'output_padding', 2 ** 20);
    if (p >= Math.max(strides[s]!, dilations[s]!)) {
      ctx.refuse(`output_padding ${p}, expected less than the stride or the dilation`);
    }
  }
  const mode = paddingRule(ctx);
  const groups = ctx.sized(ctx.int('group', 1), 'groups', 2 ** 20);
  const given = ctx.ints('output_shape');
  if (given && given.length !== r && given.length !== r + 2) {
    ctx.refuse(`output_shape ${shapeText(given)}, expected ${r} sizes`);
  }
  const wanted =
    given?.slice(-r) ?? (mode.startsWith('SAME') ? x.shape.slice(2).map((d, s) => d * strides[s]!) : undefined);
  let pads = padsOf(ctx, r);
  if (wanted) {
    const total = kernel.map((k, s) => {
      const full = strides[s]! * (x.shape[s + 2]! - 1) + outputPadding[s]! + dilations[s]! * (k - 1) + 1;
      // Readings differ here: ONNX pads with zeros, ONNX Runtime makes the output smaller.
      if (full < wanted[s]!) ctx.refuse(`an output of ${wanted[s]} along an axis where the kernel reaches ${full}`);
      return full - wanted[s]!;
    });
    const small = total.map((t) => Math.floor(t / 2));
    const large = total.map((t, s) => t - small[s]!);
    pads = mode === 'SAME_UPPER' ? [...small, ...large] : [...large, ...small];
  }
  const y = convTranspose(x, w, { strides, dilations, pads, groups, outputPadding });
  if (!bias) return y;
  if (!sameShape(bias.shape, [y.shape[1]!]))
    ctx.refuse(`bias ${shapeText(bias.shape)} for ${y.shape[1]} output channels`);
  return add(y, reshape(bias, [1, -1, ...kernel.map(() => 1)]));
}

/**
 * Where the windows of a pooling stand: how many along each spatial axis, and how much they reach into the end's
 * padding.
 */
function outputOf(ctx: NodeContext, x: Value, w: Window): { readonly out: number[]; readonly after: number[] } {
  const r = w.kernel.length;
  const ceilMode = ctx.int('ceil_mode', 0) === 1;
  const out = w.kernel.map((k, s) => {
    const room = x.shape[s + 2]! + w.pads[s]! + w.pads[s + r]! - (w.dilations[s]! * (k - 1) + 1);
    if (room < 0)
      ctx.refuse(`a window of ${w.dilations[s]! * (k - 1) + 1} for an axis of ${x.shape[s + 2]} with its padding`);
    const moves = room / w.strides[s]!;
    const size = (ceilMode ? Math.ceil(moves) : Math.floor(moves)) + 1;
    // A window that would start in the padding at the end is left out.
    return ceilMode && (size - 1) * w.strides[s]! >= x.shape[s + 2]! + w.pads[s]! ? size - 1 : size;
  });
  const after = out.map((o, s) => {
    const reach = (o - 1) * w.strides[s]! + w.dilations[s]! * (w.kernel[s]! - 1) + 1;
    return Math.max(w.pads[s + r]!, reach - x.shape[s + 2]! - w.pads[s]!);
  });
  return { out, after };
}

/** The values that each place of the kernel meets, each of the output's shape. Padding has the value `outside`. */
function taps(ctx: NodeContext, x: Value, w: Window, outside: number): Value[] {
  const r = w.kernel.length;
  const { out, after } = outputOf(ctx, x, w);
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

function maxPool(ctx: NodeContext): Value | Value[] {
  const x = ctx.in(0);
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  const window = windowOf(ctx, x, kernel, true);
  const values = taps(ctx, x, window, -3e38);
  const most = values.reduce(firstMaximum);
  if ((ctx.node.outputs[1] ?? '') === '') return most;
  if (ctx.int('storage_order', 0) !== 0) ctx.refuse('places counted in columns (storage_order 1)');
  ctx.sized(sizeOf(x.shape), 'places to count', 2 ** 24); // whole numbers in float32
  const flat = ctx.constant(
    Array.from({ length: sizeOf(x.shape) }, (_, i) => i),
    x.shape,
  );
  // From the last tap to the first: of equal maxima the first one's place stays.
  const places = taps(ctx, flat, window, 0);
  const at = places.reduceRight((found, place, k) => where(equal(values[k]!, most), place, found));
  return [most, toInt(at)];
}

function averagePool(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  const w = windowOf(ctx, x, kernel, true);
  const sum = taps(ctx, x, w, 0).reduce(add);
  return div(sum, counts(ctx, x, w, ctx.int('count_include_pad', 0) === 1));
}

/**
 * How many places each window averages, of the output's shape: with the padding that the node asks for, or without any.
 */
function counts(ctx: NodeContext, x: Value, w: Window, padding: boolean): Value {
  const r = w.kernel.length;
  const { out } = outputOf(ctx, x, w);
  return out
    .map((size, s) => {
      const [before, d] = [w.pads[s]!, x.shape[s + 2]!];
      const [low, high] = padding ? [-before, d + w.pads[s + r]!] : [0, d];
      const data = Array.from({ length: size }, (_, o) => {
        const start = o * w.strides[s]! - before;
        const places = Array.from({ length: w.kernel[s]! }, (_, t) => start + t * w.dilations[s]!);
        return places.filter((at) => at >= low && at < high).length;
      });
      const shape = out.map((_, a) => (a === s ? size : 1));
      return ctx.constant(data, shape);
    })
    .reduce((a, b) => mul(a, b));
}

/** (Σ |x|^p)^(1/p) over windows. */
function lpPool(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  return lpNorm(ctx, (powers) => taps(ctx, powers, windowOf(ctx, x, kernel, true), 0).reduce(add));
}

function lpNorm(ctx: NodeContext, sum: (powers: Value) => Value): Value {
  const x = ctx.in(0);
  const p = ctx.int('p', 2);
  if (p < 1) ctx.refuse(`p = ${p}, expected at least 1`);
  if (p === 2) return root(sum(square(x)));
  if (p === 1) return sum(abs(x));
  const total = sum(power(abs(x), p));
  // Where all is 0, so are the norm and its gradient; the root alone would give 0 · ∞.
  const none = equal(total, 0);
  return where(none, 0, power(where(none, 1, total), 1 / p));
}

const spatial = (x: Value) => [...x.shape.keys()].slice(2);

export const linearOperators = {
  MatMul: product,
  Gemm: gemm,
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: (ctx) => reduceMean(ctx.in(0), spatial(ctx.in(0)), true),
  GlobalMaxPool: (ctx) => reduceFirstMax(ctx.in(0), spatial(ctx.in(0)), true),
  LpPool: lpPool,
  GlobalLpPool: (ctx) => lpNorm(ctx, (powers) => reduceSum(powers, spatial(powers), true)),
  Einsum: einsum,
  Resize: resize,
  Upsample: resize,
} satisfies Operators;
