// Normalisation to mean 0 and variance 1 within one example: what layer, instance and group normalisation have in
// common.

import { GraphError } from '../errors.ts';
import type { Attrs, Lead, Lowered, Lowering, OpRecord, Value, ValueType } from '../graph/index.ts';
import { ndarray } from '../tensor/ndarray.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { div, mul, square, sub } from './elementwise.ts';
import { expand } from './expand.ts';
import { reduceSum } from './reduce.ts';
import { reshape } from './shape.ts';

/**
 * Statistics are taken over axis `first` and all after it, apart for each place along the axes before. Axis `first` is
 * split into `groups` equal parts with statistics of their own.
 */
interface NormaliseAttrs extends Attrs {
  readonly first: number;
  readonly groups: number;
  readonly epsilon: number;
}

const attrsOf = (attrs: Attrs): NormaliseAttrs => attrs as NormaliseAttrs;

/** [rows, groups, length]: what is normalised together stands together. */
function blocks(x: Shape, { first, groups }: NormaliseAttrs): [number, number, number] {
  return [sizeOf(x.slice(0, first)), groups, sizeOf(x.slice(first)) / groups];
}

function moments(x: Float64Array, start: number, length: number): { mean: number; variance: number } {
  const part = x.subarray(start, start + length);
  const mean = part.reduce((s, v) => s + v, 0) / length;
  return { mean, variance: part.reduce((s, v) => s + (v - mean) ** 2, 0) / length };
}

function check(name: string, x: Shape, a: NormaliseAttrs): void {
  if (!(a.first >= 0 && a.first < x.length) || x[a.first]! % a.groups !== 0) {
    throw new GraphError(`${name}: ${shapeText(x)} from axis ${a.first} on in ${a.groups} groups`);
  }
}

export const normaliseOps: Record<'Normalise' | 'InverseStd', OpRecord> = {
  // (x − mean) / sqrt(variance + ε)
  Normalise: {
    name: 'Normalise',
    type: ([x], attrs) => {
      check('Normalise', x!.shape, attrsOf(attrs));
      return { shape: x!.shape, dtype: 'float' };
    },
    evaluate: ([x], attrs, out) => {
      const [rows, groups, length] = blocks(out.shape, attrsOf(attrs));
      const y = ndarray(out.shape);
      for (let start = 0; start < rows * groups * length; start += length) {
        const { mean, variance } = moments(x!.data, start, length);
        const scale = 1 / Math.sqrt(variance + attrsOf(attrs).epsilon);
        for (let i = start; i < start + length; i++) y.data[i] = (x!.data[i]! - mean) * scale;
      }
      return y;
    },
    // dX = (dY − mean(dY) − y · mean(dY · y)) / std
    gradient: (dY, node, y) => {
      const a = attrsOf(node.attrs);
      const [, , length] = blocks(y.shape, a);
      const scale = spread(apply(normaliseOps.InverseStd, [node.inputs[0]!], a), y.shape, a);
      const mean = (v: Value) => spread(div(perBlock(v, a), length), y.shape, a);
      const along = sub(mul(dY, scale), mul(y, mul(scale, mean(mul(dY, y)))));
      return [sub(along, mul(scale, mean(dY)))];
    },
    lower: (ctx, [x], node, y) => {
      const { name, dims } = normalised(ctx, x!, attrsOf(node.attrs));
      return fromRows(ctx, name, dims, y, x!.lead);
    },
  },

  // 1 / sqrt(variance + ε), of shape [...axes before `first`, groups]
  InverseStd: {
    name: 'InverseStd',
    type: ([x], attrs) => {
      const a = attrsOf(attrs);
      check('InverseStd', x!.shape, a);
      return { shape: [...x!.shape.slice(0, a.first), a.groups], dtype: 'float' };
    },
    evaluate: ([x], attrs, out) => {
      const a = attrsOf(attrs);
      const [, , length] = blocks(x!.shape, a);
      const y = ndarray(out.shape);
      y.data.forEach((_, k) => {
        y.data[k] = 1 / Math.sqrt(moments(x!.data, k * length, length).variance + a.epsilon);
      });
      return y;
    },
    // ∂(v + ε)^(−1/2) / ∂x = −(v + ε)^(−3/2) (x − mean) / length = −y² · normalised x / length
    gradient: (dY, node, y) => {
      const a = attrsOf(node.attrs);
      const x = node.inputs[0]!;
      const [, , length] = blocks(x.shape, a);
      const share = spread(mul(mul(dY, square(y)), -1 / length), x.shape, a);
      return [mul(share, apply(normaliseOps.Normalise, [x], a))];
    },
    lower: (ctx, [x], node, y) => {
      const { inverse, dims } = normalised(ctx, x!, attrsOf(node.attrs));
      return fromRows(ctx, inverse, [...dims.slice(0, 2), 1], y, x!.lead);
    },
  },
};

