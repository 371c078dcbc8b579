// Inner products of two values, and squared norms of one in a metric: a diagonal, or Kronecker factors.

import { GraphError } from '../errors.ts';
import type { Attrs, Lowered, Lowering, OpRecord, Value } from '../graph/index.ts';
import { mixedNdarray, ndarray } from '../tensor/ndarray.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { dotsOfRows, dotsWithRow } from './dots.ts';
import { mul } from './elementwise.ts';
import { expand } from './expand.ts';
import { sumOfSquares } from './group.ts';
import { mixedAlong } from './scaled.ts';
import { transpose } from './shape.ts';

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

  // Σ v², v the first operand mixed along each of `axes` by a matrix, the operands behind it.
  MixedSqNorm: {
    name: 'MixedSqNorm',
    type: ([g, ...roots], attrs) => {
      const axes = mixedAxes(attrs);
      const fits = roots.every(({ shape }, k) => sameShape(shape, [g!.shape[axes[k]!]!, g!.shape[axes[k]!]!]));
      if (roots.length !== axes.length || !fits) {
        const found = roots.map(({ shape }) => shapeText(shape)).join(' ');
        throw new GraphError(`MixedSqNorm: ${found} along axes ${axes} of ${shapeText(g!.shape)}`);
      }
      return { shape: [], dtype: 'float' };
    },
    evaluate: ([g, ...roots], attrs, out) => {
      const made = mixedAxes(attrs).reduce((v, axis, k) => mixedNdarray(v, axis, roots[k]!), g!);
      return ndarray(out.shape, [made.data.reduce((sum, v) => sum + v ** 2, 0)]);
    },
    gradient: (dY, node, _y, needs) => {
      const [g, ...roots] = node.inputs as [Value, ...Value[]];
      if (needs.slice(1).some((need) => need)) throw new GraphError('MixedSqNorm: no gradient of what mixes');
      const all = mixedAxes(node.attrs).map((axis, k) => ({ axis, root: roots[k]! }));
      const made = all.reduce((v, { axis, root }) => mixedAlong(v, axis, root), g);
      const dMade = mul(expand(mul(dY, 2), g.shape), made);
      return [all.reduce((v, { axis, root }) => mixedAlong(v, axis, transpose(root)), dMade), ...roots.map(() => null)];
    },
    lower: (ctx, [g, ...roots], node) => {
      const { shape, lead } = g!;
      const n = ctx.leadSize(lead);
      const own = ctx.storage(shape, lead);
      const made = mixedAxes(node.attrs).reduce((name, axis, k) => {
        const [d, after] = [shape[axis]!, sizeOf(shape.slice(axis + 1))];
        const open = [(n * sizeOf(shape)) / (d * after), d, after];
        const mixed = ctx.emit('MatMul', [roots[k]!.name, ctx.reshape(name, own, open)]);
        return ctx.reshape(mixed, open, own);
      }, g!.name);
      return sumOfSquares(ctx, made, { shape, lead });
    },
  },
} satisfies Record<string, OpRecord>;

/** Those of a MixedSqNorm, one for each of its matrices. */
export const mixedAxes = ({ axes }: Attrs): readonly number[] => axes as readonly number[];

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

/** A matrix [d, d] along an axis of d places. */
export interface Along {
  readonly axis: number;
  readonly root: Value;
}

/**
 * Σ v², v what becomes of a value when its slices along each of some axes are mixed by a matrix: slice k by its row k.
 */
export const mixedSqNorm = (g: Value, matrices: readonly Along[]): Value =>
  apply(innerOps.MixedSqNorm, [g, ...matrices.map(({ root }) => root)], { axes: matrices.map(({ axis }) => axis) });
