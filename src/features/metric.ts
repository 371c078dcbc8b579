// A model and in-distribution data in; the diagonal of its empirical Fisher matrix, and the metric that it makes, out.

import type { Dataset } from '../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../engine/index.ts';
import { DataError } from '../errors.ts';
import { nameOf, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import type { ScoringModel } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { learnedGradients } from './gradients.ts';
import { asModelTakes, type InputOptions, modelAt } from './inputs.ts';
import { metricName } from './metric-name.ts';
import { withRanges } from './ranges.ts';

/** By parameter name, of the parameter's shape. */
export type Diagonal = Weights;

export interface DiagonalOptions extends InputOptions {
  readonly runtime: Runtime;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number;
  /** Bytes that a run may take. Default: 1 GiB. */
  readonly memory?: number;
  readonly threads?: number;
  readonly onProgress?: (examples: number, of: number) => void;
}

/**
 * F_k = mean over the examples of g_k², g the gradient of one example's loss in nats: the diagonal of the Fisher matrix
 * as data of the learned kind have it. Draws are keyed by content. Whole gradients of a batch are in memory. Throws a
 * ModelError where the loss depends on no parameter, and a DataError where a gradient is not finite.
 */
export async function fisherDiagonal(model: ScoringModel, given: Dataset, options: DiagonalOptions): Promise<Diagonal> {
  const data = asModelTakes(model, given, options);
  const { runtime, memory, threads, seed = 0 } = options;
  await model.batchLoss?.({ runtime, threads });
  const loss = modelAt(model, data.shapes).loss();
  const learned = learnedGradients(loss);
  const outputs = Object.fromEntries(learned.map(({ gradient }, j): [string, Value] => [`g${j}`, gradient]));
  const { graph, check } = withRanges({ arena: loss.arena, outputs }, loss);
  const program = openProgram(graph, { runtime, weights: model.weights, memory, threads });
  const sums = learned.map(({ param }) => new Float64Array(sizeOf(param.shape)));
  const size = program.sizeFor(data.length);
  try {
    for await (const { batch, count } of inRuns(data, size)) {
      const results = await program.run(program.feeds(batch, { group: 1 }, seed), size);
      check(results, count, data.name, batch.start);
      for (const [j, sum] of sums.entries()) addSquares(sum, results[`g${j}`]!.data as Float32Array, count);
      options.onProgress?.(batch.start + count, data.length);
    }
  } finally {
    await program.dispose();
  }
  return Object.fromEntries(
    learned.map(({ param }, j) => {
      const name = nameOf(param);
      const mean = Float32Array.from(sums[j]!, (sum) => sum / data.length);
      if (mean.some((v) => !Number.isFinite(v))) {
        throw new DataError(`${data.name}: the gradient of '${name}' is not finite for some example`);
      }
      return [name, { shape: param.shape, data: mean }];
    }),
  );
}

/** Adds the squares of `count` rows. */
function addSquares(sum: Float64Array, rows: Float32Array, count: number): void {
  const size = sum.length;
  const each = rows.length === size ? 0 : size; // a gradient that no example changes comes once
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < size; k++) sum[k]! += rows[i * each + k]! ** 2;
  }
}

/** What the view `fisher` measures by. */
export interface Metric {
  /** SHA-256 of the weights. */
  readonly hash: string;
  /** Roots of the weights, by the names that the graph of the norms takes them by. */
  readonly roots: Diagonal;
}

/** Where the diagonal is far below its mean in the tensor, the few examples it was taken from do not tell how far. */
const DAMPING = 1e-3;

/**
 * w_k = 1 / (F_k + 10⁻³ · mean F), the mean over the tensor: a gradient's squared length in units of what is usual for
 * each of its elements. With one number for all of a tensor's elements it would be the paper's metric. A tensor whose
 * diagonal is 0 throughout has w = 0.
 */
export function metricOf(diagonal: Diagonal): Metric {
  const hash = host().sha256();
  const roots = Object.entries(diagonal).map(([name, { shape, data }]) => {
    const damping = (DAMPING * data.reduce((sum, v) => sum + v, 0)) / data.length;
    const weigh = damping > 0 ? (v: number) => 1 / Math.sqrt(v + damping) : () => 0;
    const root = data.map(weigh);
    hash.update(`${name} ${shape.join()}\n`);
    hash.update(new Uint8Array(root.buffer, root.byteOffset, root.byteLength));
    return [metricName(name), { shape, data: root }] as const;
  });
  return { hash: hash.digest(), roots: Object.fromEntries(roots) };
}
