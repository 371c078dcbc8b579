// A denoising diffusion model: a U-Net that predicts the noise in an image at step t, trained on all steps at random.
// Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020. Images are scaled to [-1, 1] as there.

import * as z from 'zod';
import { ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
  alphaBars,
  aspectsAt,
  denoisingErrors,
  denoisingLoss,
  gridNll,
  gridNlls,
  klToNormal,
  type NoiseLevel,
  noised,
  noiseLevel,
  partOf,
  predictedClean,
  regionParts,
  scaledParts,
  scaledPixels,
  scoredSteps,
  stepKlWeight,
  summedParts,
} from '../objectives/index.ts';
import {
  add,
  div,
  equal,
  floor,
  less,
  matmul,
  maximum,
  minimum,
  mul,
  reduceSum,
  reshape,
  slice,
  toFloat,
} from '../ops/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Architecture, Loss, Scorer } from './architecture.ts';
import { parseConfig, positive, requireDivisible } from './configure.ts';
import type { Scope } from './scope.ts';
import { shared } from './scopes.ts';
import { unet } from './unet.ts';

const schema = z.strictObject({
  channels: positive(32),
  multipliers: z.array(z.int().positive().max(256)).min(1).max(16).default([1, 2, 4]),
  groups: positive(8),
  steps: positive(1000),
  schedule: z.enum(['linear', 'cosine']).default('linear'),
  norm: z.enum(['l1', 'l2']).default('l1'),
  draws: z.enum(['uniform', 'logSnr']).default('uniform'),
});

/**
 * Channels of the outermost level, how many times as many each level has, of half the size each; groups of each norm;
 * steps T and their noise; what is made of the error in it; what the steps that training draws are uniform over.
 */
export type DdpmConfig = z.output<typeof schema>;

/** How often the network may stand in one graph: a step and a draw of its noise are a network each. */
const MAX_RUNS = 256;

const scoringSchema = z.strictObject({
  /** Steps whose denoising losses are summed. */
  timesteps: z.array(z.number().int().min(0)).min(1).max(MAX_RUNS).optional(),
  /** Draws of the noise at each step; for the bound, steps drawn. */
  noiseSamples: z.int().positive().max(MAX_RUNS).default(1),
  bound: z.boolean().default(false),
});

/**
 * A diffusion model of images [c, h, w]; h and w must be divisible by 2^(levels − 1). (Ho, Jain & Abbeel, "Denoising
 * diffusion probabilistic models", NeurIPS 2020)
 */
