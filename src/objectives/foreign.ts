// What a network that stops short of a loss gives, in; the negative log-likelihood (or bound, or denoising loss) of one example out.

import { GraphError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
  abs,
  add,
  equal,
  exp,
  logSoftmax,
  mul,
  neg,
  reduceSum,
  reshape,
  slice,
  softplus,
  square,
  sub,
  where,
} from '../ops/index.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { gaussianLogDensity } from './likelihood.ts';

/** ᾱ_t, the share of the signal's variance that is left at step t of `steps`. */
export function alphaBar(schedule: 'linear' | 'cosine', t: number, steps: number): number {
  if (schedule === 'cosine') {
    // Nichol & Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, eq. 17.
    const f = (k: number) => Math.cos((((k / steps + 0.008) / 1.008) * Math.PI) / 2) ** 2;
    return Math.max(1e-5, f(t + 1) / f(0));
  }
  // Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020: β from 1e-4 to 0.02, as for 1,000 steps.
  let product = 1;
  for (let k = 0; k <= t; k++) product *= 1 - (1e-4 + ((0.02 - 1e-4) * k) / Math.max(1, steps - 1));
  return product;
}

/** What a denoising network predicts: the noise ε, the clean x0, or v = √ᾱ ε − √(1 − ᾱ) x0 (Salimans & Ho 2022). */
export type Prediction = 'noise' | 'x0' | 'v';

/** √ᾱ x0 + √(1 − ᾱ) ε: what the network sees. */
export function noised(x0: Value, noise: Value, alpha: number): Value {
  return add(mul(Math.sqrt(alpha), x0), mul(Math.sqrt(1 - alpha), noise));
}

/** Σ (target − prediction)², or Σ |target − prediction| as in the paper's diffusion models. */
export function denoisingLoss(
  prediction: Value,
  x0: Value,
  noise: Value,
  alpha: number,
  options: { readonly predicts: Prediction; readonly norm: 'l1' | 'l2' },
): Value {
  const v = () => sub(mul(Math.sqrt(alpha), noise), mul(Math.sqrt(1 - alpha), x0));
  const target = options.predicts === 'noise' ? noise : options.predicts === 'x0' ? x0 : v();
  if (sizeOf(prediction.shape) !== sizeOf(target.shape)) {
    throw new GraphError(`denoise: the model gives ${shapeText(prediction.shape)} for data of ${shapeText(x0.shape)}`);
  }
  const error = sub(reshape(prediction, target.shape), target);
  return reduceSum(options.norm === 'l1' ? abs(error) : square(error));
}

/** −log p(x) = −log N(z; 0, I) − log |det ∂z/∂x|. The log-determinant may be one number or one per element of some axes. */
export function flowNll(latent: Value, logDet: Value): Value {
  return neg(add(gaussianLogDensity(latent, 0, 0), reduceSum(logDet)));
}

/** −ELBO = −log p(x | z) + KL(N(μ, σ²) ‖ N(0, I)), with p gaussian of variance 1 or Bernoulli with logits. */
export function elboNll(
  x: Value,
  reconstruction: Value,
  mean: Value,
  logVariance: Value,
  likelihood: 'gaussian' | 'bernoulli',
): Value {
  if (sizeOf(reconstruction.shape) !== sizeOf(x.shape)) {
    throw new GraphError(
      `elbo: the reconstruction is ${shapeText(reconstruction.shape)}, the data ${shapeText(x.shape)}`,
    );
  }
  const r = reshape(reconstruction, x.shape);
  const fit = likelihood === 'gaussian' ? neg(gaussianLogDensity(x, r, 0)) : reduceSum(sub(softplus(r), mul(x, r))); // log(1 + e^r) − x r
  const kl = mul(0.5, reduceSum(sub(sub(add(square(mean), exp(logVariance)), 1), logVariance)));
  return add(fit, kl);
}

/** −Σ_t log p(token t + 1 | tokens up to t), from logits [1, T, V] and tokens [1, T]. */
export function causalLmNll(logits: Value, tokens: Value): Value {
  const [, length, vocabulary] = logits.shape as [number, number, number];
  if (logits.shape.length !== 3 || !sameShape(tokens.shape, [1, length])) {
    throw new GraphError(
      `causal-lm: logits are ${shapeText(logits.shape)} and tokens ${shapeText(tokens.shape)}, expected [1, T, V] and [1, T]`,
    );
  }
  if (length < 2) throw new GraphError('causal-lm: a sequence of one token has nothing to predict');
  const logs = logSoftmax(slice(logits, 1, 0, length - 1), 2);
  const next = reshape(slice(tokens, 1, 1, length), [1, length - 1, 1]);
  const every = tokens.arena.constant(
    Array.from({ length: vocabulary }, (_, k) => k),
    [vocabulary],
    'int',
  );
  return neg(reduceSum(where(equal(next, every), logs, 0)));
}

/** Pixels 0..255 mapped to the range a network was trained on. */
export function scaledPixels(x: Value, [low, high]: readonly [number, number]): Value {
  return add(mul(x, (high - low) / 255), low);
}
