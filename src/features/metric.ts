// A model and in-distribution data in; the diagonal of its empirical Fisher matrix, and the metric that it makes, out.

import type { Dataset } from '../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../engine/index.ts';
import { nameOf, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import { groupSum, rewrite, squaresAlong } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { type Axes, factoredAxes, LARGE } from './factored.ts';
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

/** Of one parameter whose metric is factored: mean squares of the gradient for each place along two axes. */
interface FactoredSquares {
  readonly shape: Shape;
  readonly axes: Axes;
  readonly means: readonly [Float64Array, Float64Array];
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
  readonly onProgress?: (examples: number, of: number) => void;
  /**
   * Hears of every example that is left out since what it gives is not finite, by its place in the data, as it is met.
   * Without it such examples are refused.
   */
  readonly onNotFinite?: ((example: number) => void) | undefined;
}

/**
 * F_k = mean over the examples of g_k², g the gradient of one example's loss in nats: the diagonal of the Fisher matrix
 * as data of the learned kind have it; of parameters whose metric is factored (`factoredAxes`) its means along two
 * axes. Draws are keyed by content. Whole gradients of a batch are in memory, but for tensors of more than a million
 * elements. Throws a ModelError where the loss depends on no parameter, and a DataError where none is left of the
 * examples, or where a loss or gradient is not finite and nobody hears of it (`onNotFinite`).
 */
export async function fisherDiagonal(model: ScoringModel, given: Dataset, options: DiagonalOptions): Promise<Diagonal> {
  const data = asModelTakes(model, given, options);
  const { runtime, memory, threads, seed = 0 } = options;
  await model.batchLoss?.({ runtime, threads });
  const loss = modelAt(model, data.shapes).loss();
  const learned = learnedGradients(loss).map(accumulated);
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

function accumulated({ param, gradient }: { readonly param: Value; readonly gradient: Value }): Accumulated {
  const name = nameOf(param);
  const { shape } = param;
  const axes = factoredAxes(gradient);
  const size = sizeOf(shape);
  if (!axes || size <= LARGE) {
    const sum = new Float64Array(size);
    const add: AddRows = (output, rows) => addRows(sum, output, rows, (v) => v ** 2);
    const squares = (n: number): Squares | FactoredSquares => {
      const data = sum.map((v) => v / n);
      return axes
        ? { shape, axes, means: [meansAlong(data, shape, axes[0]), meansAlong(data, shape, axes[1])] }
        : { shape, data };
    };
    return { name, parts: [{ value: gradient, width: size, add }], squares };
  }
  const sums = axes.map((axis) => new Float64Array(shape[axis]!)) as [Float64Array, Float64Array];
  const parts = axes.map((axis, k) => ({
    value: groupSum(squaresAlong(gradient, axis)),
    width: shape[axis]!,
    add: (output: Float32Array, rows: readonly number[]) => addRows(sums[k]!, output, rows, (v) => v),
  }));
  const mean = (sum: Float64Array, n: number) => sum.map((v) => v / n / (size / sum.length));
  return { name, parts, squares: (n) => ({ shape, axes, means: [mean(sums[0], n), mean(sums[1], n)] }) };
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
  /**
   * The parameters whose metric is factored, by name: their shape, and the two axes that have a vector of roots each.
   */
  readonly factored: Readonly<Record<string, Factored>>;
}

/** The metric of a parameter as a vector along each of two axes: a weight is the product of two squares of theirs. */
export interface Factored {
  readonly shape: Shape;
  readonly axes: Axes;
}

/** Where the diagonal is far below its mean in the tensor, the few examples it was taken from do not tell how far. */
const DAMPING = 1e-3;

/**
 * w_k = 1 / (F_k + 10⁻³ · mean F), the mean over the tensor: a gradient's squared length in units of what is usual for
 * each of its elements. With one number for all of a tensor's elements it would be the paper's metric. Where it is
 * factored w[a, b] = mean F / ((u[a] + 10⁻³ · mean F) (v[b] + 10⁻³ · mean F)). A tensor whose diagonal is 0 throughout
 * has w = 0.
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
      const { axes, means } = squares;
      factored[name] = { shape, axes };
      // Either vector has the fourth root of 1 / mean F, so that neither leaves float32 before their product does.
      for (const [k, axis] of axes.entries()) {
        keep(factorName(name, axis), [shape[axis]!], rootsOf(means[k]!, 1 / 4));
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
