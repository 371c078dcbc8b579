// Trains a built-in architecture on a data set: a store with weights out, resumable after being killed at any point.

import { asPixels } from '../data/index.ts';
import { defined } from '../defined.ts';
import { runOnce } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { Arena } from '../graph/index.ts';
import { paramScope } from '../models/index.ts';
import { bitsPerDim } from '../objectives/index.ts';
import { checkInfo, differences, type ModelInfo, parseInfo, writeSafetensors } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { adamDefaults } from './optimiser.ts';
import {
  initialState,
  type Parameters,
  readCheckpoint,
  type State,
  type Subject,
  weightsOf,
  writeCheckpoint,
} from './state.ts';
import { openStep, type Step } from './step.ts';
import { checkpointFile, infoFile, isTrained, logFile, modelFiles, type Store, weightsFile } from './store.ts';

export interface Progress {
  readonly step: number;
  readonly steps: number;
  /**
   * Mean over the steps since the last report, and on the validation part with the same noise every time. For
   * likelihoods.
   */
  readonly trainBitsPerDim?: number;
  readonly validBitsPerDim?: number;
  /** The same per dimension, for a training loss that is no likelihood. */
  readonly trainLossPerDim?: number;
  readonly validLossPerDim?: number;
  readonly examplesPerSecond: number;
  readonly secondsLeft: number;
}

/**
 * `data`: examples of the shape info.data under 'x', of raw pixels or bytes 0..255, which is checked where they are
 * read. The last examples (5 %, at most 1,000) are held out for validation.
 */
