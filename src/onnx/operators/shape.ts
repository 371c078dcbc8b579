// ONNX's operators that change shapes, cut, repeat and pad.

import type { Value } from '../../graph/index.ts';
import { concat, equal, expand, reshape, slice, sliceRaw, transpose, where, zeroPad } from '../../ops/index.ts';
import { broadcastTwo, normaliseAxis, shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operators } from './context.ts';

export function axisOf(ctx: NodeContext, x: Value, axis: number): number {
  return normaliseAxis(axis, x.shape.length) ?? ctx.refuse(`axis ${axis} of a value of shape ${shapeText(x.shape)}`);
}

/** Axes as the operand they are from some opset on, or as the attribute they were before. */
export function axesOf(ctx: NodeContext, x: Value, operand: number): number[] | undefined {
  return (ctx.maybeKnown(operand) ?? ctx.ints('axes'))?.map((a) => axisOf(ctx, x, a));
}

function reshaped(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const wanted = [...ctx.known(1)];
  const keepZeros = ctx.int('allowzero', 0) === 1;
  const dims = wanted.map((d, i) => (d === 0 && !keepZeros ? (x.shape[i] ?? ctx.refuse('0 beyond the shape')) : d));
  const rest = dims.reduce((size, d) => (d === -1 ? size : size * d), 1);
  const to = dims.map((d) => (d === -1 ? sizeOf(x.shape) / rest : d));
  if (sizeOf(to) !== sizeOf(x.shape) || to.some((d) => !Number.isInteger(d) || d < 0)) {
    ctx.refuse(`${shapeText(x.shape)} does not fit ${shapeText(wanted)} (models are taken at a batch of one)`);
  }
  return reshape(x, to);
}

function squeezed(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const given = axesOf(ctx, x, 1) ?? [];
  const axes = given.length > 0 ? given : [...x.shape.keys()].filter((a) => x.shape[a] === 1);
  const bad = axes.find((a) => x.shape[a] !== 1);
  if (bad !== undefined) ctx.refuse(`axis ${bad} of ${shapeText(x.shape)} is not of size 1`);
  return reshape(
    x,
    x.shape.filter((_, a) => !axes.includes(a)),
  );
}

function unsqueezed(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const list = ctx.maybeKnown(1) ?? ctx.ints('axes') ?? ctx.refuse('no axes');
  const rank = x.shape.length + list.length;
  const axes = list.map((a) => normaliseAxis(a, rank) ?? ctx.refuse(`axis ${a} of ${rank}`));
  const rest = [...x.shape];
  return reshape(
    x,
    Array.from({ length: rank }, (_, a) => (axes.includes(a) ? 1 : rest.shift()!)),
  );
}

/** Starts, ends, axes, steps, clamped to what is there. */
function sliced(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const starts = ctx.maybeKnown(1) ?? ctx.ints('starts') ?? ctx.refuse('no starts');
  const ends = ctx.maybeKnown(2) ?? ctx.ints('ends') ?? ctx.refuse('no ends');
  const axes = (ctx.maybeKnown(3) ?? ctx.ints('axes') ?? [...starts.keys()]).map((a) => axisOf(ctx, x, a));
  const steps = ctx.maybeKnown(4) ?? starts.map(() => 1);
  const counts = [starts, ends, axes, steps].map((list) => list.length);
  if (new Set(counts).size > 1)
    ctx.refuse(`${counts.join(', ')} starts, ends, axes and steps, expected as many of each`);
  if (new Set(axes).size !== axes.length) ctx.refuse(`axes ${axes.join(', ')}, expected each once`);
  const from = x.shape.map(() => 0);
  const sizes = [...x.shape];
  const by = x.shape.map(() => 1);
  for (const [k, a] of axes.entries()) {
    const [d, step] = [x.shape[a]!, steps[k]!];
    if (step === 0) ctx.refuse('a step of 0');
    // Backwards a start before the first element is brought to it, an end is not.
    const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v < 0 ? v + d : v, low), high);
    // Without bounds, in either direction: the largest number there is.
    const open = ends[k] === 2 ** 31 - 1 || ends[k]! >= 2 ** 63 - 1;
    const [start, end] =
      step > 0
        ? [clamp(starts[k]!, 0, d), clamp(ends[k]!, 0, d)]
        : [clamp(starts[k]!, 0, d - 1), open ? -1 : clamp(ends[k]!, -1, d - 1)];
    from[a] = start;
    by[a] = step;
    sizes[a] = Math.max(0, Math.ceil((end - start) / step));
  }
  if (sizes.includes(0)) {
    from.fill(0);
    by.fill(1);
  }
  return sliceRaw(x, from, sizes, by);
}

