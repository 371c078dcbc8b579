// Gated PixelCNN: each pixel given those above it and to its left, by two stacks of causal convolutions.
// van den Oord et al., "Conditional image generation with PixelCNN decoders", NeurIPS 2016.

import * as z from 'zod';
import { ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import { negated, regionParts } from '../objectives/index.ts';
import { neg, reduceSum } from '../ops/index.ts';
import type { Architecture } from './architecture.ts';
import { causalFeatures, LEAST_SIZE, pixelOutputs, rasterSampler } from './causal.ts';
import { components, depth, parseConfig, positive, requireDivisible } from './configure.ts';
import { logisticMixturePixels, type PixelDistribution, softmaxPixels } from './pixels.ts';
import type { Scope } from './scope.ts';

const schema = z.strictObject({
  layers: depth(8),
  channels: positive(32),
  output: z.enum(['logistic', 'softmax']).default('logistic'),
  mixtures: components(5),
});

/** Gated layers of so many channels per stack; a mixture of `mixtures` logistics, or a softmax over 256 values. */
export type PixelCnnConfig = z.output<typeof schema>;

/**
 * An autoregressive model of images [c, h, w] with an exact likelihood. (van den Oord et al., "Conditional image
 * generation with PixelCNN decoders", NeurIPS 2016)
 */
export const pixelcnn: Architecture<PixelCnnConfig> = {
  name: 'pixelcnn',
  takes: 'images',

  configure(input, data) {
    const config = parseConfig('pixelcnn', schema, input);
    requireDivisible('pixelcnn', data, 1);
    const [c, h, w] = data as readonly [number, number, number];
    if (config.output === 'softmax' && c !== 1) {
      throw new ModelError(`pixelcnn with output softmax needs grey images, got ${c} channels; use output logistic`);
    }
    if (h < LEAST_SIZE || w < LEAST_SIZE) {
      throw new ModelError(`pixelcnn needs images of at least ${LEAST_SIZE}×${LEAST_SIZE} pixels, got ${h}×${w}`);
    }
    return config;
  },

  loss(config, data, scope) {
    const x = scope.arena.input('x', [1, ...data]);
    const logProbs = pixelLogProbs(config, scope, x);
    return { nll: neg(reduceSum(logProbs)), parts: () => [negated(regionParts('pixels', logProbs))] };
  },

  /** One pixel per step, from the top left, each by a pass over the whole image. */
  iterativeSampler(config, data) {
    const distribution = distributionOf(config, data[0]!);
    return rasterSampler(data, distribution, (scope, state) => causalFeatures(scope, state, config));
  },
};

/** log P(pixel | those before it in raster order), [1, 1, h, w], of images x [1, c, h, w], 0..255. */
export function pixelLogProbs(config: PixelCnnConfig, scope: Scope, x: Value): Value {
  const distribution = distributionOf(config, x.shape[1]!);
  return distribution.logProb(x, pixelOutputs(scope, causalFeatures(scope, x, config), distribution));
}

function distributionOf({ output, mixtures }: PixelCnnConfig, c: number): PixelDistribution {
  return output === 'softmax' ? softmaxPixels : logisticMixturePixels(c, mixtures);
}
