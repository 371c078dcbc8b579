// Trains a built-in architecture on a data set: a directory with weights out, resumable after being killed at any point.

import { existsSync } from 'node:fs';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../data/dataset.ts';
import { asPixels } from '../data/pixels.ts';
import { openProgram, type Runtime, runOnce } from '../engine/index.ts';
import { DataError, ModelError } from '../errors.ts';
import { Arena, type Value } from '../graph/index.ts';
import {
  type Architecture,
  dataInitScope,
  initialWeights,
  type ParamSpec,
  paramScope,
  type Weights,
} from '../models/index.ts';
import { readFileBytes, reasonOf, writeFileAtomic } from '../node/files.ts';
import { infoFile, readInfo, writeInfo, writeWeights } from '../node/index.ts';
import { type Claim, claimFolder, during, modelFiles } from '../node/output.ts';
import { bitsPerDim } from '../objectives/index.ts';
import { checkInfo, differences, type ModelInfo, readSafetensors, writeSafetensors } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import { adamDefaults, flatten, type Layout, trainingStep, unflatten } from './optimiser.ts';

export interface Progress {
  readonly step: number;
  readonly steps: number;
  /** Mean over the steps since the last report, and on the validation part with the same noise every time. For likelihoods. */
  readonly trainBitsPerDim?: number;
  readonly validBitsPerDim?: number;
  /** The same per dimension, for a training loss that is no likelihood. */
  readonly trainLossPerDim?: number;
  readonly validLossPerDim?: number;
  readonly examplesPerSecond: number;
  readonly secondsLeft: number;
}

