// Ops that move elements: reshape, transpose, slice and its adjoint, concatenation.

import { GraphError } from '../errors.ts';
import type { OpRecord, Value } from '../graph/index.ts';
import { ndarray, walk } from '../tensor/ndarray.ts';
import { axisLike, normaliseAxis, type Shape, sameShape, shapeText, sizeOf, stridesOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { list, lowerPlace, lowerSlice } from './slice-lowering.ts';

export const shapeOps = {
  Reshape: {
    name: 'Reshape',
    takes: 'anything',
    isometric: true,
    type: ([x], attrs) => {
      const shape = list(attrs, 'shape');
      if (sizeOf(shape) !== sizeOf(x!.shape)) {
        throw new GraphError(
          `Reshape: ${shapeText(x!.shape)} has ${sizeOf(x!.shape)} elements, ${shapeText(shape)} ${sizeOf(shape)}`,
        );
      }
      return { shape, dtype: x!.dtype };
    },
    evaluate: ([x], _attrs, out) => ({ shape: out.shape, data: x!.data }),
    gradient: (dY, node) => [reshape(dY, node.inputs[0]!.shape)],
    axisBefore: (node, y, axis) => axisLike(y.shape, axis, node.inputs[0]!.shape),
    lower: (ctx, [x], _node, y) => ctx.stored(x!.name, ctx.storage(x!.shape, x!.lead), y, x!.lead),
  },

  Transpose: {
    name: 'Transpose',
    takes: 'anything',
    isometric: true,
    type: ([x], attrs) => {
      const perm = list(attrs, 'perm');
      if (![...perm].sort((a, b) => a - b).every((p, i) => p === i) || perm.length !== x!.shape.length) {
        throw new GraphError(`Transpose: ${shapeText(perm)} does not permute the axes of ${shapeText(x!.shape)}`);
      }
      return { shape: perm.map((p) => x!.shape[p]!), dtype: x!.dtype };
    },
    evaluate: ([x], attrs, out) => {
      const own = stridesOf(x!.shape);
      const y = ndarray(out.shape);
      const strides = list(attrs, 'perm').map((p) => own[p]!);
      walk(out.shape, [strides], (i, [from]) => {
        y.data[i] = x!.data[from!]!;
      });
      return y;
    },
    gradient: (dY, node) => {
      const perm = list(node.attrs, 'perm');
      const back = perm.map((_, i) => perm.indexOf(i));
      return [transpose(dY, back)];
    },
    axisBefore: (node, _y, axis) => list(node.attrs, 'perm')[axis],
    lower: (ctx, [x], node, y) => {
      const perm = list(node.attrs, 'perm');
      if (x!.lead === 'none') return { name: ctx.emit('Transpose', [x!.name], { perm }), ...typeOf(y), lead: 'none' };
      if (x!.shape[0] === 1 && perm[0] === 0) {
        return { name: ctx.emit('Transpose', [x!.name], { perm }), ...typeOf(y), lead: x!.lead }; // n in place of the 1
      }
      const name = ctx.emit('Transpose', [ctx.full(x!)], { perm: [0, ...perm.map((p) => p + 1)] });
      return ctx.stored(name, [ctx.leadSize(x!.lead), ...y.shape], y, x!.lead);
    },
  },

  // Elements starts[a] + k·steps[a], k < sizes[a], of every axis a.
  Slice: {
    name: 'Slice',
    takes: 'anything',
    type: ([x], attrs) => {
      const [starts, sizes, steps] = [list(attrs, 'starts'), list(attrs, 'sizes'), list(attrs, 'steps')];
      x!.shape.forEach((d, a) => {
        const last = starts[a]! + (sizes[a]! - 1) * steps[a]!;
        if (sizes[a]! > 0 && (starts[a]! < 0 || starts[a]! >= d || last < 0 || last >= d)) {
          throw new GraphError(`Slice: elements ${starts[a]} to ${last} of axis ${a} of ${shapeText(x!.shape)}`);
        }
      });
      return { shape: sizes, dtype: x!.dtype };
    },
    evaluate: ([x], attrs, out) => {
      const own = stridesOf(x!.shape);
      const [starts, steps] = [list(attrs, 'starts'), list(attrs, 'steps')];
      const offset = starts.reduce((o, s, a) => o + s * own[a]!, 0);
      const y = ndarray(out.shape);
      const strides = steps.map((s, a) => s * own[a]!);
      walk(out.shape, [strides], (i, [from]) => {
        y.data[i] = x!.data[offset + from!]!;
      });
      return y;
    },
    gradient: (dY, node) => [place(dY, node.inputs[0]!.shape, list(node.attrs, 'starts'), list(node.attrs, 'steps'))],
    lower: (ctx, [x], node, y) => lowerSlice(ctx, x!, node, y),
  },

  // The adjoint of Slice: zeros of `shape` with x at starts[a] + k·steps[a]. With steps of 1 it is zero-padding.
  Place: {
    name: 'Place',
    takes: 'anything',
    type: ([x], attrs) => {
      const [shape, starts, steps] = [list(attrs, 'shape'), list(attrs, 'starts'), list(attrs, 'steps')];
      shape.forEach((d, a) => {
        const last = starts[a]! + (x!.shape[a]! - 1) * steps[a]!;
        if (x!.shape[a]! > 0 && (Math.min(starts[a]!, last) < 0 || Math.max(starts[a]!, last) >= d)) {
          throw new GraphError(
            `Place: ${shapeText(x!.shape)} from ${shapeText(starts)} in steps of ${shapeText(steps)} leaves ${shapeText(shape)}`,
          );
        }
      });
      return { shape, dtype: x!.dtype };
    },
    evaluate: ([x], attrs, out) => {
      const own = stridesOf(out.shape);
      const [starts, steps] = [list(attrs, 'starts'), list(attrs, 'steps')];
      const offset = starts.reduce((o, s, a) => o + s * own[a]!, 0);
      const y = ndarray(out.shape);
      const strides = steps.map((s, a) => s * own[a]!);
      walk(x!.shape, [strides], (i, [to]) => {
        y.data[offset + to!] = x!.data[i]!;
      });
      return y;
    },
    gradient: (dY, node) => {
      const x = node.inputs[0]!;
      return [sliceRaw(dY, list(node.attrs, 'starts'), x.shape, list(node.attrs, 'steps'))];
    },
    lower: (ctx, [x], node, y) => lowerPlace(ctx, x!, node, y),
  },

  Concat: {
    name: 'Concat',
    takes: 'anything',
    type: (inputs, attrs) => {
      const axis = attrs.axis as number;
      const [first] = inputs;
      for (const x of inputs) {
        if (x.shape.length !== first!.shape.length || x.shape.some((d, a) => a !== axis && d !== first!.shape[a])) {
          throw new GraphError(
            `Concat: shapes ${inputs.map((v) => shapeText(v.shape)).join(', ')} differ off axis ${axis}`,
          );
        }
      }
      const total = inputs.reduce((sum, x) => sum + x.shape[axis]!, 0);
      return { shape: first!.shape.map((d, a) => (a === axis ? total : d)), dtype: first!.dtype };
    },
    evaluate: (inputs, attrs, out) => {
      const own = stridesOf(out.shape);
      const y = ndarray(out.shape);
      let offset = 0;
      for (const x of inputs) {
        walk(x.shape, [own], (i, [to]) => {
          y.data[offset + to!] = x.data[i]!;
        });
        offset += x.shape[attrs.axis as number]! * own[attrs.axis as number]!;
      }
      return y;
    },
    gradient: (dY, node) => {
      const axis = node.attrs.axis as number;
      let start = 0;
      return node.inputs.map((x) => {
        const part = slice(dY, axis, start, start + x.shape[axis]!);
        start += x.shape[axis]!;
        return part;
      });
    },
    lower: (ctx, inputs, node, y) => {
      const axis = node.attrs.axis as number;
      if (y.lead === 'none' || inputs.every((x) => x.lead === 'none')) {
        return {
          name: ctx.emit(
            'Concat',
            inputs.map((x) => x.name),
            { axis },
          ),
          ...typeOf(y),
          lead: 'none',
        };
      }
      const lead = inputs.find((x) => x.lead !== 'none')!.lead;
      if (axis > 0 && inputs.every((x) => x.lead === lead && x.shape[0] === 1)) {
        return {
          name: ctx.emit(
            'Concat',
            inputs.map((x) => x.name),
            { axis },
          ),
          ...typeOf(y),
          lead,
        };
      }
      if (axis === 0 && y.shape.length > 1 && inputs.every((x) => x.lead === lead && x.shape[0] === 1)) {
        // Stored without their first axes: side by side along the next one they have the same order.
        const [n, second, ...rest] = ctx.storage(inputs[0]!.shape, lead) as [number, number, ...number[]];
        const name = ctx.emit(
          'Concat',
          inputs.map((x) => x.name),
          { axis: 1 },
        );
        return ctx.stored(name, [n, inputs.length * second, ...rest], y, lead);
      }
      const parts = inputs.map((x) => ctx.expanded(x, lead));
      const name = ctx.emit('Concat', parts, { axis: axis + 1 });
      return ctx.stored(name, [ctx.leadSize(lead), ...y.shape], y, lead);
    },
  },
} satisfies Record<string, OpRecord>;

function typeOf(y: Value) {
  return { shape: y.shape, dtype: y.dtype };
}

/**
 * The same elements, in order, under another shape; one size may be -1 and follows from the others. Throws a GraphError
 * for another number of elements.
 */
export function reshape(x: Value, shape: Shape): Value {
  const known = shape.reduce((size, d) => (d === -1 ? size : size * d), 1);
  const to = shape.map((d) => (d === -1 ? sizeOf(x.shape) / known : d));
  if (sameShape(x.shape, to)) return x;
  return apply(shapeOps.Reshape, [x], { shape: to });
}

/**
 * Axis i of the result is axis perm[i] of x; by default the axes in reverse (ONNX Transpose). Throws a GraphError where
 * `perm` permutes no such axes.
 */
export function transpose(x: Value, perm: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i)): Value {
  if (perm.length === x.shape.length && perm.every((p, i) => p === i)) return x;
  return apply(shapeOps.Transpose, [x], { perm });
}

