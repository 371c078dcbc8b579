// A parameter's gradient in; along which axes its Fisher metric is kept as factors, and the squared norm in such a
// metric, out.

import type { Arena, Value } from '../graph/index.ts';
import { productCosts } from '../lower/index.ts';
import {
  type Along,
  expand,
  matmul,
  mixedSqNorm,
  mul,
  reshape,
  scalerAlong,
  sqNorm,
  transpose,
  weightedSqNorm,
} from '../ops/index.ts';
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
export type MetricForm = (typeof metricForms)[number];

export const metricForms = ['diagonal', 'kronecker'] as const;

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
  const short = axes.filter((axis) => shape[axis]! <= LONG);
  // A kernel has one matrix, the product of those of its axes: all of them, and not too large a one.
  const mixesKernel = sizeOf(shape.slice(2)) <= LONG;
  const mixed = short.filter((axis) => axis < 2 || mixesKernel);
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
  const all: readonly Along[] = axes.map((axis, k) => ({ axis, root: roots[k]! }));
  const matrices = all.filter(({ axis }) => mixed.includes(axis));
  if (matrices.length === 0 ? isCheaper(gradient, true) : mixesFactors(gradient, matrices)) {
    let made = gradient;
    const rest: Along[] = [];
    for (const along of all) {
      const scaled = scalerAlong(made, along.axis, mixed.includes(along.axis))?.(along.root);
      if (scaled) made = scaled;
      else rest.push(along);
    }
    if (rest.length === 0) return sqNorm(made);
    if (matrices.length > 0) return scaledSqNorm(made, rest, mixed);
  }
  const product = matrices.length === all.length ? ofProduct(gradient, matrices) : undefined;
  return product ? mixedSqNorm(product.value, product.matrices) : scaledSqNorm(gradient, all, mixed);
}

/** A gradient that was only transposed and reshaped, before that, and the matrices along its axes there. */
function ofProduct(gradient: Value, matrices: readonly Along[]) {
  let value = gradient;
  let axes: readonly (number | undefined)[] = matrices.map(({ axis }) => axis);
  while (value.source.kind === 'node' && value.source.op.isometric) {
    const { op, inputs } = value.source;
    const [node, y] = [value.source, value];
    axes = axes.map((axis) => (axis === undefined ? undefined : op.axisBefore?.(node, y, axis)));
    value = inputs[0]!;
  }
  const mixing = productCosts(value)?.mixing;
  if (!mixing || !axes.every((axis) => axis !== undefined)) return undefined;
  return { value, matrices: matrices.map(({ root }, k): Along => ({ axis: axes[k]!, root })), costs: mixing(axes) };
}

/** The same from the gradient itself. */
function scaledSqNorm(gradient: Value, roots: readonly Along[], mixed: readonly number[]): Value {
  const { shape } = gradient;
  const [first, ...others] = roots
    .filter(({ axis }) => !mixed.includes(axis))
    .map(({ axis, root }) => reshape(root, onlyAxis(shape, axis)));
  const matrices = roots.filter(({ axis }) => mixed.includes(axis));
  if (matrices.length === 0)
    return first ? weightedSqNorm(gradient, expand(others.reduce(mul, first), shape)) : sqNorm(gradient);
  return sqNorm(mixedTurned(first ? mul(gradient, others.reduce(mul, first)) : gradient, matrices));
}

/**
 * What is multiplied by matrices along some axes, its elements in another order: the runtime is fast where a matrix
 * meets the first axis or the last, and slow where it does so in many small products in between. The axes of a kernel
 * have one matrix together.
 */
function mixedTurned(v: Value, matrices: readonly Along[]): Value {
  const shape = v.shape;
  const rootAt = (axis: number) => matrices.find((along) => along.axis === axis)?.root;
  let made = v;
  const ofFirst = rootAt(0);
  if (ofFirst) made = matmul(ofFirst, reshape(made, [shape[0]!, -1]));
  const kernel = matrices.filter(({ axis }) => axis >= 2);
  const last = sizeOf(shape.slice(2));
  if (kernel.length > 0) {
    const one = kroneckerOf(v.arena, shape.slice(2), (k) => rootAt(k + 2));
    made = matmul(reshape(made, [-1, last]), transpose(one));
  }
  const ofSecond = rootAt(1);
  if (!ofSecond) return made;
  const second = shape[1]!;
  const turned = last === 1 ? made : transpose(reshape(made, [shape[0]!, second, last]), [0, 2, 1]);
  return matmul(reshape(turned, [-1, second]), transpose(ofSecond));
}

/**
 * The Kronecker product of the matrices along axes of these sizes, [n, n], n their product; of the identity where there
 * is none.
 */
function kroneckerOf(arena: Arena, shape: Shape, rootAt: (axis: number) => Value | undefined): Value {
  return shape.reduce<Value>(
    (product, d, axis) => {
      const n = product.shape[0]!;
      const root = rootAt(axis) ?? arena.constant(identity(d), [d, d]);
      return reshape(mul(reshape(product, [n, 1, n, 1]), reshape(root, [1, d, 1, d])), [n * d, n * d]);
    },
    arena.constant([1], [1, 1]),
  );
}

const identity = (d: number) => Array.from({ length: d * d }, (_, k) => (k % (d + 1) === 0 ? 1 : 0));

const onlyAxis = (shape: Shape, axis: number) => shape.map((d, k) => (k === axis ? d : 1));

/**
 * Whether it takes fewer multiplications to mix what a gradient is the product of, and make that product once more,
 * than to mix the gradient: where there are few positions and many channels.
 */
function mixesFactors(gradient: Value, matrices: readonly Along[]): boolean {
  const costs = productCosts(gradient);
  if (!costs) return false;
  const known = ofProduct(gradient, matrices)?.costs;
  const lengths = (axes: readonly Along[]) => axes.map(({ axis }) => gradient.shape[axis]!);
  const [inside, after] = [true, false].map((wanted) =>
    lengths(matrices.filter(({ axis }) => (scalerAlong(gradient, axis, true) !== undefined) === wanted)),
  ) as [number[], number[]];
  if (inside.length === 0) return false;
  const size = sizeOf(gradient.shape);
  const sum = (all: readonly number[], of: (d: number) => number) => all.reduce((total, d) => total + of(d), 0);
  const mixed = known?.product ?? size * sum([...inside, ...after], (d) => d);
  const ofGradient = mixed + (costs.gram < costs.direct ? costs.direct : 0);
  const factors = known?.factors ?? costs.positions * sum(inside, (d) => d ** 2);
  const ofFactors = factors + size * sum(after, (d) => d);
  const product = after.length > 0 ? costs.direct : Math.min(costs.direct, costs.gram);
  return ofFactors + product < ofGradient;
}
