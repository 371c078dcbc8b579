// Gated PixelCNN: each pixel given those above it and to its left, by two stacks of causal convolutions.
// van den Oord et al., "Conditional image generation with PixelCNN decoders", NeurIPS 2016.

import { z } from 'zod';
import { ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import { dequantise } from '../objectives/index.ts';
import {
  add,
  conv,
  equal,
  mul,
  neg,
  reduceSum,
  relu,
  sigmoid,
  slice,
  split,
  sub,
  tanh,
  toFloat,
} from '../ops/index.ts';
import type { Shape } from '../tensor/shape.ts';
import { parseConfig, positive, requireDivisible } from './configure.ts';
import { conv2d, fanIn } from './layers.ts';
import type { Architecture } from './model.ts';
import { logisticMixturePixels, type PixelDistribution, softmaxPixels } from './pixels.ts';
import type { Scope } from './scope.ts';

const schema = z.strictObject({
  layers: positive(8),
  channels: positive(32),
  output: z.enum(['logistic', 'softmax']).default('logistic'),
  mixtures: z.int().min(2).default(5), // the weight of a single component could never have a gradient
});

/** Gated layers of so many channels per stack; a mixture of `mixtures` logistics, or a softmax over 256 values. */
export type PixelCnnConfig = z.output<typeof schema>;

/** Full sizes of the kernels, of which the causal part is kept: the first layer's, which leaves out the pixel itself, and the others'. */
const FIRST = 7;
const LATER = 3;

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
    const least = (FIRST + 1) / 2; // in a smaller image some of the first layer's weights would never see a pixel
    if (h < least || w < least) {
      throw new ModelError(`pixelcnn needs images of at least ${least}×${least} pixels, got ${h}×${w}`);
    }
    return config;
  },

  loss(config, data, scope) {
    const x = scope.arena.input('x', [1, ...data]);
    return { nll: neg(reduceSum(pixelLogProbs(config, scope, x))), parts: {} };
  },

  /** One pixel per step, from the top left, each by a pass over the whole image. */
  iterativeSampler(config, data) {
    const [c, h, w] = data as readonly [number, number, number];
    return {
      steps: h * w,
      start: 'zeros',
      step(scope, temperature) {
        const state = scope.arena.input('state', [1, ...data]);
        const places = scope.arena.constant(
          Array.from({ length: h * w }, (_, i) => i),
          [1, 1, h, w],
        );
        const here = toFloat(equal(scope.arena.input('pixel', []), places));
        const at = reduceSum(mul(features(config, scope, state), here), [2, 3], true); // [1, channels, 1, 1]
        const pixels = pixelsOf(config, c);
        const pixel = pixels.draw(outputs(scope, at, pixels), temperature);
        return add(mul(state, sub(1, here)), mul(pixel, here));
      },
      scalars: (k) => ({ pixel: k }),
      pixels: (state) => state,
    };
  },
};

/** log P(pixel | those before it in raster order), [1, 1, h, w], of images x [1, c, h, w], 0..255. */
export function pixelLogProbs(config: PixelCnnConfig, scope: Scope, x: Value): Value {
  const pixels = pixelsOf(config, x.shape[1]!);
  return pixels.logProb(x, outputs(scope, features(config, scope, x), pixels));
}

function pixelsOf({ output, mixtures }: PixelCnnConfig, c: number): PixelDistribution {
  return output === 'softmax' ? softmaxPixels : logisticMixturePixels(c, mixtures);
}

/** The horizontal stack behind its last layer, [1, channels, h, w]: at each pixel a function of those before it. */
function features({ layers, channels }: PixelCnnConfig, scope: Scope, x: Value): Value {
  let stacks = firstLayer(scope.in('layer0'), dequantise(x, 0.5), channels);
  for (let i = 1; i < layers; i++) stacks = gatedLayer(scope.in(`layer${i}`), stacks, channels);
  return stacks.left;
}

/** What is known at each pixel [1, channels, h, w]: from the rows above it, and from its own row to the left as well. */
interface Stacks {
  readonly above: Value;
  readonly left: Value;
}

/** Mask A: the kernels end one row above the pixel and one pixel to its left. */
function firstLayer(scope: Scope, y: Value, channels: number): Stacks {
  const r = (FIRST - 1) / 2;
  const above = causalConv(scope.in('vertical'), slice(y, 2, 0, -1), 2 * channels, [r, FIRST], [r, r, 0, r]);
  const left = causalConv(scope.in('horizontal'), slice(y, 3, 0, -1), 2 * channels, [1, r], [0, r, 0, 0]);
  return joined(scope, above, left, channels);
}

/** Mask B: the kernels end in the pixel's own row of the vertical stack, and in the pixel itself (figure 2). */
function gatedLayer(scope: Scope, stacks: Stacks, channels: number): Stacks {
  const r = (LATER - 1) / 2;
  const above = causalConv(scope.in('vertical'), stacks.above, 2 * channels, [r + 1, LATER], [r, r, 0, r]);
  const left = causalConv(scope.in('horizontal'), stacks.left, 2 * channels, [1, r + 1], [0, r, 0, 0]);
  const next = joined(scope, above, left, channels);
  return { above: next.above, left: add(next.left, stacks.left) };
}

/** The vertical stack joins the horizontal one before the gates; `above` and `left` have twice the channels. */
function joined(scope: Scope, above: Value, left: Value, channels: number): Stacks {
  const link = conv2d(scope.in('link'), above, 2 * channels, 1, { bias: false }); // the horizontal one has it
  return {
    above: gate(above),
    left: conv2d(scope.in('out'), gate(add(left, link)), channels, 1),
  };
}

/** tanh(f) ⊙ σ(g) of the two halves of the channels (equation 2). */
function gate(x: Value): Value {
  const [f, g] = split(x, 2, 1) as [Value, Value];
  return mul(tanh(f), sigmoid(g));
}

/** A convolution with the causal part of a kernel alone, so that no weight is masked; pads: top, left, bottom, right. */
function causalConv(scope: Scope, x: Value, cOut: number, kernel: Shape, pads: readonly number[]): Value {
  const [rows, columns] = kernel as readonly [number, number];
  const cIn = x.shape[1]!;
  const weight = scope.param('weight', [cOut, cIn, rows, columns], fanIn(cIn * rows * columns));
  return conv(x, weight, { pads, bias: scope.param('bias', [cOut], { kind: 'zeros' }) });
}

/** Two layers that see single pixels: features [1, channels, h, w] -> what the distribution takes. */
function outputs(scope: Scope, x: Value, { start }: PixelDistribution): Value {
  const hidden = conv2d(scope.in('hidden'), relu(x), x.shape[1]!, 1);
  return conv2d(scope.in('output'), relu(hidden), start.length, 1, { bias: { kind: 'values', data: start } });
}
