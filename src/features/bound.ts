// A model with a bound of many terms and data in; the bound of every example out, all terms summed.

import type { Dataset } from '../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { Arena } from '../graph/index.ts';
import { paramScope } from '../models/index.ts';
import type { Model } from '../store/index.ts';
import { asModelTakes } from './inputs.ts';

export interface BoundOptions {
  readonly runtime: Runtime;
  readonly seed: number;
  /** Examples per run; default up to 64. */
  readonly batch?: number;
  readonly threads?: number;
  readonly onProgress?: (runs: number, of: number) => void;
}

/**
 * A bound on −log P(x) in nats for each of n examples: one run of the network per term (1,000 for a diffusion model of
 * as many steps) and batch. The noise of a term depends on the seed, the example's index and the term alone. Throws
 * ModelError where the architecture has none.
 */
export async function fullBound(model: Model, given: Dataset, options: BoundOptions): Promise<Float64Array> {
  const data = asModelTakes(model, given);
  const { arch, info, weights } = model;
  if (!arch.bound) throw new ModelError(`${info.arch} has no bound of several terms: its loss is the bound`);
  const bound = arch.bound(info.config, info.data);
  const batch = Math.min(options.batch ?? 64, data.length);
  const arena = new Arena();
  const graph = { arena, outputs: { term: bound.term(paramScope(arena)) } };
  const program = openProgram(graph, { ...options, weights, batch });
  const totals = new Float64Array(data.length);
  const runs = Math.ceil(data.length / batch) * bound.terms;
  try {
    let done = 0;
    for await (const { batch: images, count, indices } of inRuns(data, batch)) {
      for (let k = 0; k < bound.terms; k++) {
        const scalars = Object.entries(bound.scalars(k)).map(
          ([name, value]) => [name, { data: new Float32Array(batch).fill(value), shape: [batch] }] as const,
        );
        const fed = { ...images, arrays: { ...images.arrays, ...Object.fromEntries(scalars) } };
        const draws = indices.map((i) => i * bound.terms + k);
        const { data: terms } = (await program.run(program.feeds(fed, draws, options.seed))).term!;
        for (let i = 0; i < count; i++) totals[images.start + i]! += terms[i]!;
        options.onProgress?.(++done, runs);
      }
    }
  } finally {
    await program.dispose();
  }
  return totals;
}