function splitInto(ctx: NodeContext): Value[] {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const count = ctx.node.outputs.length;
  const length = x.shape[axis]!;
  if (ctx.int('num_outputs', count) !== count) ctx.refuse(`num_outputs ${ctx.int('num_outputs')} for ${count} outputs`);
  const given = ctx.maybeKnown(1) ?? ctx.ints('split');
  const chunk = Math.ceil(length / count);
  if (!given && !ctx.has('num_outputs') && length % count !== 0)
    ctx.refuse(`${length} elements in ${count} equal parts`);
  const sizes = given ?? Array.from({ length: count }, (_, k) => Math.max(0, Math.min(chunk, length - k * chunk)));
  const sum = sizes.reduce((a, b) => a + b, 0);
  if (sizes.length !== count || sum !== length || sizes.some((size) => size < 0)) {
    ctx.refuse(`parts of ${sizes.join(', ')} of an axis of ${length}, for ${count} outputs`);
  }
  let start = 0;
  return sizes.map((size) => {
    const part = slice(x, axis, start, start + size);
    start += size;
    return part;
  });
}

function tiled(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const repeats = ctx.known(1);
  if (repeats.length !== x.shape.length) ctx.refuse(`${repeats.length} repetitions for ${shapeText(x.shape)}`);
  for (const r of repeats) ctx.sized(r, 'a number of repetitions');
  if (repeats.includes(0)) {
    const shape = x.shape.map((d, a) => d * repeats[a]!);
    return ctx.constant([], shape, x.dtype);
  }
  const open = x.shape.flatMap((d) => [1, d]);
  const full = x.shape.flatMap((d, a) => [repeats[a]!, d]);
  return reshape(
    expand(reshape(x, open), full),
    x.shape.map((d, a) => d * repeats[a]!),
  );
}

function padded(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const mode = ctx.text('mode', 'constant');
  const list = ctx.maybeKnown(1) ?? ctx.ints('pads') ?? ctx.refuse('no pads');
  const axes = ctx.maybeKnown(3)?.map((a) => axisOf(ctx, x, a)) ?? [...x.shape.keys()];
  if (list.length !== 2 * axes.length) ctx.refuse(`${list.length} pads, expected ${2 * axes.length}`);
  const before = x.shape.map((_, a) => (axes.includes(a) ? list[axes.indexOf(a)]! : 0));
  const after = x.shape.map((_, a) => (axes.includes(a) ? list[axes.indexOf(a) + axes.length]! : 0));
  const cut = sliceRaw(
    x,
    before.map((b) => Math.max(0, -b)),
    x.shape.map((d, a) => d + Math.min(0, before[a]!) + Math.min(0, after[a]!)),
    x.shape.map(() => 1),
  );
  for (const p of [...before, ...after]) ctx.sized(Math.abs(p), 'padding', mode === 'constant' ? 2 ** 24 : 2 ** 12);
  const front = before.map((b) => Math.max(0, b));
  const back = after.map((b) => Math.max(0, b));
  if (mode === 'constant') {
    const value = ctx.maybe(2) ? ctx.known(2)[0]! : ctx.opset < 11 ? ctx.float('value', 0) : 0;
    const y = zeroPad(cut, front, back);
    if (value === 0) return y;
    const ones = zeroPad(expand(ctx.constant(1), cut.shape), front, back);
    return where(equal(ones, 1), y, x.dtype === 'float' ? value : ctx.constant(value, [], x.dtype));
  }
  const place: Readonly<Record<string, (k: number, d: number) => number>> = {
    edge: (k, d) => Math.min(Math.max(k, 0), d - 1),
    reflect: (k, d) => {
      const period = Math.max(1, 2 * (d - 1));
      const m = ((k % period) + period) % period;
      return m < d ? m : period - m;
    },
    wrap: (k, d) => ((k % d) + d) % d,
  };
  const rule = place[mode] ?? ctx.refuse(`mode '${mode}'`);
  if (mode === 'wrap' && cut !== x) ctx.refuse("mode 'wrap' with padding that cuts off");
  return cut.shape.reduce((y, d, a) => {
    if (front[a] === 0 && back[a] === 0) return y;
    const picks = Array.from({ length: front[a]! + d + back[a]! }, (_, k) => rule(k - front[a]!, d));
    return concat(
      picks.map((k) => slice(y, a, k, k + 1)),
      a,
    );
  }, cut);
}

