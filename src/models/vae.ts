// A convolutional variational autoencoder: a bound on log P(x) with one draw from the posterior.
// Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014; discretised logistic likelihood of the pixels.

import * as z from 'zod';
import type { Value } from '../graph/index.ts';
import {
  dequantise,
  discretisedLogistic,
  negated,
  type Parts,
  partOf,
  regionParts,
  toPixels,
} from '../objectives/index.ts';
import { add, exp, log, mul, neg, reduceSum, relu, reshape, square, sub } from '../ops/index.ts';
import type { Architecture } from './architecture.ts';
import { parseConfig, positive, requireDivisible } from './configure.ts';
import { conv2d, linear, perChannel, upsample2d } from './layers.ts';
import type { Scope } from './scope.ts';

const schema = z.strictObject({ latent: positive(32), hidden: positive(32) });

/** Size of the latent vector; channels of the outermost layers (twice and four times as many further in). */
export type VaeConfig = z.output<typeof schema>;

/** Scale of the pixels' logistic before training, in units of the whole range of brightness. */
const INITIAL_LOG_SCALE = -2;

/**
 * A convolutional VAE of images [c, h, w]; h and w must be divisible by 8. (Kingma & Welling, "Auto-encoding
 * variational Bayes", ICLR 2014)
 */
export const vae: Architecture<VaeConfig> = {
  name: 'vae',
  takes: 'images',

  configure(input, data) {
    const config = parseConfig('vae', schema, input);
    requireDivisible('vae', data, 8);
    return config;
  },

  loss(config, data, scope) {
    const c = data[0]!;
    const x = scope.arena.input('x', [1, ...data]);
    const posterior = encoder(config, scope.in('encoder'), dequantise(x, 0.5));
    const latent = drawLatent(posterior);
    const decoding = scope.in('decoder');
    const mean = decoder(config, decoding, data, latent); // [1, c, h, w]
    const logScale = pixelLogScale(decoding, c);
    // -log P(x) <= KL(q(z | x) ‖ N(0, I)) - E_q log P(x | z)
    const kl = posteriorKl(posterior);
    const logProbs = discretisedLogistic(x, mean, perChannel(logScale));
    const reconstruction = neg(reduceSum(logProbs));
    const parts = () => [...klParts(posterior), negated(regionParts('reconstruction', logProbs))];
    return { nll: add(kl, reconstruction), parts };
  },

  /**
   * The mean image of each latent, or with pixel noise pixels by the inverse of the logistic's distribution function.
   */
  sample(config, data, scope, _weights, { temperature, pixelNoise }) {
    const eps = reshape(scope.arena.input('z', [config.latent], 'normal'), [1, config.latent]);
    const decoding = scope.in('decoder');
    const mean = decoder(config, decoding, data, mul(eps, temperature));
    if (!pixelNoise) return toPixels(mean);
    const u = scope.arena.input('u', mean.shape, 'uniform');
    const scale = perChannel(exp(pixelLogScale(decoding, data[0]!)));
    return toPixels(add(mean, mul(scale, sub(log(u), log(sub(1, u))))));
  },
};

/** [c] log scale of the pixels' logistic. */
function pixelLogScale(decoding: Scope, c: number): Value {
  return decoding.param('logScale', [c], { kind: 'values', data: new Array<number>(c).fill(INITIAL_LOG_SCALE) });
}

/** q(z | x) = N(mu, exp(logVar)), [1, latent] each. */
export interface Posterior {
  readonly mu: Value;
  readonly logVar: Value;
}

/** z [1, latent] of the posterior, by the random input 'eps'. */
export function drawLatent({ mu, logVar }: Posterior): Value {
  const latent = mu.shape[1]!;
  const eps = reshape(mu.arena.input('eps', [latent], 'normal'), [1, latent]);
  return add(mu, mul(exp(mul(logVar, 0.5)), eps));
}

/** x [1, c, h, w] in [-0.5, 0.5] units -> the posterior. */
export function encoder({ hidden, latent }: VaeConfig, scope: Scope, x: Value): Posterior {
  let y = x;
  [hidden, 2 * hidden, 4 * hidden].forEach((channels, i) => {
    y = relu(conv2d(scope.in(`conv${i + 1}`), y, channels, 3, { stride: 2 }));
  });
  const flat = reshape(y, [1, -1]); // [1, 4·hidden · h/8 · w/8]
  return { mu: linear(scope.in('mu'), flat, latent), logVar: linear(scope.in('logVar'), flat, latent) };
}

/** z [1, latent] -> mean image [1, c, h, w] in [-0.5, 0.5] units. */
function decoder(config: VaeConfig, scope: Scope, data: readonly number[], latent: Value): Value {
  return conv2d(scope.in('out'), decoderFeatures(config, scope, data, latent), data[0]!, 3);
}

/** z [1, latent] -> features [1, hidden, h, w]. */
export function decoderFeatures({ hidden }: VaeConfig, scope: Scope, data: readonly number[], latent: Value): Value {
  const [, h, w] = data as readonly [number, number, number];
  const start = [1, 4 * hidden, h / 8, w / 8];
  let y = reshape(relu(linear(scope.in('linear'), latent, (start[1]! * h * w) / 64)), start);
  [2 * hidden, hidden, hidden].forEach((channels, i) => {
    y = relu(upsample2d(scope.in(`up${i + 1}`), y, channels));
  });
  return y;
}

/** KL(q(z | x) ‖ N(0, I)) of q = N(mu, exp(logVar)), in nats (Kingma & Welling, appendix B). */
export function posteriorKl({ mu, logVar }: Posterior): Value {
  return mul(reduceSum(sub(add(square(mu), exp(logVar)), add(logVar, 1))), 0.5);
}

/** The two terms of that: what the posterior's means are from 0, and its variances from 1. */
export function klParts({ mu, logVar }: Posterior): Parts[] {
  return [
    partOf('kl.mean', mul(reduceSum(square(mu)), 0.5)),
    partOf('kl.variance', mul(reduceSum(sub(exp(logVar), add(logVar, 1))), 0.5)),
  ];
}