export interface TrainOptions extends Subject {
  readonly store: Store;
  /** Steps between checkpoints; default 200. */
  readonly checkpointEvery?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** A run, and what does not change in its course. */
interface Run extends TrainOptions, Parameters {
  /** One step, compiled. */
  readonly compiled: Step;
  /** Training examples; those behind them are held out. */
  readonly length: number;
}

/**
 * Runs to info.training.steps. The order of examples and all noise follow from the seed and the step, so a run that was
 * killed and resumed is the run that was not. Learning rate: linear warm-up, then a cosine to 0. Returns the last
 * report.
 *
 * The store is this run's from its first checkpoint on: one that is refused, or diverges before, leaves nothing behind.
 * Throws a ModelError for a store that holds something else.
 */
export async function train(options: TrainOptions): Promise<Progress | undefined> {
  const data = asPixels(options.data); // which built-in models take, text as bytes included
  const info = checkInfo(options.info, `${options.info.arch} on ${data.name}`);
  const { store, runtime, threads, arch } = options;
  const { batch, steps, ema } = info.training;
  await checkStore(store, info);
  const length = data.length - Math.min(1000, Math.floor(data.length / 20));
  if (length < batch) throw new ModelError(`${data.name}: ${length} training examples do not fill a batch of ${batch}`);

  const adam = { ...adamDefaults, average: ema !== undefined };
  const step = openStep({ runtime, threads, arch, config: info.config, data: info.data, batch, adam });
  const run: Run = { ...options, layout: step.layout, specs: step.specs, compiled: step, data, info, length };
  let state = (await readCheckpoint(store, run, ema !== undefined)) ?? (await initialState(run, run, length));
  await trimLog(store, state.step);
  const takeStep = stepper(run, state);
  const every = options.checkpointEvery ?? 200;
  let since = { time: performance.now(), step: state.step, loss: 0 };
  let last: Progress | undefined;
  try {
    while (state.step < steps) {
      const { next, loss } = await takeStep(state);
      state = next;
      since.loss += loss;
      if (state.step % every === 0 || state.step === steps) {
        if (!(await store.has(infoFile))) await store.write(infoFile, `${JSON.stringify(info, null, 2)}\n`);
        last = await report(run, state.step, since, await validate(run, weightsOf(run, state)));
        await writeCheckpoint(store, run, state);
        since = { time: performance.now(), step: state.step, loss: 0 };
      }
    }
  } finally {
    await step.dispose();
  }
  const weights = weightsOf(run, state);
  await store.write(
    weightsFile,
    writeSafetensors(Object.fromEntries(run.specs.map(({ name }) => [name, weights[name]!]))),
  );
  await store.remove(checkpointFile);
  return last;
}

/** What takes one step, given where the run stands; `start` has the model's buffers. */
function stepper({ store, compiled, layout, specs, data, info, length }: Run, start: State) {
  const { batch, seed, ema } = info.training;
  const buffers = Object.fromEntries(
    specs.filter((s) => !s.trainable).map(({ name }) => [name, start.weights[name]!] as const),
  );
  const perEpoch = Math.floor(length / batch);
  const order = new RandomStream(seed, 'order');
  let epoch = -1;
  let permutation: Uint32Array = new Uint32Array();
  const flat = (values: Float32Array) => ({ data: values, shape: [layout.size] });
  const scalar = (x: number) => ({ data: Float32Array.of(x), shape: [] });

  return async (state: State): Promise<{ readonly next: State; readonly loss: number }> => {
    const t = state.step + 1;
    const now = Math.floor(state.step / perEpoch);
    if (now !== epoch) {
      epoch = now;
      permutation = order.permutation(epoch, length);
    }
    const first = (state.step % perEpoch) * batch;
    const indices = permutation.subarray(first, first + batch);
    const draws = Array.from(indices, (i) => epoch * data.length + i);
    const examples = { ...compiled.gradient.feeds(await data.gather(indices), draws, seed), ...buffers };
    const outputs = await compiled.run(state.theta, examples, {
      m: flat(state.m),
      v: flat(state.v),
      ...(ema !== undefined && state.mean
        ? { mean: flat(state.mean), keep: scalar(Math.min(ema, t / (t + 9))) } // not to remember the start
        : {}),
      lr: scalar(learningRate(info, state.step)),
      correction1: scalar(1 - adamDefaults.beta1 ** t),
      correction2: scalar(1 - adamDefaults.beta2 ** t),
    });
    const loss = outputs.loss!.data[0]!;
    if (!Number.isFinite(loss) || !Number.isFinite(outputs.gradientNorm!.data[0]!)) {
      const kept = (await store.has(checkpointFile)) ? ` in another folder than ${store.name}, or delete that` : '';
      throw new ModelError(`training diverged at step ${t}: the loss is ${loss}; try a smaller learning rate${kept}`);
    }
    const mean = outputs.nextMean?.data;
    const [m, v] = [outputs.nextM!.data, outputs.nextV!.data];
    return { next: { ...state, step: t, theta: outputs.nextTheta!.data, m, v, ...defined({ mean }) }, loss };
  };
}

/** Lines are written before the checkpoint they belong to: those after the last checkpoint will be written again. */
async function trimLog(store: Store, step: number): Promise<void> {
  const file = await store.read(logFile);
  if (!file) return;
  const lines = new TextDecoder().decode(file.bytes).split('\n');
  const kept = lines.filter((line) => {
    const found = /^\{"step":(\d+),.*\}$/.exec(line)?.[1]; // a line cut short by a crash does not end in a brace
    return found !== undefined && Number(found) <= step;
  });
  await store.write(logFile, kept.map((line) => `${line}\n`).join(''));
}

function learningRate(info: ModelInfo, step: number): number {
  const { learningRate: peak, warmUp, steps } = info.training;
  if (step < warmUp) return (peak * (step + 1)) / warmUp;
  return peak * 0.5 * (1 + Math.cos((Math.PI * (step - warmUp)) / Math.max(1, steps - warmUp)));
}

async function report(
  { store, info, arch, onProgress }: Run,
  step: number,
  since: { readonly time: number; readonly step: number; readonly loss: number },
  valid: number,
): Promise<Progress> {
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
  onProgress?.(progress);
  const { examplesPerSecond: _speed, secondsLeft: _left, ...kept } = progress;
  await store.append(logFile, `${JSON.stringify(kept)}\n`);
  return progress;
}

/** Mean loss on up to 256 held-out examples. */
async function validate({ runtime, threads, info, arch, data, length }: Run, weights: Weights): Promise<number> {
  const n = Math.min(256, data.length - length);
  if (n < 1) return Number.NaN;
  const arena = new Arena();
  const { nll } = arch.loss(info.config, info.data, paramScope(arena));
  const indices = Array.from({ length: n }, (_, i) => length + i);
  const examples = await data.gather(indices);
  const { seed } = info.training;
  const outputs = await runOnce({ arena, outputs: { nll } }, { runtime, threads, weights, batch: n }, (program) =>
    program.feeds(examples, indices, seed),
  );
  return outputs.nll!.data.reduce((s, x) => s + x, 0) / n;
}

/** Checks that the store holds this run, or none. */
async function checkStore(store: Store, info: ModelInfo): Promise<void> {
  const there = await store.read(infoFile);
  if (!there) {
    for (const name of modelFiles) {
      if (!(await store.has(name))) continue;
      throw new ModelError(
        `${store.name}: holds ${name} but no ${infoFile}, so it is not of a training run; give another folder`,
      );
    }
    return;
  }
  const different = differences(parseInfo(there), info);
  if (different.length > 0) {
    throw new ModelError(
      `${store.name} holds another training run; there and asked for are ${different.join('; ')}. Give another folder, or delete this one`,
    );
  }
  if (await isTrained(store)) throw new ModelError(`${store.name}: training is finished`);
}
