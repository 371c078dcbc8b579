// A variational autoencoder whose decoder also sees the pixels before the one it describes: the latent vector tells
// what the image is of, a few causal layers what neighbouring pixels have to do with each other. Gulrajani et al.,
// "PixelVAE", ICLR 2017.

import * as z from 'zod';
import type { Value } from '../graph/index.ts';
import { dequantise, negated, regionParts } from '../objectives/index.ts';
import { add, neg, reduceSum, reshape } from '../ops/index.ts';
import type { Architecture } from './architecture.ts';
import { causalFeatures, pixelOutputs, rasterSampler } from './causal.ts';
import { components, depth, parseConfig, positive, requireDivisible } from './configure.ts';
import { logisticMixturePixels } from './pixels.ts';
import type { Scope } from './scope.ts';
import { decoderFeatures, drawLatent, encoder, klParts, posteriorKl } from './vae.ts';

const schema = z.strictObject({
  latent: positive(64),
  hidden: positive(32),
  layers: depth(3),
  channels: positive(32),
  mixtures: components(5),
});

/**
 * The VAE's sizes (see vae.ts), then the causal layers on top of its decoder, and the logistics that each pixel is a
 * mixture of.
 */
export type PixelVaeConfig = z.output<typeof schema>;

/**
 * A VAE of images [c, h, w] with an autoregressive decoder; h and w must be divisible by 8. (Gulrajani et al.,
 * "PixelVAE", ICLR 2017)
 */
export const pixelvae: Architecture<PixelVaeConfig> = {
  name: 'pixelvae',
  takes: 'images',

  configure(input, data) {
    const config = parseConfig('pixelvae', schema, input);
    requireDivisible('pixelvae', data, 8);
    return config;
  },

  loss(config, data, scope) {
    const x = scope.arena.input('x', [1, ...data]);
    const posterior = encoder(config, scope.in('encoder'), dequantise(x, 0.5));
    // -log P(x) <= KL(q(z | x) ‖ N(0, I)) - E_q Σ log P(pixel | those before it, z)
    const kl = posteriorKl(posterior);
    const logProbs = pixelLogProbs(config, data, scope, x, drawLatent(posterior));
    const reconstruction = neg(reduceSum(logProbs));
    const parts = () => [...klParts(posterior), negated(regionParts('reconstruction', logProbs))];
    return { nll: add(kl, reconstruction), parts };
  },

  iterativeSampler(config, data) {
    const distribution = logisticMixturePixels(data[0]!, config.mixtures);
    const features = (scope: Scope, state: Value) => {
      const latent = reshape(scope.arena.input('z', [config.latent], 'normal'), [1, config.latent]);
      return conditionedFeatures(config, data, scope, state, latent);
    };
    return rasterSampler(data, distribution, features, ['z']);
  },
};

/**
 * log P(pixel | those before it in raster order, z), [1, 1, h, w], of pixels x [1, c, h, w], 0..255, and z [1, latent].
 */
export function pixelLogProbs(
  config: PixelVaeConfig,
  data: readonly number[],
  scope: Scope,
  x: Value,
  latent: Value,
): Value {
  const distribution = logisticMixturePixels(data[0]!, config.mixtures);
  return distribution.logProb(
    x,
    pixelOutputs(scope, conditionedFeatures(config, data, scope, x, latent), distribution),
  );
}

function conditionedFeatures(
  config: PixelVaeConfig,
  data: readonly number[],
  scope: Scope,
  x: Value,
  latent: Value,
): Value {
  return causalFeatures(scope, x, config, decoderFeatures(config, scope.in('decoder'), data, latent));
}