export interface TrainOptions {
  readonly runtime: Runtime;
  readonly info: ModelInfo;
  readonly arch: Architecture<unknown>;
  /** Examples of the shape info.data under 'x', of raw pixels or bytes 0..255, which is checked where they are read. The last examples (5 %, at most 1,000) are held out for validation. */
  readonly data: Dataset;
  readonly dir: string;
  /** Of `dir`, where it was claimed before, see `claimFolder`. Left out: it is claimed here. */
  readonly claim?: Claim;
  readonly threads?: number;
  /** Steps between checkpoints; default 200. */
  readonly checkpointEvery?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** The name of the file in a model directory that a stopped run goes on from. */
export const checkpointFile = 'checkpoint.safetensors';
const logFile = 'train.log.jsonl';

/** Whether a run in `dir` came to its end. Weights beside a checkpoint: stopped after the last step, before the checkpoint was taken away. */
export const isTrained = (dir: string): boolean =>
  existsSync(join(dir, 'weights.safetensors')) && !existsSync(join(dir, checkpointFile));

interface State {
  readonly step: number;
  readonly theta: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Moving average of theta, where there is one. */
  readonly mean?: Float32Array;
  readonly weights: Weights;
}

/**
 * Runs to info.training.steps. The order of examples and all noise follow from the seed and the step, so a run that was
 * killed and resumed is the run that was not. Learning rate: linear warm-up, then a cosine to 0. Returns the last report.
 *
 * `dir` is this run's from its first checkpoint on: one that is refused, or diverges before, leaves nothing behind. Throws a ModelError for a
 * folder that holds something else, a DataError where it cannot be written to or another process trains in it.
 */
export async function train(options: TrainOptions): Promise<Progress | undefined> {
  return options.claim ? trainClaimed(options) : during(await claimFolder(options.dir), () => trainClaimed(options));
}

async function trainClaimed(given: TrainOptions): Promise<Progress | undefined> {
  const options = { ...given, data: asPixels(given.data) }; // which built-in models take, text as bytes included
  const { arch, data, dir } = options;
  const info = checkInfo(options.info, `${options.info.arch} on ${data.name}`);
  const { batch, steps, seed, ema } = info.training;
  await checkFolder(dir, info);
  const held = Math.min(1000, Math.floor(data.length / 20));
  const length = data.length - held;
  if (length < batch) throw new ModelError(`${data.name}: ${length} training examples do not fill a batch of ${batch}`);

  const { graph, layout, specs } = trainingStep(arch, info.config, info.data, batch, {
    ...adamDefaults,
    average: ema !== undefined,
  });
  const { runtime, threads } = options;
  const program = openProgram(graph, { runtime, threads, weights: 'inputs', batch, group: batch, keep: true });
  let state =
    (await readCheckpoint(dir, layout, specs, ema !== undefined)) ??
    (await initialState(options, layout, specs, length));
  await trimLog(dir, state.step);
  const buffers = Object.fromEntries(
    specs.filter((s) => !s.trainable).map(({ name }) => [name, state.weights[name]!] as const),
  );
  const every = options.checkpointEvery ?? 200;
  const perEpoch = Math.floor(length / batch);
  const order = new RandomStream(seed, 'order');
  let epoch = -1;
  let permutation: Uint32Array = new Uint32Array();
  let since = { time: performance.now(), step: state.step, loss: 0 };
  let last: Progress | undefined;

  try {
    while (state.step < steps) {
      const t = state.step + 1;
      const now = Math.floor(state.step / perEpoch);
      if (now !== epoch) {
        epoch = now;
        permutation = order.permutation(epoch, length);
      }
      const first = (state.step % perEpoch) * batch;
      const indices = permutation.subarray(first, first + batch);
      const draws = Array.from(indices, (i) => epoch * data.length + i);
      const scalar = (x: number) => ({ data: Float32Array.of(x), shape: [] });
      const outputs = await program.run({
        ...program.feeds(await data.gather(indices), draws, seed),
        ...buffers,
        theta: { data: state.theta, shape: [layout.size] },
        m: { data: state.m, shape: [layout.size] },
        v: { data: state.v, shape: [layout.size] },
        ...(ema !== undefined && state.mean
          ? { mean: { data: state.mean, shape: [layout.size] }, keep: scalar(Math.min(ema, t / (t + 9))) } // not to remember the start
          : {}),
        lr: scalar(learningRate(info, state.step)),
        correction1: scalar(1 - adamDefaults.beta1 ** t),
        correction2: scalar(1 - adamDefaults.beta2 ** t),
      });
      const loss = outputs.loss!.data[0]!;
      if (!Number.isFinite(loss) || !Number.isFinite(outputs.gradientNorm!.data[0]!)) {
        const kept = existsSync(join(dir, checkpointFile)) ? ` in another folder than ${dir}, or delete that` : '';
        throw new ModelError(`training diverged at step ${t}: the loss is ${loss}; try a smaller learning rate${kept}`);
      }
      const mean = outputs.nextMean?.data;
      state = {
        ...state,
        step: t,
        theta: outputs.nextTheta!.data,
        m: outputs.nextM!.data,
        v: outputs.nextV!.data,
        ...(mean ? { mean } : {}),
      };
      since.loss += loss;
      if (t % every === 0 || t === steps) {
        if (!existsSync(join(dir, infoFile))) await writeInfo(dir, info);
        const valid = await validate(options, unflatten(layout, state.mean ?? state.theta, state.weights), length);
        last = await report(options, state.step, since, valid);
        await writeCheckpoint(dir, layout, state);
        since = { time: performance.now(), step: t, loss: 0 };
      }
    }
  } finally {
    await program.dispose();
  }
  const weights = unflatten(layout, state.mean ?? state.theta, state.weights);
  await writeWeights(dir, Object.fromEntries(specs.map(({ name }) => [name, weights[name]!])));
  await rm(join(dir, checkpointFile), { force: true });
  return last;
}

/** Lines are written before the checkpoint they belong to: those after the last checkpoint will be written again. */
async function trimLog(dir: string, step: number): Promise<void> {
  const path = join(dir, logFile);
  if (!existsSync(path)) return;
  const lines = new TextDecoder().decode(await readFileBytes(path)).split('\n');
  const kept = lines.filter((line) => {
    const found = /^\{"step":(\d+),.*\}$/.exec(line)?.[1]; // a line cut short by a crash does not end in a brace
    return found !== undefined && Number(found) <= step;
  });
  await writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''));
}

function learningRate(info: ModelInfo, step: number): number {
  const { learningRate: peak, warmUp, steps } = info.training;
  if (step < warmUp) return (peak * (step + 1)) / warmUp;
  return peak * 0.5 * (1 + Math.cos((Math.PI * (step - warmUp)) / Math.max(1, steps - warmUp)));
}