export const ddpm: Architecture<DdpmConfig> = {
  name: 'ddpm',
  takes: 'images',
  lossName: 'denoising loss',

  configure(input, data) {
    const config = parseConfig('ddpm', schema, input);
    const { channels, groups, multipliers } = config;
    requireDivisible(`ddpm with ${multipliers.length} levels`, data, 2 ** (multipliers.length - 1));
    if (channels % groups !== 0) throw new ModelError(`ddpm: ${channels} channels do not make ${groups} groups`);
    return config;
  },

  /**
   * ‖ε − ε̂(x_t, t)‖ for one t, uniform over the steps as in the paper, or over the log of the signal-to-noise ratio.
   * The latter, squared, is the bound up to a factor (Kingma et al., "Variational diffusion models", NeurIPS 2021, eq.
   * 18): early steps, which hold most of it, are few.
   */
  loss(config, data, scope) {
    const u = scope.arena.input('u', [], 'uniform');
    const t = config.draws === 'uniform' ? floor(mul(u, config.steps)) : drawnStep(trainingShares(config), u);
    const { level, embedding } = atStep(config, scope, t);
    const x0 = scaled(scope.arena.input('x', [1, ...data]));
    const noise = scope.arena.input('noise', x0.shape, 'normal');
    const predicted = unet(config, scope, noised(x0, noise, level), embedding);
    const how = { predicts: 'noise', norm: config.norm } as const;
    return {
      nll: denoisingLoss(predicted, x0, noise, level, how),
      parts: () => [regionParts('t', denoisingErrors(predicted, x0, noise, level, how))],
    };
  },

  /** By the denoising loss of chosen steps, each its mean over noise samples, or by the bound. Default: step 1. */
  scorer(config, input) {
    const { bound, noiseSamples, ...asked } = parseConfig('ddpm scoring', scoringSchema, input);
    if (bound) {
      if (asked.timesteps) throw new ModelError('ddpm scoring: the bound is of all steps; leave out the timesteps');
      const split = (data: Shape, scope: Scope) => boundEstimate(config, data, scope, noiseSamples);
      return { scoring: { bound, noiseSamples }, isBound: true, ...withLoss(split) };
    }
    const each = scoredSteps(config.steps);
    const { timesteps = each.slice(0, 1) } = asked;
    if (timesteps.length * noiseSamples > MAX_RUNS) {
      throw new ModelError(
        `ddpm scoring: ${timesteps.length} timesteps with ${noiseSamples} draws of the noise each, expected at most ${MAX_RUNS} of both together`,
      );
    }
    const beyond = timesteps.find((t) => t >= config.steps);
    if (beyond !== undefined) {
      throw new ModelError(`ddpm scoring: timestep ${beyond}, expected one of 0 to ${config.steps - 1}`);
    }
    return {
      scoring: { timesteps, noiseSamples },
      isBound: false,
      ...(asked.timesteps ? {} : aspectsAt(each, (t) => ({ timesteps: [t], noiseSamples }))),
      ...withLoss((data, scope) => lossAt(config, data, scope, timesteps, noiseSamples)),
    };
  },

  /** Σ of all T terms: KL of every step but the first, whose term is that of the pixels, and KL of the last state. */
  bound(config, data) {
    const alphas = alphaBars(config.schedule, config.steps);
    return {
      terms: config.steps,
      term(scope) {
        const scalar = (name: string) => scope.arena.input(name, []);
        const x = scope.arena.input('x', [1, ...data]);
        const noise = scope.arena.input('noise', x.shape, 'normal');
        const { level, embedding } = atStep(config, scope, scalar('t'));
        const state = noised(scaled(x), noise, level);
        const predicted = unet(config, scope, state, embedding);
        const l2 = denoisingLoss(predicted, x, noise, level, { predicts: 'noise', norm: 'l2' });
        const ends = add(
          mul(scalar('first'), pixelNll(x, state, predicted, noiseLevel(alphas[0]!))),
          mul(scalar('last'), klToNormal(scaled(x), alphas.at(-1)!)),
        );
        return add(mul(scalar('weight'), l2), ends);
      },
      scalars: (t) => ({
        t,
        weight: t === 0 ? 0 : stepKlWeight(alphas[t - 1]!, alphas[t]!),
        first: Number(t === 0),
        last: Number(t === config.steps - 1),
      }),
    };
  },

  /**
   * From step to step by p(x_s | x_t), of the posterior's variance, with the predicted image kept in [-1, 1]; of fewer
   * steps: the same with steps left out (Nichol & Dhariwal 2021). In the form of Song, Meng & Ermon, "Denoising
   * diffusion implicit models", ICLR 2021, eq. 12.
   */
  iterativeSampler(config, data, steps = config.steps) {
    if (steps > config.steps) throw new ModelError(`ddpm: ${steps} sampling steps, expected at most ${config.steps}`);
    const alphas = alphaBars(config.schedule, config.steps);
    const stepOf = (k: number) => Math.round(((steps - k) * config.steps) / steps) - 1; // from T − 1 down to −1
    return {
      steps,
      start: 'normal',
      step(scope, temperature) {
        const scalar = (name: string) => scope.arena.input(name, []);
        const state = scope.arena.input('state', [1, ...data]);
        const { level, embedding } = atStep(config, scope, scalar('t'));
        const predicted = unet(config, scope, state, embedding);
        const clean = minimum(1, maximum(-1, predictedClean(state, predicted, level)));
        const fresh = mul(temperature, scope.arena.input('noise', state.shape, 'normal'));
        const mean = add(mul(scalar('ofClean'), clean), mul(scalar('ofState'), state));
        return add(mean, mul(scalar('std'), fresh));
      },
      scalars(k) {
        const [t, s] = [stepOf(k), stepOf(k + 1)];
        const [alphaT, alphaS] = [alphas[t]!, s < 0 ? 1 : alphas[s]!];
        const ratio = alphaT / alphaS; // of signal variance from s to t; Ho et al., eq. 7
        return {
          t,
          ofClean: (Math.sqrt(alphaS) * (1 - ratio)) / (1 - alphaT),
          ofState: (Math.sqrt(ratio) * (1 - alphaS)) / (1 - alphaT),
          std: Math.sqrt(((1 - alphaS) * (1 - ratio)) / (1 - alphaT)),
        };
      },
      toPixels: (state) => mul(add(state, 1), 127.5),
    };
  },
};

