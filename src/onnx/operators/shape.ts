// ONNX's operators on shapes and on where elements are.

import type { Value } from '../../graph/index.ts';
import {
  add,
  concat,
  equal,
  expand,
  greater,
  less,
  matmul,
  mul,
  reduceSum,
  reshape,
  rows,
  slice,
  sliceRaw,
  sub,
  toFloat,
  toInt,
  transpose,
  where,
  zeroPad,
} from '../../ops/index.ts';
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

/** 1 where the index is v, [..., V] behind the shape of the indices, which are −V to V − 1: from the end where they are negative. */
export function oneHot(ctx: NodeContext, indices: Value, depth: number): Value {
  const hot = oneHotOrNone(ctx, indices, depth);
  ctx.within(indices, -depth, depth - 1, hot);
  return hot;
}

/** The same, with no 1 for an index that is not one of them. */
export function oneHotOrNone(ctx: NodeContext, indices: Value, depth: number): Value {
  ctx.sized(
    sizeOf(indices.shape) * ctx.sized(depth, 'a number of classes', 2 ** 20),
    'a table of ones and zeros',
    2 ** 28,
  );
  const positive = where(less(indices, 0), add(indices, depth), indices);
  const each = ctx.constant(
    Array.from({ length: depth }, (_, v) => v),
    [depth],
    indices.dtype,
  );
  return toFloat(equal(reshape(positive, [...indices.shape, 1]), each));
}

/** Zeros and ones of the type of x. */
export const like = (x: Value, hot: Value): Value => (x.dtype === 'int' ? toInt(hot) : hot);

/** One-hot rows [p, count] times a table [count, ...]: of truth values too. */
export function picked(hot: Value, table: Value): Value {
  if (table.dtype !== 'bool') return matmul(like(table, hot), table);
  return greater(matmul(hot, toFloat(table)), 0.5);
}

/** The rows [p, d] of a table [v, d] that indices of any shape name, in order. */
function rowsOf(ctx: NodeContext, table: Value, indices: Value): Value {
  const depth = table.shape[0]!;
  if (table.dtype !== 'float' || indices.dtype !== 'int') {
    return picked(reshape(oneHot(ctx, indices, depth), [-1, depth]), table);
  }
  ctx.sized(depth, 'a number of classes', 2 ** 20);
  ctx.sized(sizeOf(indices.shape) * depth, 'a table of ones and zeros', 2 ** 28);
  const positive = where(less(indices, 0), add(indices, depth), indices);
  const found = rows(table, reshape(positive, [-1]));
  ctx.within(indices, -depth, depth - 1, found);
  return found;
}

/** Rows by known indices are slices, runs of neighbours in one. */
function gather(ctx: NodeContext): Value {
  const [x, indices] = [ctx.in(0), ctx.in(1)];
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const depth = x.shape[axis]!;
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const known = ctx.importer.known(indices);
  if (known) {
    const list = Array.from(known, (i) => (i < 0 ? i + depth : i));
    if (list.some((i) => i < 0 || i >= depth)) ctx.refuse(`index outside the ${depth} of axis ${axis}`);
    const numbers = ctx.importer.known(x);
    if (numbers && x.dtype !== 'float') {
      const [outer, inner] = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis + 1))];
      const data = Array.from({ length: outer }, (_, o) =>
        list.flatMap((i) => [...numbers.subarray((o * depth + i) * inner, (o * depth + i + 1) * inner)]),
      );
      return ctx.constant(data.flat(), shape, x.dtype);
    }
    const runs: [number, number][] = [];
    for (const i of list) {
      const last = runs.at(-1);
      if (last && last[1] === i) last[1]++;
      else runs.push([i, i + 1]);
    }
    if (runs.length <= 32) {
      return reshape(
        concat(
          runs.map(([from, to]) => slice(x, axis, from, to)),
          axis,
        ),
        shape,
      );
    }
  }
  const order = [axis, ...x.shape.keys()].filter((a, k) => k === 0 || a !== axis);
  const table = reshape(transpose(x, order), [depth, -1]);
  const found = rowsOf(ctx, table, indices);
  const parts = [...indices.shape, ...order.slice(1).map((a) => x.shape[a]!)];
  // The axes of the indices go where the gathered axis was.
  const r = indices.shape.length;
  const perm = [
    ...Array.from({ length: axis }, (_, a) => r + a),
    ...Array.from({ length: r }, (_, a) => a),
    ...Array.from({ length: x.shape.length - 1 - axis }, (_, a) => r + axis + a),
  ];
  return transpose(reshape(found, parts), perm);
}