async function report(
  options: TrainOptions,
  step: number,
  since: { readonly time: number; readonly step: number; readonly loss: number },
  valid: number,
): Promise<Progress> {
  const { info, arch } = options;
  const seconds = (performance.now() - since.time) / 1000;
  const done = step - since.step;
  const dims = sizeOf(info.data);
  const progress: Progress = {
    step,
    steps: info.training.steps,
    ...(arch.lossName === undefined
      ? { trainBitsPerDim: bitsPerDim(since.loss / done, dims), validBitsPerDim: bitsPerDim(valid, dims) }
      : { trainLossPerDim: since.loss / done / dims, validLossPerDim: valid / dims }),
    examplesPerSecond: (done * info.training.batch) / seconds,
    secondsLeft: ((info.training.steps - step) * seconds) / done,
  };
  options.onProgress?.(progress);
  const { examplesPerSecond: _speed, secondsLeft: _left, ...kept } = progress;
  const path = join(options.dir, logFile);
  await appendFile(path, `${JSON.stringify(kept)}\n`).catch((error: unknown) => {
    throw new DataError(`${path}: cannot add a line: ${reasonOf(error, options.dir)}`, { cause: error });
  });
  return progress;
}

/** Mean loss on up to 256 held-out examples. */
async function validate(options: TrainOptions, weights: Weights, start: number): Promise<number> {
  const { info, arch, data } = options;
  const n = Math.min(256, data.length - start);
  if (n < 1) return Number.NaN;
  const arena = new Arena();
  const { nll } = arch.loss(info.config, info.data, paramScope(arena));
  const graph = { arena, outputs: { nll } };
  const indices = Array.from({ length: n }, (_, i) => start + i);
  const examples = await data.gather(indices);
  const { runtime, threads } = options;
  const { seed } = info.training;
  const how = { runtime, threads, weights, batch: n };
  const values = (await runOnce(graph, how, (program) => program.feeds(examples, indices, seed))).nll!.data;
  return values.reduce((s, x) => s + x, 0) / n;
}

/** Random weights; those that start from data (actnorm) are found by one pass over a batch of 256 of the first epoch. */
async function initialState(
  options: TrainOptions,
  layout: Layout,
  specs: readonly ParamSpec[],
  length: number,
): Promise<State> {
  const { info, arch, data } = options;
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
    const { runtime, threads } = options;
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
async function writeCheckpoint(dir: string, layout: Layout, state: State): Promise<void> {
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
  await writeFileAtomic(join(dir, checkpointFile), writeSafetensors(tensors));
}

async function readCheckpoint(
  dir: string,
  layout: Layout,
  specs: readonly ParamSpec[],
  average: boolean,
): Promise<State | undefined> {
  const path = join(dir, checkpointFile);
  if (!existsSync(path)) return undefined;
  const tensors = readSafetensors(await readFileBytes(path), path);
  const flat = (name: string) => {
    const t = tensors[`train:${name}`];
    if (t?.data.length !== layout.size) throw new ModelError(`${path}: '${name}' does not hold ${layout.size} numbers`);
    return t.data;
  };
  const theta = flat('theta');
  const buffers = specs
    .filter((s) => !s.trainable)
    .map(({ name }) => {
      const t = tensors[name];
      if (!t) throw new ModelError(`${path}: buffer '${name}' is missing`);
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

/** Checks that the folder holds this run, or none. */
async function checkFolder(dir: string, info: ModelInfo): Promise<void> {
  if (!existsSync(join(dir, infoFile))) {
    const other = modelFiles.find((name) => existsSync(join(dir, name)));
    if (other === undefined) return;
    throw new ModelError(
      `${dir}: holds ${other} but no ${infoFile}, so it is not of a training run; give another folder`,
    );
  }
  const different = differences(await readInfo(dir), info);
  if (different.length > 0) {
    throw new ModelError(
      `${dir} holds another training run; there and asked for are ${different.join('; ')}. Give another folder, or delete this one`,
    );
  }
  if (isTrained(dir)) throw new ModelError(`${dir}: training is finished`);
}
