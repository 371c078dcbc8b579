// What a network takes and gives in; the objective that it seems to be made for out, for people who gave none.

import { inputsOf, type Value, type WholeRange } from '../graph/index.ts';
import { sameShape, sizeOf } from '../tensor/shape.ts';
import type { FileModel } from './file.ts';
import { Sequence } from './operators/index.ts';

/** Names of outputs that are one number per example and only a part of a loss, with the objective that takes them. */
const PARTS: readonly (readonly [RegExp, string])[] = [
  [/log_?(abs_?)?(det|jac)|ldj|jacobian/i, 'flow'],
  [/(^|[^a-z])kld?([^a-z]|$)/i, 'elbo'],
];

/** The objective of which the output `key` seems to be a part alone. */
export const objectiveWithPart = (key: string): string | undefined => PARTS.find(([name]) => name.test(key))?.[1];

/** A time that is drawn for every example: a whole number of a range, or a real one of [0, 1). */
export interface DrawnTime {
  /** Of the input that is drawn. */
  readonly name: string;
  readonly range?: WholeRange;
}

/** A name, or the last part of one: `x.noise`, `input_noise`, `eps1`. */
export const called = (words: string): RegExp => new RegExp(`(^|[._/:-]|input)(${words})\\d*(:\\d+)?$`, 'i');

export const TIME: RegExp = called('t|time|times|timestep|timesteps|time_?steps?|step|steps');

/**
 * What is drawn for the time of a diffusion: a whole number that is called like one, or a single uniform number beside
 * larger data; undefined where there is none or more than one.
 */
export function drawnTime(loss: Value): DrawnTime | undefined {
  let size = 0;
  const times = inputsOf({ arena: loss.arena, outputs: { loss } }).flatMap(({ source, shape }): DrawnTime[] => {
    if (source.kind !== 'input') return [];
    const { name, from, range } = source;
    if (from === 'data') size += sizeOf(shape);
    if (sizeOf(shape) !== 1) return [];
    if (from === 'uniform') return [{ name }];
    return from === 'integer' && TIME.test(name) ? [{ name, range: range! }] : [];
  });
  return size > 1 && times.length === 1 ? times[0] : undefined;
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
