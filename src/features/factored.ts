// A parameter's gradient in; along which axes its Fisher metric is kept as factors, and the squared norm in such a
// metric, out.

import type { Value } from '../graph/index.ts';
import { productCosts } from '../lower/index.ts';
import { expand, mixedAlong, mul, reshape, scalerAlong, sqNorm, weightedSqNorm } from '../ops/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';

/** Axes of a tensor along which its metric has a factor each, ascending. */
export interface Factors {
  readonly axes: readonly number[];
  /** Those of them whose factor is a matrix; along the others it is a number for each place. */
  readonly mixed?: readonly number[] | undefined;
}

/**
 * What is kept of the Fisher matrix of each tensor. `diagonal`: a number for each element, or factors where that is
 * cheaper. `kronecker`: matrices along its axes, whose Kronecker product the matrix is taken for.
 */
export type MetricForm = 'diagonal' | 'kronecker';

/** The metric of a tensor of more elements is factored whatever it costs: a file has no room for a number for each. */
export const LARGE = 2 ** 20;

/** Of tensors of fewer elements a gradient is made as fast as a few small matrix products are. */
const SMALL = 2 ** 15;

/** Axes of more places have no matrix: it would be known from too few examples, and fill the file. */
export const LONG = 256;

/** How the metric of a parameter with this gradient is factored. Undefined where it has a number for each element. */
export function factorsOf(gradient: Value, form: MetricForm): Factors | undefined {
  const { shape } = gradient;
  const axes = [...shape.keys()].filter((axis) => shape[axis]! > 1);
  const mixed = axes.filter((axis) => shape[axis]! <= LONG);
  if (form === 'kronecker' && mixed.length > 0 && sizeOf(shape) <= LARGE) return { axes, mixed };
  const two = diagonalAxes(gradient);
  return two && { axes: two };
}

/**
 * The axes along which a diagonal metric is factored, F[a, b] ≈ u[a] · v[b] / mean, u and v the means over everything
 * else (Shazeer & Stern 2018 keep squares of gradients so): where the norms then come from Gram matrices and no
 * gradient is made, which takes it with a number for each element; and where there are too many of these.
 */
function diagonalAxes(gradient: Value): readonly [number, number] | undefined {
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

/**
 * The squared norm of a gradient that is multiplied, along each of the axes, by the vector or matrix of roots there:
 * without that gradient where that is cheaper.
 */
export function factoredSqNorm(gradient: Value, { axes, mixed = [] }: Factors, roots: readonly Value[]): Value {
  const vectors = axes.flatMap((axis, k) => (mixed.includes(axis) ? [] : [{ axis, root: roots[k]! }]));
  const matrices = axes.flatMap((axis, k) => (mixed.includes(axis) ? [{ axis, root: roots[k]! }] : []));
  if (matrices.length === 0 ? isCheaper(gradient, true) : mixesFactors(gradient, matrices)) {
    let [made, all] = [gradient, true];
    const rest: { readonly axis: number; readonly root: Value }[] = [];
    for (const along of [...matrices, ...vectors]) {
      const scaled = scalerAlong(made, along.axis, mixed.includes(along.axis))?.(along.root);
      all &&= scaled !== undefined;
      if (scaled) made = scaled;
      else rest.push(along);
    }
    if (all) return sqNorm(made);
    if (matrices.length > 0) return scaledSqNorm(made, rest, mixed);
  }
  return scaledSqNorm(gradient, [...matrices, ...vectors], mixed);
}

/** The same from the gradient itself. */
function scaledSqNorm(
  gradient: Value,
  roots: readonly { readonly axis: number; readonly root: Value }[],
  mixed: readonly number[],
): Value {
  const { shape } = gradient;
  const isMixed = ({ axis }: { readonly axis: number }) => mixed.includes(axis);
  const made = roots.filter(isMixed).reduce((g, { axis, root }) => mixedAlong(g, axis, root), gradient);
  const [first, ...others] = roots
    .filter((along) => !isMixed(along))
    .map(({ axis, root }) => reshape(root, onlyAxis(shape, axis)));
  if (!first) return sqNorm(made);
  return weightedSqNorm(made, expand(others.reduce(mul, first), shape));
}

const onlyAxis = (shape: Shape, axis: number) => shape.map((d, k) => (k === axis ? d : 1));

/**
 * Whether it takes fewer multiplications to mix what a gradient is the product of, and make that product once more,
 * than to mix the gradient: where there are few positions and many channels.
 */
function mixesFactors(gradient: Value, matrices: readonly { readonly axis: number }[]): boolean {
  const costs = productCosts(gradient);
  if (!costs) return false;
  const lengths = (axes: readonly { readonly axis: number }[]) => axes.map(({ axis }) => gradient.shape[axis]!);
  const [inside, after] = [true, false].map((wanted) =>
    lengths(matrices.filter(({ axis }) => (scalerAlong(gradient, axis, true) !== undefined) === wanted)),
  ) as [number[], number[]];
  if (inside.length === 0) return false;
  const size = sizeOf(gradient.shape);
  const sum = (all: readonly number[], of: (d: number) => number) => all.reduce((total, d) => total + of(d), 0);
  const ofGradient = size * sum([...inside, ...after], (d) => d) + (costs.gram < costs.direct ? costs.direct : 0);
  const ofFactors = costs.positions * sum(inside, (d) => d ** 2) + size * sum(after, (d) => d);
  const product = after.length > 0 ? costs.direct : Math.min(costs.direct, costs.gram);
  return ofFactors + product < ofGradient;
}
