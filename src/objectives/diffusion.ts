// Diffusion: how much of an image is left at step t, the denoising loss, and the terms of the variational bound, as
// graphs over one example. Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020. Steps count
// from 0; x₋₁ is the data.

import { GraphError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
  abs,
  add,
  div,
  equal,
  logSoftmax,
  mul,
  type Operand,
  reduceSum,
  reshape,
  square,
  sub,
  where,
} from '../ops/index.ts';
import { shapeText, sizeOf } from '../tensor/shape.ts';

export type Schedule = 'linear' | 'cosine';

/** ᾱ_t, the share of the signal's variance that is left, for t = 0 .. steps − 1. */
export function alphaBars(schedule: Schedule, steps: number): Float64Array {
  const beta = schedule === 'linear' ? linear : cosine;
  let product = 1;
  return Float64Array.from({ length: steps }, (_, t) => {
    product *= 1 - beta(t, steps);
    return product;
  });
}

/** β_t from 1e-4 to 0.02, chosen for 1,000 steps. */
function linear(t: number, steps: number): number {
  return 1e-4 + ((0.02 - 1e-4) * t) / Math.max(1, steps - 1);
}

/**
 * β_t for ᾱ a squared cosine. Nichol & Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, eq.
 * 17.
 */
function cosine(t: number, steps: number): number {
  const f = (k: number) => Math.cos((((k / steps + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Math.min(0.999, 1 - f(t + 1) / f(t));
}

/**
 * Beside the first step, shares of all steps: of little noise, where textures show, and of much, where shapes do. They
 * were chosen on the published models (docs/detection.md).
 */
const SHARES = [0.064, 0.256];

/** The steps at which a model of so many is scored where none is asked for, each by itself; the first one first. */
export function scoredSteps(steps: number): readonly number[] {
  return [...new Set([Math.min(1, steps - 1), ...SHARES.map((share) => Math.floor(share * steps))])];
}

/**
 * What there is of each of these steps by itself, under the name that columns of tables begin with; none of one step.
 */
export function aspectsAt<T>(
  steps: readonly number[],
  of: (t: number) => T,
): { readonly aspects?: Readonly<Record<string, T>> } {
  return steps.length === 1 ? {} : { aspects: Object.fromEntries(steps.map((t) => [`t${t}`, of(t)])) };
}

/** √ᾱ and √(1 − ᾱ), the factors of image and noise at a step: numbers, or values of shape []. */
export interface NoiseLevel {
  readonly signal: Operand;
  readonly noise: Operand;
}

export function noiseLevel(alpha: number): { readonly signal: number; readonly noise: number } {
  return { signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha) };
}

/** What a denoising network predicts: the noise ε, the clean x0, or v = √ᾱ ε − √(1 − ᾱ) x0 (Salimans & Ho 2022). */
export type Prediction = 'noise' | 'x0' | 'v';

/** √ᾱ x0 + √(1 − ᾱ) ε: what the network sees. */
export function noised(x0: Value, noise: Value, level: NoiseLevel): Value {
  return add(mul(level.signal, x0), mul(level.noise, noise));
}

/** x0 as the predicted noise has it: (x_t − √(1 − ᾱ) ε) / √ᾱ. */
export function predictedClean(state: Value, noise: Value, level: NoiseLevel): Value {
  return div(sub(state, mul(level.noise, noise)), level.signal);
}

/** What a denoising network predicts, and what is made of its error. */
export interface DenoisingOptions {
  readonly predicts: Prediction;
  readonly norm: 'l1' | 'l2';
}

/** Σ (target − prediction)², or Σ |target − prediction| as in the paper's diffusion models. */
export function denoisingLoss(
  prediction: Value,
  x0: Value,
  noise: Value,
  level: NoiseLevel,
  options: DenoisingOptions,
): Value {
  return reduceSum(denoisingErrors(prediction, x0, noise, level, options));
}

/** The terms of that sum, of the shape of the data. */
export function denoisingErrors(
  prediction: Value,
  x0: Value,
  noise: Value,
  level: NoiseLevel,
  options: DenoisingOptions,
): Value {
  const v = () => sub(mul(level.signal, noise), mul(level.noise, x0));
  const target = options.predicts === 'noise' ? noise : options.predicts === 'x0' ? x0 : v();
  if (sizeOf(prediction.shape) !== sizeOf(target.shape)) {
    throw new GraphError(`denoise: the model gives ${shapeText(prediction.shape)} for data of ${shapeText(x0.shape)}`);
  }
  const error = sub(reshape(prediction, target.shape), target);
  return options.norm === 'l1' ? abs(error) : square(error);
}

/**
 * w in KL(q(x_s | x_t, x0) ‖ p(x_s | x_t)) = w ‖ε − ε̂‖², for p of the posterior's own variance: ½ (SNR(s) / SNR(t) −
 * 1) with SNR = ᾱ / (1 − ᾱ). Ho et al., eq. 12; Kingma et al., "Variational diffusion models", NeurIPS 2021, eq. 14.
 */
export function stepKlWeight(alphaS: number, alphaT: number): number {
  return 0.5 * ((alphaS * (1 - alphaT)) / ((1 - alphaS) * alphaT) - 1);
}

/** KL(q(x_T | x0) ‖ N(0, I)) for the last step's ᾱ. */
export function klToNormal(x0: Value, alpha: number): Value {
  const variance = 1 - alpha;
  return mul(0.5, reduceSum(add(mul(alpha, square(x0)), variance - 1 - Math.log(variance))));
}

/**
 * −Σ log P(x) of pixels 0..255 around `mean` in [-1, 1] units: the 256 values of a normal density, made to sum to 1.
 * (Ho et al. give a pixel its density's mass between neighbours, whose logarithm float32 loses in the tails.)
 */
export function gridNll(x: Value, mean: Value, std: Operand): Value {
  return mul(-1, reduceSum(gridLogs(x, mean, std)));
}

/** The terms of that sum, of the shape of x. */
export function gridNlls(x: Value, mean: Value, std: Operand): Value {
  return mul(-1, reshape(reduceSum(gridLogs(x, mean, std), [1]), x.shape));
}

/** log P of each pixel, and 0 for its other values, [c·h·w, 256]. */
function gridLogs(x: Value, mean: Value, std: Operand): Value {
  const values = Array.from({ length: 256 }, (_, k) => k);
  const pixels = x.arena.constant(values, [256]);
  const centres = x.arena.constant(
    values.map((k) => (2 * k) / 255 - 1),
    [256],
  );
  const distance = div(sub(reshape(mean, [-1, 1]), centres), std); // [c·h·w, 256]
  const logs = logSoftmax(mul(-0.5, square(distance)), 1);
  return where(equal(reshape(x, [-1, 1]), pixels), logs, 0);
}
