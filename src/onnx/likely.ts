// What a network takes and gives in; the objective that it seems to be made for out, for people who gave none.

import type { Value } from '../graph/index.ts';
import { sameShape, sizeOf } from '../tensor/shape.ts';
import type { FileModel } from './file.ts';
import { Sequence } from './operators/index.ts';

const LOG_DETS = /^s?(sum)?(log(abs)?det(jac(obian)?)?|logjac(obian)?|ldj)$/;
const DIVERGENCES = /^(d?kld?|kldiv(ergence)?)$/;

/** Whether an output is called like one part of a loss alone: a flow's log-determinant, a VAE's divergence. */
export function partCalled(key: string): 'log-determinant' | 'divergence' | undefined {
  const words = key.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
  const name = words.replace(/[^a-z]|(?<![a-z])(total|mean|neg|loss|term|out|output)(?![a-z])/g, '');
  return LOG_DETS.test(name) ? 'log-determinant' : DIVERGENCES.test(name) ? 'divergence' : undefined;
}

/**
 * The objective by the shapes of one example: a prediction of the size of the data beside an input of one number is a
 * denoising network's; a latent of that size beside one number a flow's; a reconstruction beside two outputs of one
 * shape a VAE's; a row of logits for every token a language model's.
 */
export function likelyObjective({ graph }: FileModel, values: ReadonlyMap<string, Value>): string | undefined {
  const shapeOf = (key: string) => {
    const value = values.get(key);
    return value === undefined || value instanceof Sequence ? undefined : value.shape;
  };
  const inputs = graph.inputs.map(({ name, dtype }) => ({ dtype, shape: shapeOf(name) ?? [] }));
  const [first, second, third] = graph.outputs.map(shapeOf);
  if (first === undefined) return undefined;
  const tokens = inputs.find(({ dtype }) => dtype === 'int')?.shape;
  if (first.length === 3 && tokens?.length === 2 && sameShape(first.slice(0, 2), tokens)) return 'causal-lm';
  const size = sizeOf(first);
  if (size === 1 || !inputs.some(({ dtype, shape }) => dtype === 'float' && sizeOf(shape) === size)) return undefined;
  if (second === undefined) return inputs.some(({ shape }) => sizeOf(shape) === 1) ? 'denoise' : undefined;
  if (third === undefined) return sizeOf(second) === 1 ? 'flow' : undefined;
  return sameShape(second, third) ? 'elbo' : undefined;
}