/**
 * Elements start..end-1 of one axis, every `step`-th; negative numbers count from the end. Throws a GraphError for an
 * axis x does not have.
 */
export function slice(x: Value, axis: number, start: number, end: number, step = 1): Value {
  const a = normaliseAxis(axis, x.shape.length);
  if (a === undefined) throw new GraphError(`Slice: axis ${axis} of a value of shape ${shapeText(x.shape)}`);
  const d = x.shape[a]!;
  const from = start < 0 ? start + d : start;
  const to = end < 0 ? end + d : Math.min(end, d);
  const size = Math.max(0, Math.ceil((to - from) / step));
  return sliceRaw(
    x,
    x.shape.map((_, i) => (i === a ? from : 0)),
    x.shape.map((s, i) => (i === a ? size : s)),
    x.shape.map((_, i) => (i === a ? step : 1)),
  );
}

/** All axes at once: elements starts[a] + k·steps[a], k < sizes[a]. Steps may be negative. */
export function sliceRaw(x: Value, starts: readonly number[], sizes: Shape, steps: readonly number[]): Value {
  if (sameShape(sizes, x.shape) && starts.every((s) => s === 0) && steps.every((s) => s === 1)) return x;
  return apply(shapeOps.Slice, [x], { starts, sizes, steps });
}