/** With the loss by itself. */
const withLoss = (split: Scorer['split']): Pick<Scorer, 'loss' | 'split'> => ({
  split,
  loss: (data, scope) => split(data, scope).nll,
});

/** Pixels 0..255 to [-1, 1]. */
const scaled = (x: Value): Value => scaledPixels(x, [-1, 1]);

/** Σ over timesteps of the mean over noise samples; all steps see the same ones, as steps of one diffusion. */
function lossAt(config: DdpmConfig, data: Shape, scope: Scope, timesteps: readonly number[], samples: number): Loss {
  const x0 = scaled(scope.arena.input('x', [1, ...data]));
  const once = shared(scope);
  const how = { predicts: 'noise', norm: config.norm } as const;
  const runs = Array.from({ length: samples }, (_, k) => {
    const noise = scope.arena.input(`noise${k}`, x0.shape, 'normal');
    return timesteps.map((t) => {
      const { level, embedding } = atStep(config, once, t);
      const predicted = unet(config, once, noised(x0, noise, level), embedding);
      const term = denoisingLoss(predicted, x0, noise, level, how);
      return { term, errors: () => denoisingErrors(predicted, x0, noise, level, how) };
    });
  });
  return {
    nll: mul(1 / samples, runs.flatMap((run) => run.map(({ term }) => term)).reduce(add)),
    parts: () =>
      [...new Set(timesteps)].map((t) => {
        const drawn = runs.map((run) => regionParts(`t${t}`, run[timesteps.indexOf(t)]!.errors()));
        return scaledParts(summedParts(drawn), timesteps.filter((other) => other === t).length / samples);
      }),
  };
}

/**
 * The bound with its two ends as they are and the T − 1 terms between them from `draws` of them: each step by the part
 * it has in the fall of log SNR (most of the bound is in few early steps), stratified, and weighted so that the
 * expectation is the sum.
 */
function boundEstimate(config: DdpmConfig, data: Shape, scope: Scope, draws: number): Loss {
  const { steps } = config;
  const x = scope.arena.input('x', [1, ...data]);
  const x0 = scaled(x);
  const once = shared(scope);
  const alphas = alphaBars(config.schedule, steps);
  const noiseOf = (k: number | string) => scope.arena.input(`noise${k}`, x.shape, 'normal');
  const first = atStep(config, once, 0);
  const state = noised(x0, noiseOf('First'), first.level);
  const seen = unet(config, once, state, first.embedding);
  const pixels = pixelNll(x, state, seen, noiseLevel(alphas[0]!));
  const last = klToNormal(x0, alphas.at(-1)!);
  const ends = add(pixels, last);
  const parts = () => [
    regionParts('pixels', gridNlls(x, ...pixelGrid(state, seen, noiseLevel(alphas[0]!)))),
    partOf('last', last),
  ];
  if (steps === 1) return { nll: ends, parts };
  const shares = logSnrShares(alphas); // of steps 1 to T − 1
  const factors = Array.from(alphas, (a, t) => (t === 0 ? 0 : stepKlWeight(alphas[t - 1]!, a) / shares[t - 1]!));
  const between = Array.from({ length: draws }, (_, k) => {
    const v = div(add(scope.arena.input(`u${k}`, [], 'uniform'), k), draws);
    const t = add(1, drawnStep(shares, v));
    const { level, embedding, row } = atStep(config, once, t);
    const noise = noiseOf(k);
    const predicted = unet(config, once, noised(x0, noise, level), embedding);
    const l2 = denoisingLoss(predicted, x0, noise, level, { predicts: 'noise', norm: 'l2' });
    return mul(l2, reduceSum(matmul(row, scope.arena.constant(factors, [steps, 1]))));
  });
  return {
    nll: add(ends, div(between.reduce(add), draws)),
    parts: () => [...parts(), ...between.map((term, k) => partOf(`steps[${k}]`, div(term, draws)))],
  };
}

