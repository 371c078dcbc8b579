// Repetition of every element along axes (nearest-neighbour upsampling by whole factors) and its adjoint, sums over
// blocks.

import { GraphError } from '../errors.ts';
import type { Attrs, Lowered, Lowering, OpRecord, Value } from '../graph/index.ts';
import { ndarray, walk } from '../tensor/ndarray.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';

const factorsOf = (attrs: Attrs): readonly number[] => attrs.factors as readonly number[];

/** Strides of the small array for a walk over the large one, every axis split into [d, factor]. */
function blockStrides(small: Shape): number[] {
  return small.flatMap((_, a) => [sizeOf(small.slice(a + 1)), 0]);
}

const split = (small: Shape, factors: readonly number[]) => small.flatMap((d, a) => [d, factors[a]!]);

export const resampleOps: Record<'Repeat' | 'BlockSum', OpRecord> = {
  // y[i] = x[floor(i / factor)] along every axis.
  Repeat: {
    name: 'Repeat',
    type: ([x], attrs) => ({ shape: x!.shape.map((d, a) => d * factorsOf(attrs)[a]!), dtype: 'float' }),
    evaluate: ([x], attrs, out) => {
      const y = ndarray(out.shape);
      walk(split(x!.shape, factorsOf(attrs)), [blockStrides(x!.shape)], (i, [from]) => {
        y.data[i] = x!.data[from!]!;
      });
      return y;
    },
    gradient: (dY, node) => [blockSum(dY, factorsOf(node.attrs))],
    lower: (ctx, [x], node, y) => {
      const { name, dims, scales } = asImages(ctx, x!, factorsOf(node.attrs));
      const attrs = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
      const large = ctx.emit('Resize', [name, '', ctx.float(scales, [scales.length])], attrs);
      const to = dims.map((d, a) => d * scales[a]!);
      const shape = ctx.storage(y.shape, x!.lead);
      return { name: ctx.reshape(large, to, shape), shape: y.shape, dtype: y.dtype, lead: x!.lead };
    },
  },

  // y[j] = Σ x[i] over the block j · factor ≤ i < (j + 1) · factor along every axis.
  BlockSum: {
    name: 'BlockSum',
    type: ([x], attrs) => {
      const factors = factorsOf(attrs);
      if (x!.shape.some((d, a) => d % factors[a]! !== 0)) {
        throw new GraphError(`BlockSum: ${shapeText(x!.shape)} in blocks of ${shapeText(factors)}`);
      }
      return { shape: x!.shape.map((d, a) => d / factors[a]!), dtype: 'float' };
    },
    evaluate: ([x], attrs, out) => {
      const y = ndarray(out.shape);
      walk(split(out.shape, factorsOf(attrs)), [blockStrides(out.shape)], (i, [to]) => {
        y.data[to!]! += x!.data[i]!;
      });
      return y;
    },
    gradient: (dY, node) => [repeatEach(dY, factorsOf(node.attrs))],
    lower: (ctx, [x], node, y) => {
      const { name, dims, scales } = asImages(ctx, x!, factorsOf(node.attrs));
      const to = dims.map((d, a) => d / scales[a]!);
      const sum =
        scales[0] === 1 && scales[1] === 1 && scales.length === 4
          ? pooled(ctx, name, scales.slice(2))
          : reduced(ctx, name, to, scales);
      const shape = ctx.storage(y.shape, x!.lead);
      return { name: ctx.reshape(sum, to, shape), shape: y.shape, dtype: y.dtype, lead: x!.lead };
    },
  },
};

/**
 * The mean of blocks times their size: ONNX Runtime's pooling is several times faster than its sums over inner axes.
 */
function pooled(ctx: Lowering, name: string, block: readonly number[]): string {
  const mean = ctx.emit('AveragePool', [name], { kernel_shape: block, strides: block });
  return ctx.emit('Mul', [mean, ctx.float(sizeOf(block))]);
}

function reduced(ctx: Lowering, name: string, to: Shape, scales: readonly number[]): string {
  const dims = to.map((d, a) => d * scales[a]!);
  const open = ctx.reshape(name, dims, split(to, scales));
  return ctx.emit('ReduceSum', [open, ctx.ints(to.map((_, a) => 2 * a + 1))], { keepdims: 0 });
}

/** x as [rows, 1, h, w] where at most the last two axes have factors: what ONNX Runtime has fast kernels for. */
function asImages(
  ctx: Lowering,
  x: Lowered,
  factors: readonly number[],
): { readonly name: string; readonly dims: Shape; readonly scales: readonly number[] } {
  const full = [ctx.leadSize(x.lead), ...x.shape];
  const first = factors.findIndex((f) => f > 1);
  const tail = first < 0 ? [] : x.shape.slice(first);
  if (tail.length > 2) return { name: ctx.full(x), dims: full, scales: [1, ...factors] };
  const inner = [...new Array<number>(2 - tail.length).fill(1), ...tail];
  const ones = new Array<number>(4 - tail.length).fill(1);
  // Channels stay an axis of their own where there are some: the runtime's blocked layout is by channels.
  const channels = x.shape.length - tail.length > 0 && first > 0 ? x.shape[first - 1]! : 1;
  const dims = [sizeOf(full) / (channels * sizeOf(inner)), channels, ...inner];
  return {
    name: ctx.reshape(ctx.full(x), full, dims),
    dims,
    scales: [...ones, ...(first < 0 ? [] : factors.slice(first))],
  };
}

/** Every element `factors[a]` times along axis a: nearest-neighbour upsampling. */
export function repeatEach(x: Value, factors: readonly number[]): Value {
  return factors.every((f) => f === 1) ? x : apply(resampleOps.Repeat, [x], { factors });
}

/** Sums over blocks of `factors[a]` elements along axis a: average pooling without the division. */
export function blockSum(x: Value, factors: readonly number[]): Value {
  return factors.every((f) => f === 1) ? x : apply(resampleOps.BlockSum, [x], { factors });
}