/** y[.., k, ..] = x[.., i[.., k, ..], ..] along one axis; the others agree, as far as the indices go. */
function gatherElements(ctx: NodeContext): Value {
  const [all, indices] = [ctx.in(0), ctx.in(1)];
  const axis = axisOf(ctx, all, ctx.int('axis', 0));
  if (indices.shape.length !== all.shape.length || indices.shape.some((d, a) => a !== axis && d > all.shape[a]!)) {
    ctx.refuse(`indices ${shapeText(indices.shape)} for ${shapeText(all.shape)} along axis ${axis}`);
  }
  const x = sliceRaw(
    all,
    all.shape.map(() => 0),
    all.shape.map((d, a) => (a === axis ? d : indices.shape[a]!)),
    all.shape.map(() => 1),
  );
  const depth = x.shape[axis]!;
  const [outer, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const hot = oneHot(ctx, indices, depth); // [...outer, k, ...inner, depth]
  const rank = x.shape.length;
  const perm = [...Array.from({ length: axis + 1 }, (_, a) => a), rank, ...inner.map((_, a) => axis + 1 + a)];
  const mask = transpose(hot, perm); // [...outer, k, depth, ...inner]
  const spread = reshape(x, [...outer, 1, depth, ...inner]);
  // A selection, not a product: an infinite log-probability that is not asked for must not turn into NaN.
  if (x.dtype === 'bool') return greater(reduceSum(where(equal(mask, 1), toFloat(spread), 0), [axis + 1]), 0.5);
  return reduceSum(where(equal(mask, 1), spread, 0), [axis + 1]);
}

function tiled(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const repeats = ctx.known(1);
  if (repeats.length !== x.shape.length) ctx.refuse(`${repeats.length} repetitions for ${shapeText(x.shape)}`);
  for (const r of repeats) if (ctx.sized(r, 'a number of repetitions') === 0) ctx.refuse('0 repetitions');
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

function range(ctx: NodeContext): Value {
  const [start, limit, delta] = [0, 1, 2].map((i) => ctx.single(i)) as [number, number, number];
  if (delta === 0) ctx.refuse('steps of 0');
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!(count < 2 ** 24)) ctx.refuse(`a range of ${count} numbers`);
  ctx.arena.spend(2 * count);
  return ctx.constant(
    Array.from({ length: count }, (_, k) => start + k * delta),
    [count],
    ctx.in(0).dtype,
  );
}

/** Ones on one diagonal. */
function eyeLike(ctx: NodeContext): Value {
  const [rows, columns, ...more] = ctx.in(0).shape as [number, number, ...number[]];
  if (columns === undefined || more.length > 0) ctx.refuse(`${shapeText(ctx.in(0).shape)}, expected two axes`);
  const k = ctx.int('k', 0);
  ctx.sized(rows * columns, 'a number of elements', 2 ** 22);
  const data = Array.from({ length: rows * columns }, (_, at) =>
    Number((at % columns) - Math.floor(at / columns) === k),
  );
  const element = ctx.has('dtype') ? ctx.int('dtype') : ctx.element(0);
  ctx.declare(0, element);
  const floats: readonly (number | undefined)[] = [undefined, FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  const dtype = element === BOOL ? 'bool' : floats.includes(element) ? 'float' : 'int';
  return ctx.constant(data, [rows, columns], dtype);
}

const { BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT64 } = TensorProto_DataType;

/** Where a known value is not zero: [rank, count]. */
function nonZero(ctx: NodeContext): Value {
  const data = ctx.known(0);
  const { shape } = ctx.in(0);
  ctx.sized(data.length, 'a number of elements', 2 ** 22);
  ctx.arena.spend(4 * data.length);
  const places: number[] = [];
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) places.push(i); // a list of all keys would take ten times as long
  ctx.declare(0, TensorProto_DataType.INT64);
  // A single number counts as a list of one.
  const dims = shape.length === 0 ? [1] : shape;
  const index = dims.flatMap((d, a) => {
    const stride = sizeOf(dims.slice(a + 1));
    return places.map((i) => Math.floor(i / stride) % d);
  });
  return ctx.constant(index, [dims.length, places.length], 'int');
}

function constant(ctx: NodeContext): Value {
  const t = ctx.tensor('value');
  ctx.declare(0, t?.element ?? (ctx.has('value_int') || ctx.has('value_ints') ? INT64 : FLOAT));
  if (t) return ctx.constant(t.data, t.shape, t.dtype);
  if (ctx.has('value_float')) return ctx.constant(ctx.float('value_float'));
  if (ctx.has('value_int')) return ctx.constant(ctx.int('value_int'), [], 'int');
  const floats = ctx.ints('value_floats');
  if (floats) return ctx.constant(floats, [floats.length]);
  return ctx.list(ctx.ints('value_ints') ?? ctx.refuse('no value of a kind that is supported'));
}

function filled(ctx: NodeContext): Value {
  const t = ctx.tensor('value');
  ctx.declare(0, t ? t.element : FLOAT);
  const shape = Array.from(ctx.known(0), (d) => ctx.sized(d, 'a size'));
  return expand(ctx.constant(t?.data[0] ?? 0, [], t?.dtype ?? 'float'), shape);
}

/** Upper or lower triangle of the last two axes. */
function triangle(ctx: NodeContext): Value {
  const x = ctx.in(0);
  if (x.shape.length < 2) ctx.refuse(`${shapeText(x.shape)}, expected two axes at least`);
  const k = ctx.maybe(1) ? ctx.single(1) : 0;
  const upper = ctx.int('upper', 1) === 1;
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  ctx.sized(rows * columns, 'a number of elements', 2 ** 24);
  const mask = Array.from({ length: rows * columns }, (_, at) => {
    const offset = (at % columns) - Math.floor(at / columns);
    return Number(upper ? offset >= k : offset <= k);
  });
  const kept = ctx.constant(mask, [rows, columns], 'bool');
  return where(kept, x, x.dtype === 'bool' ? ctx.constant(0, [], 'bool') : 0);
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

/** Sums up to each place along an axis: a product with a triangle of ones. */
function cumSum(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.single(1));
  const [exclusive, reverse] = [ctx.int('exclusive', 0) === 1, ctx.int('reverse', 0) === 1];
  ctx.refuseWrapping();
  const d = ctx.sized(x.shape[axis]!, 'sums over a length', 4096);
  const ones = Array.from({ length: d * d }, (_, at) => {
    const [from, to] = [Math.floor(at / d), at % d];
    const [first, second] = reverse ? [to, from] : [from, to];
    return Number(exclusive ? first < second : first <= second);
  });
  const last = x.shape.length - 1;
  const perm = [...x.shape.keys()].filter((a) => a !== axis).concat(axis);
  const sums = matmul(reshape(transpose(x, perm), [-1, d]), ctx.constant(ones, [d, d], x.dtype));
  const back = [...x.shape.keys()].map((a) => (a === axis ? last : a < axis ? a : a - 1));
  return transpose(
    reshape(
      sums,
      perm.map((a) => x.shape[a]!),
    ),
    back,
  );
}

export const shapeOperators = {
  Constant: constant,
  ConstantOfShape: filled,
  Range: range,
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
  Gather: gather,
  GatherElements: gatherElements,
  EyeLike: eyeLike,
  NonZero: nonZero,
  Trilu: triangle,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  CumSum: cumSum,
  OneHot: (ctx) => {
    const depth = ctx.single(1);
    ctx.expectShape(2, [2]);
    ctx.declare(0, ctx.element(2));
    const [off, on] = [0, 1].map((k) => reshape(slice(ctx.in(2), 0, k, k + 1), [])) as [Value, Value];
    // An index that is known may be none of them, for a row without a one; one that comes from data would be a damaged input.
    const known = ctx.importer.known(ctx.in(0)) !== undefined;
    const hot = like(ctx.in(2), (known ? oneHotOrNone : oneHot)(ctx, ctx.in(0), depth));
    const rank = hot.shape.length;
    const axis = normaliseAxis(ctx.int('axis', -1), rank) ?? ctx.refuse('axis');
    const perm = Array.from({ length: rank }, (_, a) => (a === axis ? rank - 1 : a < axis ? a : a - 1));
    return add(mul(transpose(hot, perm), sub(on, off)), off);
  },
} satisfies Operators;
