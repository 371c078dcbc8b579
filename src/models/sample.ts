// A built-in model in, images drawn from it out, by one run of a graph or by many.

import { checkArguments, checkOptions, objectWith, optional, sizes, text, wholeFrom } from '../arguments.ts';
import { checkFits, feedsFor, openProgram, type Program, type Runtime } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { Arena, nameOf } from '../graph/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { checkWhole } from '../tensor/whole.ts';
import type { Architecture } from './architecture.ts';
import { paramScope } from './scopes.ts';

/** A model of a built-in architecture. */
export interface Sampled {
  readonly arch: Architecture<unknown>;
  /** The architecture's configuration, and the shape of an image. */
  readonly info: { readonly config: unknown; readonly data: Shape; readonly arch: string };
  readonly weights: Weights;
}

export interface SampleOptions {
  readonly runtime: Runtime;
  readonly n: number;
  readonly seed: number;
  /** Scales the standard deviation of the latents; 1 draws from the model. */
  readonly temperature?: number;
  /**
   * Draw pixels from their distribution given the latents, rather than its mean: samples of the model, but grainy ones.
   * For VAEs.
   */
  readonly pixelNoise?: boolean;
  /** Runs of a sampler that runs many times, where the architecture leaves the choice. */
  readonly steps?: number;
  readonly threads?: number;
  /** How many samples had values that are not numbers, where any had. */
  readonly onDiverged?: (count: number) => void;
}

export interface Image {
  /** Channels first, 0..255. */
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

const isSampled = objectWith({ data: sizes, arch: text }, '');

/**
 * The first n samples whose values are numbers; the k-th draw depends on the seed and k alone. The inverse of a flow
 * that is not trained long overflows for some latents; these are passed over. Values are clamped to 0..255. Throws a
 * ModelError where most draws fail.
 */
export async function drawSamples(model: Sampled, options: SampleOptions): Promise<readonly Image[]> {
  checkArguments(
    'drawSamples',
    { model },
    { model: objectWith({ info: isSampled }, 'a model, as loadModel gives it') },
  );
  checkOptions('drawSamples', options, { threads: optional(wholeFrom(1)) });
  const n = checkWhole(options.n, 'the number of samples', 1);
  checkWhole(options.seed, 'the seed', 0);
  checkFits(4 * n * sizeOf(model.info.data), options.runtime.memory, `${n} samples`, 'draw fewer');
  const batch = Math.min(n, 64);
  const { draw, dispose } = await (model.arch.iterativeSampler ? iterative : direct)(model, options, batch);
  const size = sizeOf(model.info.data);
  const images: Image[] = [];
  let diverged = 0;
  try {
    for (let start = 0; images.length < n; start += batch) {
      if (start >= 2 * n + batch) {
        throw new ModelError(
          `${diverged} of ${start} samples have values that are not numbers; a lower temperature may help`,
        );
      }
      const data = await draw(start);
      for (let i = 0; i < batch && images.length < n; i++) {
        const pixels = data.slice(i * size, (i + 1) * size).map((v) => Math.min(255, Math.max(0, v)));
        if (pixels.some(Number.isNaN)) diverged++;
        else images.push({ data: pixels, shape: model.info.data });
      }
    }
  } finally {
    await dispose();
  }
  if (diverged > 0) options.onDiverged?.(diverged);
  return images;
}

/** Draws images start .. start + batch − 1. */
interface Drawing {
  draw(start: number): Promise<Float32Array>;
  dispose(): Promise<void>;
}

async function direct({ arch, info, weights }: Sampled, options: SampleOptions, batch: number): Promise<Drawing> {
  if (!arch.sample) throw new ModelError(`${info.arch} has no sampler`);
  if (options.steps !== undefined)
    throw new ModelError(`${info.arch} samples in one run, not in ${options.steps} steps`);
  const arena = new Arena();
  const { temperature = 1, pixelNoise = false } = options;
  const x = arch.sample(info.config, info.data, paramScope(arena), weights, { temperature, pixelNoise });
  const graph = { arena, outputs: { x } };
  const { runtime, threads } = options;
  const program = openProgram(graph, { runtime, threads, weights, batch });
  return {
    draw: async (start) => {
      const draws = Array.from({ length: batch }, (_, i) => start + i);
      return (await program.run(program.feeds({ start, n: batch, arrays: {} }, draws, options.seed))).x!.data;
    },
    dispose: () => program.dispose(),
  };
}

async function iterative({ arch, info, weights }: Sampled, options: SampleOptions, batch: number): Promise<Drawing> {
  const sampler = arch.iterativeSampler!(info.config, info.data, options.steps);
  if (options.steps !== undefined && sampler.steps !== options.steps) {
    throw new ModelError(`${info.arch} samples in ${sampler.steps} steps, not in ${options.steps}`);
  }
  const stepArena = new Arena();
  const step = { arena: stepArena, outputs: { next: sampler.step(paramScope(stepArena), options.temperature ?? 1) } };
  const endArena = new Arena();
  const end = { arena: endArena, outputs: { x: sampler.toPixels(endArena.input('state', [1, ...info.data])) } };
  const { runtime, threads } = options;
  const [stepping, ending] = [step, end].map((graph) => openProgram(graph, { runtime, threads, weights, batch })) as [
    Program,
    Program,
  ];
  const size = sizeOf(info.data);
  const initial = new RandomStream(options.seed, 'state');
  const filled = (value: number) => ({ data: new Float32Array(batch).fill(value), shape: [batch] });
  return {
    draw: async (start) => {
      const numbers = Array.from({ length: batch }, (_, i) => start + i);
      const state = new Float32Array(batch * size);
      if (sampler.start === 'normal') {
        for (const [i, k] of numbers.entries()) initial.normal(k, state.subarray(i * size, (i + 1) * size));
      }
      const feeds = ({ inputs: from }: Program, data: Float32Array, step: number) => {
        const scalars = Object.entries(sampler.scalars(step)).map(([name, value]) => [name, filled(value)] as const);
        const arrays = { ...Object.fromEntries(scalars), state: { data, shape: [batch, ...info.data] } };
        const draws = numbers.map((k) => k * sampler.steps + step); // no two steps of two images have the same noise
        const fixed = from.filter((input) => sampler.fixed?.includes(nameOf(input)));
        const others = from.filter((input) => !fixed.includes(input));
        const batched = { start, n: batch, arrays };
        return {
          ...feedsFor(others, batched, draws, options.seed),
          ...feedsFor(fixed, batched, numbers, options.seed),
        };
      };
      let at: Float32Array = state;
      for (let k = 0; k < sampler.steps; k++) at = (await stepping.run(feeds(stepping, at, k))).next!.data;
      return (await ending.run(feeds(ending, at, 0))).x!.data;
    },
    dispose: async () => {
      await stepping.dispose();
      await ending.dispose();
    },
  };
}
