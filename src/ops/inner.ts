// Inner products of two values, and squared norms of one in a diagonal metric.

import { GraphError } from '../errors.ts';
import type { Lowered, Lowering, OpRecord, Value } from '../graph/index.ts';
import { ndarray } from '../tensor/ndarray.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { dotsOfRows, dotsWithRow } from './dots.ts';
import { mul } from './elementwise.ts';
import { expand } from './expand.ts';
import { sumOfSquares } from './group.ts';

export const innerOps = {
  // Σ a·b, a scalar.
  Inner: {
    name: 'Inner',
    type: (inputs) => scalarOf('Inner', inputs),
    evaluate: ([a, b], _attrs, out) => ndarray(out.shape, [a!.data.reduce((sum, x, k) => sum + x * b!.data[k]!, 0)]),
    gradient: (dY, node) => {
      const [a, b] = node.inputs as [Value, Value];
      const dAll = expand(dY, a.shape);
      return [mul(dAll, b), mul(dAll, a)];
    },
    lower: (ctx, [a, b]) => lowerInner(ctx, a!, b!),
  },

  // Σ (r·a)², a scalar: the roots of the weights keep small numbers from being squared before they are weighed.
  WeightedSqNorm: {
    name: 'WeightedSqNorm',
    type: (inputs) => scalarOf('WeightedSqNorm', inputs),
    evaluate: ([a, r], _attrs, out) =>
      ndarray(out.shape, [a!.data.reduce((sum, x, k) => sum + (r!.data[k]! * x) ** 2, 0)]),
    gradient: (dY, node) => {
      const [a, r] = node.inputs as [Value, Value];
      const dAll = mul(expand(mul(dY, 2), a.shape), mul(a, r));
      return [mul(dAll, r), mul(dAll, a)];
    },
    lower: (ctx, [a, r], node) => {
      const { names, lead } = ctx.aligned([a!, r!], node.inputs[0]!.shape);
      return sumOfSquares(ctx, ctx.emit('Mul', names), { shape: a!.shape, lead });
    },
  },
} satisfies Record<string, OpRecord>;

function scalarOf(name: string, [a, b]: readonly { shape: readonly number[] }[]) {
  if (!sameShape(a!.shape, b!.shape))
    throw new GraphError(`${name}: ${shapeText(a!.shape)} and ${shapeText(b!.shape)}`);
  return { shape: [], dtype: 'float' } as const;
}

function lowerInner(ctx: Lowering, a: Lowered, b: Lowered): Lowered {
  const size = sizeOf(a.shape);
  const lead = a.lead === 'none' ? b.lead : a.lead;
  const n = ctx.leadSize(lead);
  const flat = (x: Lowered) => ctx.reshape(x.name, ctx.storage(x.shape, x.lead), [ctx.leadSize(x.lead), size]);
  const sums = () => {
    if (b.lead !== 'none' && a.lead !== 'none') {
      return ctx.reshape(dotsOfRows(ctx, flat(a), flat(b), [n, size]), [n, 1], [n]);
    }
    const [rows, row] = a.lead === 'none' ? [b, a] : [a, b];
    return dotsWithRow(ctx, flat(row), flat(rows), n);
  };
  return { name: ctx.reshape(sums(), [n], lead === 'none' ? [] : [n]), shape: [], dtype: 'float', lead };
}

/** Σ a·b of two values of one shape, []. Throws a GraphError for two shapes. */
export const inner = (a: Value, b: Value): Value => apply(innerOps.Inner, [a, b]);

/** Σ (r·a)² of two values of one shape: the squared norm of a where r² are the weights. */
export const weightedSqNorm = (a: Value, r: Value): Value => apply(innerOps.WeightedSqNorm, [a, r]);