/** The order of elements reversed along these axes, from 0; of the shape of x. */
export function flip(x: Value, axes: readonly number[]): Value {
  return sliceRaw(
    x,
    x.shape.map((d, a) => (axes.includes(a) ? d - 1 : 0)),
    x.shape,
    x.shape.map((_, a) => (axes.includes(a) ? -1 : 1)),
  );
}

/** Zeros of `shape` with the elements of x at starts[a] + k·steps[a]: the adjoint of sliceRaw. */
export function place(x: Value, shape: Shape, starts: readonly number[], steps: readonly number[]): Value {
  if (sameShape(shape, x.shape) && steps.every((s) => s === 1)) return x;
  return apply(shapeOps.Place, [x], { shape, starts, steps });
}

/** What was placed among zeros and where, for steps of one; undefined for anything else. */
export function placed(
  v: Value,
): { readonly x: Value; readonly starts: readonly number[]; readonly steps: readonly number[] } | undefined {
  if (v.source.kind !== 'node' || v.source.op !== shapeOps.Place) return undefined;
  const [starts, steps] = [list(v.source.attrs, 'starts'), list(v.source.attrs, 'steps')];
  return steps.every((s) => s === 1) ? { x: v.source.inputs[0]!, starts, steps } : undefined;
}

/** x with `before[a]` zeros before axis a and `after[a]` behind it. */
export function zeroPad(x: Value, before: readonly number[], after: readonly number[]): Value {
  const shape = x.shape.map((d, a) => before[a]! + d + after[a]!);
  return place(
    x,
    shape,
    before,
    x.shape.map(() => 1),
  );
}

/**
 * Values behind each other along an axis, negative from the end (ONNX Concat). Throws a GraphError where their other
 * sizes differ.
 */
export function concat(parts: readonly Value[], axis: number): Value {
  const [first] = parts;
  if (!first) throw new GraphError('Concat: no operands');
  const a = normaliseAxis(axis, first.shape.length);
  if (a === undefined) throw new GraphError(`Concat: axis ${axis} of a value of shape ${shapeText(first.shape)}`);
  // What is empty along the axis adds nothing.
  const full = parts.filter((x) => x.shape[a] !== 0 || x.shape.length !== first.shape.length);
  if (full.length === 0) return first;
  return full.length === 1 ? full[0]! : apply(shapeOps.Concat, full, { axis: a });
}

/** `count` consecutive pieces of equal size along an axis. Throws a GraphError where its size is not divisible. */
export function split(x: Value, count: number, axis: number): Value[] {
  const a = normaliseAxis(axis, x.shape.length);
  if (a === undefined || x.shape[a]! % count !== 0) {
    throw new GraphError(`split: axis ${axis} of ${shapeText(x.shape)} into ${count} equal parts`);
  }
  const size = x.shape[a]! / count;
  return Array.from({ length: count }, (_, i) => slice(x, a, i * size, (i + 1) * size));
}
