// A model and data in; the gradient of every example in chosen weights out, entry by entry. For looking at the Fisher
// matrix.

import { gradients } from '../autodiff/index.ts';
import type { Dataset } from '../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { nameOf, paramsOf, type Value } from '../graph/index.ts';
import { rewrite } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import { asModelTakes, modelAt } from './inputs.ts';
import { withRanges } from './ranges.ts';

export interface GradientOptions {
  readonly runtime: Runtime;
  /** Parameter tensors, drawn at random where there are more. */
  readonly layers: number;
  /** Weights of each of these, drawn at random where there are more. */
  readonly weights: number;
  readonly seed: number;
  /** Examples per run; default 16: whole gradients of all chosen layers are in memory. */
  readonly batch?: number;
  readonly threads?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

export interface WeightGradients {
  /** [d] the layer of each chosen weight; layers in the model's order. */
  readonly layers: readonly string[];
  /** [n, d] row-major: ∂ loss(x_i) / ∂ weight, in nats. */
  readonly gradients: Float64Array;
}

/**
 * The chosen layers and weights depend on the seed alone. Throws a ModelError where the loss has no gradient in any
 * parameter.
 */
export async function weightGradients(
  model: ScoringModel,
  given: Dataset,
  options: GradientOptions,
): Promise<WeightGradients> {
  const data = asModelTakes(model, given);
  await model.batchLoss?.(options);
  const loss = modelAt(model, data.shapes).loss();
  const learned = learnedGradients(loss);
  const chosen = drawn(learned.length, options.layers, new RandomStream(options.seed, 'layers'), 0).map((j) => {
    const { param, gradient } = learned[j]!;
    const name = nameOf(param);
    const stream = new RandomStream(options.seed, `weights of ${name}`);
    return { name, gradient, picks: drawn(sizeOf(gradient.shape), options.weights, stream, 0) };
  });
  const outputs = Object.fromEntries(chosen.map(({ gradient }, k): [string, Value] => [`g${k}`, gradient]));
  const { graph, check } = withRanges({ arena: loss.arena, outputs }, loss);
  const batch = Math.min(options.batch ?? 16, data.length);
  const { runtime, threads } = options;
  const program = openProgram(graph, { runtime, threads, weights: model.weights, batch });
  const layers = chosen.flatMap(({ name, picks }) => picks.map(() => name));
  const out = new Float64Array(data.length * layers.length);
  try {
    for await (const { batch: examples, count, indices } of inRuns(data, batch)) {
      const { start } = examples;
      const results = await program.run(program.feeds(examples, indices, options.seed));
      check(results, count, data.name, start);
      for (let i = 0; i < count; i++) {
        let column = (start + i) * layers.length;
        chosen.forEach(({ gradient, picks }, k) => {
          const values = results[`g${k}`]!.data;
          const size = sizeOf(gradient.shape);
          const row = values.length === size ? 0 : i * size; // a gradient that no example changes comes once
          for (const pick of picks) out[column++] = values[row + pick]!;
        });
      }
      options.onProgress?.(start + count, data.length);
    }
  } finally {
    await program.dispose();
  }
  return { layers, gradients: out };
}

/**
 * The parameter tensors that a loss depends on smoothly, each with its gradient. Throws a ModelError where there is
 * none.
 */
export function learnedGradients(written: Value): readonly { readonly param: Value; readonly gradient: Value }[] {
  const params = paramsOf({ arena: written.arena, outputs: { loss: written } });
  const found = gradients(rewrite(written), params);
  const learned = params.flatMap((param, j) => (found[j] ? [{ param, gradient: found[j] }] : []));
  if (learned.length === 0) throw new ModelError('the loss depends smoothly on no parameter');
  return learned;
}

/** `count` of 0..n − 1 at random, ascending; all of them where there are not more. */
function drawn(n: number, count: number, stream: RandomStream, draw: number): number[] {
  if (n <= count) return Array.from({ length: n }, (_, i) => i);
  return Array.from(stream.permutation(draw, n).subarray(0, count)).sort((a, b) => a - b);
}