/**
 * The normalised x as [lead · rows, groups, length], and 1 / std as [lead · rows, groups, 1], by one node. The
 * runtime's LayerNormalization keeps the digits of the variance where the mean is large; its InstanceNormalization does
 * not.
 */
function normalised(
  ctx: Lowering,
  x: Lowered,
  a: NormaliseAttrs,
): { name: string; inverse: string; dims: [number, number, number] } {
  const [rows, groups, length] = blocks(x.shape, a);
  const size = ctx.leadSize(x.lead);
  const dims: [number, number, number] = [size * rows, groups, length];
  const flat = ctx.reshape(ctx.full(x), [size, ...x.shape], dims);
  const one = ctx.float(new Float32Array(length).fill(1), [length]);
  const attrs = { axis: -1, epsilon: { float: a.epsilon } };
  const [name, , inverse] = ctx.emitAll('LayerNormalization', [flat, one], attrs, 3) as [string, string, string];
  return { name, inverse, dims };
}

/** A tensor of dimensions `dims`, which start with lead · rows, as the value y. */
function fromRows(ctx: Lowering, name: string, dims: readonly number[], y: ValueType, lead: Lead): Lowered {
  const type = { shape: y.shape, dtype: y.dtype, lead };
  return { ...type, name: ctx.reshape(name, dims, ctx.storage(y.shape, lead)) };
}

/** Sums within what is normalised together, [...axes before `first`, groups]. */
function perBlock(x: Value, a: NormaliseAttrs): Value {
  const before = x.shape.slice(0, a.first);
  const inner = [...x.shape.keys()].slice(a.first + 1);
  const channels = reduceSum(x, inner, true);
  if (a.groups === x.shape[a.first]) return reshape(channels, [...before, a.groups]);
  return reduceSum(reshape(channels, [...before, a.groups, -1]), [a.first + 1]);
}

/** [...axes before `first`, groups] repeated along axis `first` so that it broadcasts against `shape`. */
function spread(v: Value, shape: Shape, a: NormaliseAttrs): Value {
  const before = shape.slice(0, a.first);
  const ones = shape.slice(a.first + 1).map(() => 1);
  if (a.groups === 1 || a.groups === shape[a.first]) return reshape(v, [...before, a.groups, ...ones]);
  const each = shape[a.first]! / a.groups;
  const open = expand(reshape(v, [...before, a.groups, 1]), [...before, a.groups, each]);
  return reshape(open, [...before, shape[a.first]!, ...ones]);
}

/**
 * (x − mean) / sqrt(variance + ε) over axis `first` and all after it, axis `first` in `groups` parts: layer
 * normalisation with one group, instance normalisation with as many as there are channels.
 */
export function normalise(x: Value, first: number, groups: number, epsilon: number): Value {
  return apply(normaliseOps.Normalise, [x], { first, groups, epsilon });
}

/** 1 / sqrt(variance + ε) of what `normalise` takes together, [...axes before `first`, groups]. */
export function inverseStd(x: Value, first: number, groups: number, epsilon: number): Value {
  return apply(normaliseOps.InverseStd, [x], { first, groups, epsilon });
}
