// ONNX's operators that take elements from places and put them there: places that are known are slices, others products
// with one-hot matrices.

import type { Value } from '../../graph/index.ts';
import {
  add,
  concat,
  equal,
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
} from '../../ops/index.ts';
import { normaliseAxis, sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operators } from './context.ts';
import { axisOf } from './shape.ts';

/**
 * 1 where the index is v, [..., V] behind the shape of the indices, which are −V to V − 1: from the end where they are
 * negative.
 */
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
    const runs = runsOf(list);
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

/** Where a known value is not zero: [rank, count]. */
function nonZero(ctx: NodeContext): Value {
  const data = ctx.known(0);
  const { shape } = ctx.in(0);
  ctx.sized(data.length, 'a number of elements', 2 ** 22);
  ctx.arena.spend(4 * data.length);
  const places: number[] = [];
  // a list of all keys would take ten times as long
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) places.push(i);
  ctx.declare(0, TensorProto_DataType.INT64);
  // A single number counts as a list of one.
  const dims = shape.length === 0 ? [1] : shape;
  const index = dims.flatMap((d, a) => {
    const stride = sizeOf(dims.slice(a + 1));
    return places.map((i) => Math.floor(i / stride) % d);
  });
  return ctx.constant(index, [dims.length, places.length], 'int');
}

/** Numbers from 0. */
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The rows of x along an axis that a known condition holds for; without an axis of all elements in a row. */
function compressed(ctx: NodeContext): Value {
  const x = ctx.has('axis') ? ctx.in(0) : reshape(ctx.in(0), [-1]);
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const kept = [...ctx.known(1)].flatMap((v, i) => (v !== 0 ? [i] : []));
  const out = kept.find((i) => i >= x.shape[axis]!);
  if (out !== undefined) ctx.refuse(`takes place ${out} of ${x.shape[axis]}`);
  if (kept.length === 0) return slice(x, axis, 0, 0);
  return concat(
    runsOf(kept).map(([from, to]) => slice(x, axis, from, to)),
    axis,
  );
}

/** Neighbours that follow one another, as [from, to). */
function runsOf(places: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const i of places) {
    const last = runs.at(-1);
    if (last && last[1] === i) last[1]++;
    else runs.push([i, i + 1]);
  }
  return runs;
}

/**
 * The different elements, or slices along an axis, of a known value; where each is first, which of them every one is,
 * and how often they are.
 */
function unique(ctx: NodeContext): Value[] {
  const x = ctx.in(0);
  const data = ctx.known(0);
  const along = ctx.has('axis');
  const axis = along ? axisOf(ctx, x, ctx.int('axis')) : 0;
  const shape = along ? x.shape : [data.length];
  const [outer, count, inner] = [sizeOf(shape.slice(0, axis)), shape[axis]!, sizeOf(shape.slice(axis + 1))];
  ctx.arena.spend(8 * data.length);
  const slices = upTo(count).map((k) =>
    upTo(outer).flatMap((o) => [...data.subarray((o * count + k) * inner, (o * count + k + 1) * inner)]),
  );
  const first = new Map<string, number>();
  for (const [k, row] of slices.entries()) if (!first.has(row.join())) first.set(row.join(), k);
  const order = [...first.values()];
  if (ctx.int('sorted', 1) === 1) {
    order.sort((a, b) => {
      const at = slices[a]!.findIndex((v, i) => v !== slices[b]![i]);
      return at < 0 ? 0 : slices[a]![at]! - slices[b]![at]!;
    });
  }
  const place = new Map(order.map((k, at) => [slices[k]!.join(), at]));
  const which = slices.map((row) => place.get(row.join())!);
  for (const k of [1, 2, 3]) ctx.declare(k, INT64);
  const taken = upTo(outer).flatMap((o) => order.flatMap((k) => slices[k]!.slice(o * inner, (o + 1) * inner)));
  const y = ctx.constant(taken, [...shape.slice(0, axis), order.length, ...shape.slice(axis + 1)], x.dtype);
  const counts = order.map((_, at) => which.filter((w) => w === at).length);
  return [y, ctx.list(order), ctx.list(which), ctx.list(counts)];
}

const { INT64 } = TensorProto_DataType;

/** y[.., t, ..] = x[.., i(t), ..] along a time axis, the places by sequence: i [b, T], of sequences on a batch axis. */
function retimed(ctx: NodeContext, x: Value, places: Value, batch: number, time: number): Value {
  const rest = [...x.shape.keys()].filter((a) => a !== batch && a !== time);
  const order = [batch, time, ...rest];
  const [b, T] = [x.shape[batch]!, x.shape[time]!];
  const table = reshape(transpose(x, order), [b, T, sizeOf(rest.map((a) => x.shape[a]!))]);
  const y = picked(oneHot(ctx, places, T), table);
  const back = [...x.shape.keys()].map((a) => order.indexOf(a));
  return transpose(
    reshape(
      y,
      order.map((a) => x.shape[a]!),
    ),
    back,
  );
}