/** The part that each of the steps 1 to T − 1 has in the fall of log SNR from step 0 to the last. */
function logSnrShares(alphas: Float64Array): readonly number[] {
  const logSnr = Array.from(alphas, (a) => Math.log(a / (1 - a)));
  const total = logSnr[0]! - logSnr.at(-1)!;
  return logSnr.slice(1).map((end, i) => (logSnr[i]! - end) / total);
}

/**
 * How often training draws each of the steps 0 to T − 1, in proportion to their part in log SNR; step 0, which has
 * none, as often as step 1.
 */
function trainingShares({ schedule, steps }: DdpmConfig): readonly number[] {
  if (steps === 1) return [1];
  const shares = logSnrShares(alphaBars(schedule, steps));
  return [shares[0]!, ...shares].map((share) => share / (1 + shares[0]!));
}

/** Which of the shares, laid end to end from 0 to 1, u [] falls into, counted from 0. */
function drawnStep(shares: readonly number[], u: Value): Value {
  let end = 0;
  const ends = shares.map((share) => {
    end += share;
    return end;
  });
  return minimum(shares.length - 1, reduceSum(toFloat(less(u.arena.constant(ends, [ends.length]), u))));
}

/**
 * −log P(x | x_0) of the pixels, around the image that the network sees in the least noisy state; variance as Ho et
 * al.'s σ_1² = β_1.
 */
function pixelNll(x: Value, state: Value, predicted: Value, level: { signal: number; noise: number }): Value {
  return gridNll(x, ...pixelGrid(state, predicted, level));
}

/** Mean and standard deviation of that. */
const pixelGrid = (state: Value, predicted: Value, level: { signal: number; noise: number }): [Value, number] => [
  predictedClean(state, predicted, level),
  level.noise / level.signal,
];

/**
 * What depends on the step alone: its noise level and its embedding [1, channels], sines and cosines of t at
 * wavelengths 2π to 2π·10,000. For a step that varies with the example a row of a table picks them.
 */
function atStep(
  { schedule, steps, channels }: DdpmConfig,
  scope: Scope,
  t: Value | number,
): { readonly level: NoiseLevel; readonly embedding: Value; readonly row: Value } {
  const alphas = alphaBars(schedule, steps);
  const half = Math.ceil(channels / 2);
  const angle = (k: number, i: number) => k * Math.exp((-Math.log(10000) * (i % half)) / half);
  const waves = (k: number) =>
    Array.from({ length: channels }, (_, i) => (i < half ? Math.sin(angle(k, i)) : Math.cos(angle(k, i))));
  const { arena } = scope;
  if (typeof t === 'number') {
    const row = arena.constant(
      Float64Array.from(alphas, (_, k) => Number(k === t)),
      [1, steps],
    );
    return { level: noiseLevel(alphas[t]!), embedding: arena.constant(waves(t), [1, channels]), row };
  }
  const rows = Array.from(alphas, (a, k) => [...Object.values(noiseLevel(a)), ...waves(k)]);
  const every = arena.constant(Float64Array.from(alphas.keys()), [1, steps]);
  const row = toFloat(equal(reshape(t, [1, 1]), every)); // one-hot
  const found = matmul(row, arena.constant(rows.flat(), [steps, 2 + channels]));
  const at = (i: number) => reshape(slice(found, 1, i, i + 1), []);
  return { level: { signal: at(0), noise: at(1) }, embedding: slice(found, 1, 2, 2 + channels), row };
}
