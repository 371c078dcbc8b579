// A model in; the same with the entries of every learned tensor in another order, which has learned nothing, out.

import { nameOf, paramsOf } from '../../graph/index.ts';
import { host } from '../../host.ts';
import { builtInModel, type Model } from '../../store/index.ts';
import { RandomStream } from '../../tensor/random.ts';
import type { Weights } from '../../tensor/weights.ts';

/** The entries of every learned tensor in another order, which depends on the seed and the tensor's name. */
export function shuffled(weights: Weights, learned: readonly string[], seed: number): Weights {
  const moved = learned.map((name) => {
    const { data, shape } = weights[name]!;
    const order = new RandomStream(seed, `shuffled ${name}`).permutation(0, data.length);
    return [name, { shape, data: data.map((_, i) => data[order[i]!]!) }] as const;
  });
  return { ...weights, ...Object.fromEntries(moved) };
}

/**
 * A control: what such a model tells apart it tells by statistics of images, as any network of its shape does.
 * `scoring`: as the model was opened with.
 */
export function withShuffledWeights(model: Model, seed: number, scoring?: Readonly<Record<string, unknown>>): Model {
  const loss = model.loss();
  const learned = paramsOf({ arena: loss.arena, outputs: { loss } }).map(nameOf);
  const hash = host().sha256().update(`${model.hash} shuffled by ${seed}`).digest();
  return builtInModel(model.info, shuffled(model.weights, learned, seed), hash, scoring);
}