/** Each sequence backwards as far as it goes, what is behind it as it was. */
function reversed(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [batch, time] = [ctx.int('batch_axis', 1), ctx.int('time_axis', 0)];
  if (x.shape.length < 2 || batch + time !== 1 || batch * time !== 0) {
    ctx.refuse(`batch_axis ${batch} and time_axis ${time} of ${shapeText(x.shape)}, expected 0 and 1`);
  }
  const [b, T] = [x.shape[batch]!, x.shape[time]!];
  ctx.expectShape(1, [b]);
  const lengths = reshape(ctx.in(1), [b, 1]);
  ctx.within(ctx.in(1), 0, T, lengths);
  const times = ctx.constant(upTo(T), [1, T], 'int');
  const back = sub(sub(lengths, ctx.constant(1, [], 'int')), times);
  return retimed(ctx, x, where(less(times, lengths), back, times), batch, time);
}

/** A cache [b, …, T, …] with an update of fewer times written into it, from a place of each sequence's own on. */
function written(ctx: NodeContext): Value {
  const [cache, update] = [ctx.in(0), ctx.in(1)];
  const axis = axisOf(ctx, cache, ctx.int('axis', -2));
  const mode = ctx.text('mode', 'linear');
  if (mode !== 'linear' && mode !== 'circular') ctx.refuse(`mode '${mode}', expected linear or circular`);
  const [b, T, t] = [cache.shape[0]!, cache.shape[axis]!, update.shape[axis] ?? 0];
  const fits = cache.shape.map((d, a) => (a === axis ? t : d));
  if (axis === 0 || t > T || !sameShape(update.shape, fits)) {
    ctx.refuse(`an update ${shapeText(update.shape)} of ${shapeText(cache.shape)} along axis ${axis}`);
  }
  const from = ctx.maybe(2) ? reshape(ctx.in(2), [b, 1]) : ctx.constant(new Float64Array(b), [b, 1], 'int');
  if (ctx.maybe(2)) {
    ctx.expectShape(2, [b]);
    ctx.within(ctx.in(2), 0, mode === 'linear' ? T - t : T - 1, from);
  }
  // How far behind the first place that is written each place is; around the end where that goes on at the start.
  const behind = sub(ctx.constant(upTo(T), [1, T], 'int'), from); // [b, T]
  const whole = (n: number) => ctx.constant(n, [], 'int');
  const place = mode === 'circular' ? where(less(behind, whole(0)), add(behind, whole(T)), behind) : behind;
  const inside = mul(toInt(less(place, whole(t))), toInt(greater(place, whole(-1))));
  const spread = (v: Value) => reshape(v, [b, ...cache.shape.slice(1).map((d, a) => (a + 1 === axis ? d : 1))]);
  const rest = [...cache.shape.keys()].filter((a) => a !== 0 && a !== axis);
  const order = [0, axis, ...rest];
  const table = reshape(transpose(update, order), [b, t, sizeOf(rest.map((a) => cache.shape[a]!))]);
  const taken = picked(oneHotOrNone(ctx, where(equal(inside, 1), place, whole(t)), t), table);
  const placed = reshape(
    taken,
    order.map((a) => cache.shape[a]!),
  );
  const back = [...cache.shape.keys()].map((a) => order.indexOf(a));
  return where(equal(spread(inside), 1), transpose(placed, back), cache);
}

export const gatherOperators = {
  Gather: gather,
  GatherElements: gatherElements,
  NonZero: nonZero,
  Compress: compressed,
  Unique: unique,
  ReverseSequence: reversed,
  TensorScatter: written,
  OneHot: (ctx) => {
    const depth = ctx.single(1);
    ctx.expectShape(2, [2]);
    ctx.declare(0, ctx.element(2));
    const [off, on] = [0, 1].map((k) => reshape(slice(ctx.in(2), 0, k, k + 1), [])) as [Value, Value];
    // An index that is known may be none of them, for a row without a one; one that comes from data would be a damaged
    // input.
    const known = ctx.importer.known(ctx.in(0)) !== undefined;
    const hot = like(ctx.in(2), (known ? oneHotOrNone : oneHot)(ctx, ctx.in(0), depth));
    const rank = hot.shape.length;
    const axis = normaliseAxis(ctx.int('axis', -1), rank) ?? ctx.refuse('axis');
    const perm = Array.from({ length: rank }, (_, a) => (a === axis ? rank - 1 : a < axis ? a : a - 1));
    return add(mul(transpose(hot, perm), sub(on, off)), off);
  },
} satisfies Operators;
