// A parameter's gradient in; whether its Fisher metric is kept as a row's number times a column's, and the squared norm
// in such a metric, out.

import type { Value } from '../graph/index.ts';
import { productCosts } from '../lower/index.ts';
import { expand, mul, reshape, scalerAlong, sqNorm, weightedSqNorm } from '../ops/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** Two axes of a tensor, ascending. */
export type Axes = readonly [number, number];

/** The metric of a tensor of more elements is factored whatever it costs: a file has no room for a number for each. */
export const LARGE = 2 ** 20;

/** Of tensors of fewer elements a gradient is made as fast as a few small matrix products are. */
const SMALL = 2 ** 15;

/**
 * The axes along which the metric of a parameter with this gradient is factored, F[a, b] ≈ u[a] · v[b] / mean, u and v
 * the means over everything else (Shazeer & Stern 2018 keep squares of gradients so): where the norms then come from
 * Gram matrices and no gradient is made, which takes it with a number for each element; and where there are too many of
 * these. Undefined elsewhere.
 */
export function factoredAxes(gradient: Value): Axes | undefined {
  const { shape } = gradient;
  const size = sizeOf(shape);
  if (size < SMALL) return undefined;
  const isLarge = size > LARGE;
  const long = [...shape.keys()].filter((axis) => shape[axis]! > 1);
  const [a, b, ...more] = long.filter((axis) => scalerAlong(gradient, axis));
  if (a !== undefined && b !== undefined && more.length === 0 && (isLarge || isCheaper(gradient, false))) return [a, b];
  if (!isLarge || long.length < 2) return undefined;
  const [first, second] = long.toSorted((one, other) => shape[other]! - shape[one]!);
  return [Math.min(first!, second!), Math.max(first!, second!)];
}

/**
 * Whether two norms from Gram matrices, the plain one and the scaled, are cheaper than both from the gradient. That of
 * a single position is made for neither: `single` says what it counts as.
 */
function isCheaper(gradient: Value, single: boolean): boolean {
  const costs = productCosts(gradient);
  if (!costs) return false;
  return costs.single ? single : 2 * costs.gram < costs.direct;
}

/** Σ (u[a] v[b] g[a, b, …])², u and v vectors along two axes of the gradient: without it where that is cheaper. */
export function factoredSqNorm(gradient: Value, [a, b]: Axes, u: Value, v: Value): Value {
  if (isCheaper(gradient, true)) {
    const once = scalerAlong(gradient, a)?.(u);
    const scaled = once && scalerAlong(once, b)?.(v);
    if (scaled) return sqNorm(scaled);
  }
  const along = (vector: Value, axis: number) => {
    const shape = gradient.shape.map((d, k) => (k === axis ? d : 1));
    return reshape(vector, shape);
  };
  return weightedSqNorm(gradient, expand(mul(along(u, a), along(v, b)), gradient.shape));
}
