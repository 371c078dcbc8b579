// Gated causal convolutions: what is known at each pixel from those before it in raster order, and how an image is
// drawn pixel by pixel. van den Oord et al., "Conditional image generation with PixelCNN decoders", NeurIPS 2016.

import type { Value } from '../graph/index.ts';
import { dequantise } from '../objectives/index.ts';
import { add, conv, equal, mul, reduceSum, relu, sigmoid, slice, split, sub, tanh, toFloat } from '../ops/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { IterativeSampler } from './architecture.ts';
import { conv2d, fanIn } from './layers.ts';
import type { PixelDistribution } from './pixels.ts';
import type { Scope } from './scope.ts';

/**
 * Full sizes of the kernels, of which the causal part is kept: the first layer's, which leaves out the pixel itself,
 * and the others'.
 */
const FIRST = 7;
const LATER = 3;

/** In an image of fewer rows or columns some of the first layer's weights would never see a pixel. */
export const LEAST_SIZE = (FIRST + 1) / 2;

/** Gated layers of so many channels in each of two stacks. */
interface CausalSize {
  readonly layers: number;
  readonly channels: number;
}

/**
 * Features [1, channels, h, w] of pixels x [1, c, h, w], 0..255: at each pixel a function of those before it, and of
 * `given` [1, k, h, w] at that place, which every layer sees (equation 4).
 */
export function causalFeatures(scope: Scope, x: Value, { layers, channels }: CausalSize, given?: Value): Value {
  let stacks = firstLayer(scope.in('layer0'), dequantise(x, 0.5), channels, given);
  for (let i = 1; i < layers; i++) stacks = gatedLayer(scope.in(`layer${i}`), stacks, channels, given);
  return stacks.left;
}

/** Two layers that see single pixels: features [1, channels, h, w] -> what the distribution takes. */
export function pixelOutputs(scope: Scope, x: Value, { start }: PixelDistribution): Value {
  const hidden = conv2d(scope.in('hidden'), relu(x), x.shape[1]!, 1);
  return conv2d(scope.in('output'), relu(hidden), start.length, 1, { bias: { kind: 'values', data: start } });
}

/**
 * Draws one pixel per step, from the top left, each by a pass over the whole image. `features`: of the pixels drawn so
 * far, as `causalFeatures` makes them; random inputs that it takes have the names `fixed`, and one value for all steps
 * of an image.
 */
export function rasterSampler(
  data: Shape,
  distribution: PixelDistribution,
  features: (scope: Scope, state: Value) => Value,
  fixed: readonly string[] = [],
): IterativeSampler {
  const [, h, w] = data as readonly [number, number, number];
  return {
    steps: h * w,
    start: 'zeros',
    fixed,
    step(scope, temperature) {
      const state = scope.arena.input('state', [1, ...data]);
      const places = scope.arena.constant(
        Array.from({ length: h * w }, (_, i) => i),
        [1, 1, h, w],
      );
      const here = toFloat(equal(scope.arena.input('pixel', []), places));
      const at = reduceSum(mul(features(scope, state), here), [2, 3], true); // [1, channels, 1, 1]
      const pixel = distribution.draw(pixelOutputs(scope, at, distribution), temperature);
      return add(mul(state, sub(1, here)), mul(pixel, here));
    },
    scalars: (k) => ({ pixel: k }),
    toPixels: (state) => state,
  };
}

/**
 * What is known at each pixel [1, channels, h, w]: from the rows above it, and from its own row to the left as well.
 */
interface Stacks {
  readonly above: Value;
  readonly left: Value;
}

/** Mask A: the kernels end one row above the pixel and one pixel to its left. */
function firstLayer(scope: Scope, y: Value, channels: number, given?: Value): Stacks {
  const r = (FIRST - 1) / 2;
  const above = causalConv(scope.in('vertical'), slice(y, 2, 0, -1), 2 * channels, [r, FIRST], [r, r, 0, r]);
  const left = causalConv(scope.in('horizontal'), slice(y, 3, 0, -1), 2 * channels, [1, r], [0, r, 0, 0]);
  return joined(scope, above, left, channels, given);
}

/** Mask B: the kernels end in the pixel's own row of the vertical stack, and in the pixel itself (figure 2). */
function gatedLayer(scope: Scope, stacks: Stacks, channels: number, given?: Value): Stacks {
  const r = (LATER - 1) / 2;
  const above = causalConv(scope.in('vertical'), stacks.above, 2 * channels, [r + 1, LATER], [r, r, 0, r]);
  const left = causalConv(scope.in('horizontal'), stacks.left, 2 * channels, [1, r + 1], [0, r, 0, 0]);
  const next = joined(scope, above, left, channels, given);
  return { above: next.above, left: add(next.left, stacks.left) };
}

/** The vertical stack joins the horizontal one before the gates; `above` and `left` have twice the channels. */
function joined(scope: Scope, above: Value, left: Value, channels: number, given?: Value): Stacks {
  const link = conv2d(scope.in('link'), above, 2 * channels, 1, { bias: false }); // the horizontal one has it
  // One convolution for both stacks: their biases are there already.
  const [toAbove, toLeft] = given
    ? (split(conv2d(scope.in('given'), given, 4 * channels, 1, { bias: false }), 2, 1) as [Value, Value])
    : [];
  return {
    above: gate(toAbove ? add(above, toAbove) : above),
    left: conv2d(scope.in('out'), gate(add(toLeft ? add(left, toLeft) : left, link)), channels, 1),
  };
}

/** tanh(f) ⊙ σ(g) of the two halves of the channels (equation 2). */
function gate(x: Value): Value {
  const [f, g] = split(x, 2, 1) as [Value, Value];
  return mul(tanh(f), sigmoid(g));
}

/**
 * A convolution with the causal part of a kernel alone, so that no weight is masked; pads: top, left, bottom, right.
 */
function causalConv(scope: Scope, x: Value, cOut: number, kernel: Shape, pads: readonly number[]): Value {
  const [rows, columns] = kernel as readonly [number, number];
  const cIn = x.shape[1]!;
  const weight = scope.param('weight', [cOut, cIn, rows, columns], fanIn(cIn * rows * columns));
  return conv(x, weight, { pads, bias: scope.param('bias', [cOut], { kind: 'zeros' }) });
}
