// Where a training run stands: made at its start, kept in a checkpoint, found there again.

import type { Dataset } from '../data/index.ts';
import { type Runtime, runOnce } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { Arena, type Value } from '../graph/index.ts';
import { type Architecture, dataInitScope, initialWeights, type ParamSpec } from '../models/index.ts';
import { type ModelInfo, readSafetensors, writeSafetensors } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';
import type { Weights } from '../tensor/weights.ts';
import { flatten, type Layout, unflatten } from './optimiser.ts';
import { checkpointFile, type Store } from './store.ts';

export interface State {
  /** Steps done. */
  readonly step: number;
  /** [P] the learned weights, and the moments of Adam. */
  readonly theta: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Moving average of theta, where there is one. */
  readonly mean?: Float32Array;
  /** Buffers, and the learned weights of the start. */
  readonly weights: Weights;
}

/** What is trained. */
export interface Subject {
  readonly runtime: Runtime;
  readonly threads?: number;
  readonly info: ModelInfo;
  readonly arch: Architecture<unknown>;
  readonly data: Dataset;
}

/** The model's parameters, and where the learned ones lie. */
export interface Parameters {
  readonly layout: Layout;
  readonly specs: readonly ParamSpec[];
}

/** The weights that the model has in this state: the average where there is one. */
export const weightsOf = ({ layout }: Parameters, state: State): Weights =>
  unflatten(layout, state.mean ?? state.theta, state.weights);

/**
 * Random weights; those that start from data (actnorm) are found by one pass over a batch of 256 of the first epoch of
 * `length` examples.
 */
export async function initialState(
  { runtime, threads, info, arch, data }: Subject,
  { layout, specs }: Parameters,
  length: number,
): Promise<State> {
  const { seed } = info.training;
  let weights = initialWeights(specs, seed);
  const arena = new Arena();
  const found = new Map<string, Value>();
  const n = Math.min(256, length);
  arch.loss(info.config, info.data, dataInitScope(arena, n, found));
  if (found.size > 0) {
    const graph = { arena, outputs: Object.fromEntries([...found].map(([name, v]) => [`${name}:init`, v])) };
    const indices = new RandomStream(seed, 'order').permutation(0, length).subarray(0, n);
    const examples = await data.gather(indices);
    const how = { runtime, threads, weights, batch: n, group: n };
    const outputs = await runOnce(graph, how, (program) => program.feeds(examples, indices, seed));
    const fromData = [...found.keys()].map(
      (name) => [name, { shape: weights[name]!.shape, data: outputs[`${name}:init`]!.data }] as const,
    );
    weights = { ...weights, ...Object.fromEntries(fromData) };
  }
  const zeros = () => new Float32Array(layout.size);
  const average = info.training.ema === undefined ? {} : { mean: flatten(layout, weights) };
  return { step: 0, theta: flatten(layout, weights), m: zeros(), v: zeros(), ...average, weights };
}

/** One file, replaced whole: there is always a checkpoint that is consistent in itself. Steps are exact to 2^24. */
export async function writeCheckpoint(store: Store, { layout }: Parameters, state: State): Promise<void> {
  const learned = new Set(layout.specs.map((s) => s.name));
  const buffers = Object.fromEntries(Object.entries(state.weights).filter(([name]) => !learned.has(name)));
  const flat = (data: Float32Array) => ({ shape: [layout.size], data });
  const tensors = {
    ...buffers,
    'train:step': { shape: [], data: Float32Array.of(state.step) },
    'train:theta': flat(state.theta),
    'train:m': flat(state.m),
    'train:v': flat(state.v),
    ...(state.mean ? { 'train:mean': flat(state.mean) } : {}),
  };
  await store.write(checkpointFile, writeSafetensors(tensors));
}

/** Undefined where there is no checkpoint. `average`: whether the run keeps one of the weights. */
export async function readCheckpoint(
  store: Store,
  { layout, specs }: Parameters,
  average: boolean,
): Promise<State | undefined> {
  const file = await store.read(checkpointFile);
  if (!file) return undefined;
  const { bytes, where } = file;
  const tensors = readSafetensors(bytes, where);
  const flat = (name: string) => {
    const t = tensors[`train:${name}`];
    if (t?.data.length !== layout.size)
      throw new ModelError(`${where}: '${name}' does not hold ${layout.size} numbers`);
    return t.data;
  };
  const theta = flat('theta');
  const buffers = specs
    .filter((s) => !s.trainable)
    .map(({ name }) => {
      const t = tensors[name];
      if (!t) throw new ModelError(`${where}: buffer '${name}' is missing`);
      return [name, t] as const;
    });
  const weights = unflatten(layout, theta, Object.fromEntries(buffers));
  return {
    step: tensors['train:step']?.data[0] ?? 0,
    theta,
    m: flat('m'),
    v: flat('v'),
    ...(average ? { mean: flat('mean') } : {}),
    weights,
  };
}