/**
 * Cut to or padded with zeros to given sizes, the middle kept in the middle; what is left over of odd differences goes
 * to the end.
 */
function centred(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const axes = ctx.ints('axes')?.map((a) => axisOf(ctx, x, a)) ?? [...x.shape.keys()];
  const sizes = ctx.known(1);
  if (sizes.length !== axes.length) ctx.refuse(`${sizes.length} sizes for ${axes.length} axes`);
  const wanted = x.shape.map((d, a) => (axes.includes(a) ? ctx.sized(sizes[axes.indexOf(a)]!, 'a size') : d));
  const kept = x.shape.map((d, a) => Math.min(d, wanted[a]!));
  const from = x.shape.map((d, a) => Math.floor(Math.max(0, d - wanted[a]!) / 2));
  const cut = sliceRaw(
    x,
    from,
    kept,
    x.shape.map(() => 1),
  );
  const missing = kept.map((d, a) => wanted[a]! - d);
  const before = missing.map((m) => Math.floor(m / 2));
  return zeroPad(
    cut,
    before,
    missing.map((m, a) => m - before[a]!),
  );
}

/** Images [n, c, h, w] and a block size that divides what it must. */
function blocksOf(ctx: NodeContext, fits: (b: number, c: number, h: number, w: number) => boolean): number {
  const { shape } = ctx.in(0);
  const b = ctx.int('blocksize');
  const [, c, h, w] = shape as [number, number, number, number];
  if (shape.length !== 4 || b < 1 || !fits(b, c, h, w)) ctx.refuse(`${shapeText(shape)} in blocks of ${b}`);
  return b;
}

function depthToSpace(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const b = blocksOf(ctx, (size, channels) => channels % (size * size) === 0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const mode = ctx.text('mode', 'DCR');
  if (mode !== 'DCR' && mode !== 'CRD') ctx.refuse(`mode '${mode}', expected DCR or CRD`);
  const crd = mode === 'CRD';
  const open = crd ? [n, c / (b * b), b, b, h, w] : [n, b, b, c / (b * b), h, w];
  const perm = crd ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return reshape(transpose(reshape(x, open), perm), [n, c / (b * b), h * b, w * b]);
}

function spaceToDepth(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const b = blocksOf(ctx, (size, _c, height, width) => height % size === 0 && width % size === 0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const open = reshape(x, [n, c, h / b, b, w / b, b]);
  return reshape(transpose(open, [0, 3, 5, 1, 2, 4]), [n, c * b * b, h / b, w / b]);
}

const { INT64 } = TensorProto_DataType;

export const shapeOperators = {
  Shape: (ctx) => {
    const { shape } = ctx.in(0);
    ctx.declare(0, INT64);
    return ctx.list(shape.slice(ctx.int('start', 0), ctx.has('end') ? ctx.int('end') : undefined));
  },
  Size: (ctx) => {
    ctx.declare(0, INT64);
    return ctx.constant(sizeOf(ctx.in(0).shape), [], 'int');
  },
  Reshape: reshaped,
  Flatten: (ctx) => {
    const x = ctx.in(0);
    const axis = ctx.int('axis', 1);
    const a = axis < 0 ? axis + x.shape.length : axis;
    if (a < 0 || a > x.shape.length) ctx.refuse(`axis ${axis} of a value of shape ${shapeText(x.shape)}`);
    return reshape(x, [sizeOf(x.shape.slice(0, a)), sizeOf(x.shape.slice(a))]);
  },
  Squeeze: squeezed,
  Unsqueeze: unsqueezed,
  Transpose: (ctx) => transpose(ctx.in(0), ctx.ints('perm')),
  Concat: (ctx) => concat(ctx.inputs, ctx.int('axis')),
  Split: splitInto,
  Slice: sliced,
  Expand: (ctx) => {
    const x = ctx.in(0);
    const to = [...ctx.known(1)];
    return expand(x, broadcastTwo(x.shape, to) ?? ctx.refuse(`${shapeText(x.shape)} to ${shapeText(to)}`));
  },
  Tile: tiled,
  Pad: padded,
  CenterCropPad: centred,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
} satisfies Operators;
