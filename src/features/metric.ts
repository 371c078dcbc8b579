// A model and in-distribution data in; moments of its gradients, the diagonal or Kronecker factors of its empirical
// Fisher matrix, and the metric that they make, out.

import { CholeskyDecomposition, inverse, Matrix } from 'ml-matrix';
import type { Dataset } from '../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../engine/index.ts';
import { nameOf, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import { groupSum, matmul, reshape, rewrite, squaresAlong, transpose } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { type Factors, factorsOf, LARGE, type MetricForm } from './factored.ts';
import { learnedGradients } from './gradients.ts';
import { asModelTakes, type InputOptions, modelAt } from './inputs.ts';
import { factorName, metricName } from './metric-name.ts';
import { oddExamplesOf } from './odd-examples.ts';
import { withRanges } from './ranges.ts';

/** Of one parameter: the mean square of each element of the gradient, of the parameter's shape. */
interface Squares {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * Of one parameter whose metric is factored, for each of its axes: the mean squares of the gradient for each place,
 * [d]; of those that are mixed the mean products of each two places, [d, d].
 */
interface FactoredSquares {
  readonly shape: Shape;
  readonly axes: readonly number[];
  readonly mixed: readonly number[];
  readonly means: readonly Float64Array[];
  /** That the means are over. */
  readonly examples: number;
}

/** By parameter name. */
export type Diagonal = Readonly<Record<string, Squares | FactoredSquares>>;

export interface DiagonalOptions extends InputOptions {
  readonly runtime: Runtime;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number;
  /** Bytes that a run may take. Default: 1 GiB. */
  readonly memory?: number;
  readonly threads?: number;
  /** Default: 'diagonal'. */
  readonly form?: MetricForm | undefined;
  readonly onProgress?: (examples: number, of: number) => void;
  /**
   * Hears of every example that is left out since what it gives is not finite, by its place in the data, as it is met.
   * Without it such examples are refused.
   */
  readonly onNotFinite?: ((example: number) => void) | undefined;
}

/**
 * F_k = mean over the examples of g_k², g the gradient of one example's loss in nats: the diagonal of the Fisher matrix
 * as data of the learned kind have it; of parameters whose metric is factored (`factorsOf`) its means along axes, or,
 * of the form `kronecker`, the mean of g gᵀ along each. Draws are keyed by content. Whole gradients of a batch are in
 * memory, but for tensors of more than a million elements. Throws a ModelError where the loss depends on no parameter,
 * and a DataError where none is left of the examples, or where a loss or gradient is not finite and nobody hears of it
 * (`onNotFinite`).
 */
export async function fisherDiagonal(model: ScoringModel, given: Dataset, options: DiagonalOptions): Promise<Diagonal> {
  const data = asModelTakes(model, given, options);
  const { runtime, memory, threads, seed = 0, form = 'diagonal' } = options;
  await model.batchLoss?.({ runtime, threads });
  const loss = modelAt(model, data.shapes).loss();
  const learned = learnedGradients(loss).map((one) => accumulated(one, form));
  const outputs = Object.fromEntries(
    learned.flatMap(({ parts }, j) => parts.map(({ value }, k): [string, Value] => [`g${j}.${k}`, value])),
  );
  const { graph, check } = withRanges(
    { arena: loss.arena, outputs: { loss: groupSum(rewrite(loss)), ...outputs } },
    loss,
  );
  const program = openProgram(graph, { runtime, weights: model.weights, memory, threads });
  const size = program.sizeFor(data.length);
  const odd = oddExamplesOf(data, options.onNotFinite);
  try {
    for await (const { batch, count } of inRuns(data, size)) {
      const results = await program.run(program.feeds(batch, { group: 1 }, seed), size);
      check(results, count, data.name, batch.start);
      const gradients = learned.map(({ parts }, j) => parts.map((_, k) => results[`g${j}.${k}`]!.data as Float32Array));
      const finite = odd.finite(batch.start, count, [
        { what: 'the loss', values: results.loss!.data as Float32Array, width: 1 },
        ...learned.flatMap(({ name, parts }, j) =>
          parts.map(({ width }, k) => ({ what: `the gradient of '${name}'`, values: gradients[j]![k]!, width })),
        ),
      ]);
      for (const [j, { parts }] of learned.entries()) {
        for (const [k, { add }] of parts.entries()) add(gradients[j]![k]!, finite);
      }
      options.onProgress?.(batch.start + count, data.length);
    }
  } finally {
    await program.dispose();
  }
  const n = await odd.left();
  return Object.fromEntries(learned.map(({ name, squares }) => [name, squares(n)]));
}

/** Takes these rows of an output, or the one row of what no example changes as often. */
type AddRows = (output: Float32Array, rows: readonly number[]) => void;

/** What is read of one parameter's gradient, and what becomes of it. */
interface Accumulated {
  readonly name: string;
  readonly parts: readonly { readonly value: Value; readonly width: number; readonly add: AddRows }[];
  readonly squares: (examples: number) => Squares | FactoredSquares;
}

function accumulated(
  { param, gradient }: { readonly param: Value; readonly gradient: Value },
  form: MetricForm,
): Accumulated {
  const name = nameOf(param);
  const { shape } = param;
  const factors = factorsOf(gradient, form);
  const size = sizeOf(shape);
  if (!factors || (size <= LARGE && !factors.mixed)) {
    const sum = new Float64Array(size);
    const add: AddRows = (output, rows) => addRows(sum, output, rows, (v) => v ** 2);
    const squares = (n: number): Squares | FactoredSquares => {
      const data = sum.map((v) => v / n);
      if (!factors) return { shape, data };
      const means = factors.axes.map((axis) => meansAlong(data, shape, axis));
      return { shape, axes: factors.axes, mixed: [], means, examples: n };
    };
    return { name, parts: [{ value: gradient, width: size, add }], squares };
  }
  const { axes, mixed = [] } = factors;
  // The products along the axes of a kernel are traces of those of its elements.
  const ofKernel = mixed.filter((axis) => axis >= 2);
  const kernel = ofKernel.length > 1 ? shape.slice(2) : undefined;
  const single = kernel ? axes.filter((axis) => axis < 2) : axes;
  const values = single.map((axis) =>
    mixed.includes(axis) ? productsAlong(gradient, axis) : squaresAlong(gradient, axis),
  );
  if (kernel) values.push(productsOfLast(reshape(gradient, [-1, sizeOf(kernel)])));
  const parts = values.map((value) => {
    const sum = new Float64Array(sizeOf(value.shape));
    const add: AddRows = (output, rows) => addRows(sum, output, rows, (v) => v);
    return { value: groupSum(value), width: sum.length, add, sum };
  });
  const squares = (n: number) => {
    const sums = parts.map(({ sum }) => sum);
    const ofAxes = kernel ? [...sums.slice(0, -1), ...tracesOf(sums.at(-1)!, kernel)] : sums;
    const means = ofAxes.map((sum, k) => sum.map((v) => (v / n / size) * shape[axes[k]!]!));
    return { shape, axes, mixed, means, examples: n };
  };
  return { name, parts, squares };
}

/** G Gᵀ, [d, d], where the rows of G are the slices of one example's value along an axis. */
function productsAlong(v: Value, axis: number): Value {
  const others = [...v.shape.keys()].filter((k) => k !== axis);
  const slices = reshape(transpose(v, [axis, ...others]), [v.shape[axis]!, -1]);
  return matmul(slices, transpose(slices));
}

/** Gᵀ G, [d, d], of a matrix G [m, d]. */
const productsOfLast = (v: Value): Value => matmul(transpose(v), v);

/**
 * Of sums of products [n, n] of the elements of a kernel, row-major, those along each of its axes of more than one
 * place, [d, d]: elements that differ along another axis do not count.
 */
function tracesOf(sums: Float64Array, kernel: Shape): Float64Array[] {
  const n = sizeOf(kernel);
  return [...kernel.keys()].flatMap((axis) => {
    const [d, stride] = [kernel[axis]!, sizeOf(kernel.slice(axis + 1))];
    if (d === 1) return [];
    const traces = new Float64Array(d * d);
    for (let e = 0; e < n; e++) {
      const at = Math.floor(e / stride) % d;
      for (let l = 0; l < d; l++) traces[at * d + l]! += sums[e * n + e + (l - at) * stride]!;
    }
    return [traces];
  });
}

/** Adds up rows of an output, number by number. */
function addRows(sum: Float64Array, output: Float32Array, rows: readonly number[], of: (v: number) => number): void {
  const size = sum.length;
  const each = output.length === size ? 0 : size; // a gradient that no example changes comes once
  for (const i of rows) {
    for (let k = 0; k < size; k++) sum[k]! += of(output[i * each + k]!);
  }
}

/** Means over all axes but one. */
function meansAlong(values: Float64Array, shape: Shape, axis: number): Float64Array {
  const d = shape[axis]!;
  const inner = sizeOf(shape.slice(axis + 1));
  const means = new Float64Array(d);
  for (const [k, v] of values.entries()) means[Math.floor(k / inner) % d]! += v;
  return means.map((sum) => (sum * d) / values.length);
}

/** What the view `fisher` measures by. */
export interface Metric {
  /** SHA-256 of the weights. */
  readonly hash: string;
  /** Roots of the weights, by the names that the graph of the norms takes them by. */
  readonly roots: Weights;
  /** The parameters whose metric is factored, by name: their shape, and the axes that have roots each. */
  readonly factored: Readonly<Record<string, Factored>>;
}

/**
 * The metric of a parameter as a vector or a matrix of roots along each of some axes: what multiplies a gradient before
 * its norm is taken.
 */
export interface Factored extends Factors {
  readonly shape: Shape;
}

/** Where the diagonal is far below its mean in the tensor, the few examples it was taken from do not tell how far. */
const DAMPING = 1e-3;

/**
 * w_k = 1 / (F_k + 10⁻³ · mean F), the mean over the tensor: a gradient's squared length in units of what is usual for
 * each of its elements. With one number for all of a tensor's elements it would be the paper's metric. Where it is
 * factored w[a, b] = mean F / ((u[a] + 10⁻³ · mean F) (v[b] + 10⁻³ · mean F)); with a matrix M along an axis in place
 * of u, its inverse (M + λ · mean F · I)⁻¹ in place of the reciprocals, λ = `matrixDamping`. A tensor whose diagonal is
 * 0 throughout has w = 0.
 */
export function metricOf(diagonal: Diagonal): Metric {
  const hash = host().sha256();
  const roots: Record<string, { shape: Shape; data: Float32Array }> = {};
  const factored: Record<string, Factored> = {};
  const keep = (name: string, shape: Shape, data: Float32Array) => {
    hash.update(`${name} ${shape.join()}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    roots[name] = { shape, data };
  };
  for (const [name, squares] of Object.entries(diagonal)) {
    const { shape } = squares;
    if ('axes' in squares) {
      const { axes, mixed, means, examples } = squares;
      factored[name] = { shape, axes, ...(mixed.length > 0 ? { mixed } : {}) };
      // Each has its share of mean F, so that none leaves float32 before their product does.
      const power = (axes.length - 1) / (2 * axes.length);
      for (const [k, axis] of axes.entries()) {
        const d = shape[axis]!;
        if (mixed.includes(axis)) {
          const slices = (examples * sizeOf(shape)) / d;
          keep(factorName(name, axis), [d, d], whitening(means[k]!, d, power, matrixDamping(d, slices)));
        } else keep(factorName(name, axis), [d], rootsOf(means[k]!, power));
      }
    } else keep(metricName(name), shape, rootsOf(squares.data, 0));
  }
  return { hash: hash.digest(), roots, factored };
}

/** mean^`power` / √(v + 10⁻³ · mean); 0 for zeros. */
function rootsOf(values: Float64Array, power: number): Float32Array {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return Float32Array.from(values, (v) => (mean > 0 ? mean ** power / Math.sqrt(v + DAMPING * mean) : 0));
}

/**
 * Of a matrix [d, d] that is the mean over so many slices: where there are few, directions in which they do not happen
 * to lie are not as short as they look.
 */
const matrixDamping = (d: number, slices: number): number => 1e-4 + (0.01 * d) / slices;

/**
 * mean^`power` · C⁻¹ with C Cᵀ = M + `damping` · mean · I, the mean that of M's diagonal: what it makes of a vector has
 * the squared length of that vector in the metric M⁻¹. Lower triangular; zeros for zeros.
 */
function whitening(moments: Float64Array, d: number, power: number, damping: number): Float32Array {
  const m = Matrix.from1DArray(d, d, moments);
  const mean = m.trace() / d;
  if (!(mean > 0)) return new Float32Array(d * d);
  const damped = Matrix.div(m, mean).add(Matrix.eye(d).mul(damping));
  const root = inverse(new CholeskyDecomposition(damped).lowerTriangularMatrix);
  return Float32Array.from(root.to1DArray(), (v, k) => (k % d > Math.floor(k / d) ? 0 : v * mean ** (power - 1 / 2)));
}
