// What a network says about a pixel, given those before it, and how a pixel is drawn from that: 256 probabilities, or a
// mixture of discretised logistics over all channels.

import type { Value } from '../graph/index.ts';
import { categorical, dequantise, discretisedLogistic, drawCategory, oneHot } from '../objectives/index.ts';
import {
  add,
  concat,
  div,
  exp,
  floor,
  log,
  logSumExp,
  maximum,
  minimum,
  mul,
  reduceSum,
  reshape,
  slice,
  split,
  sub,
  tanh,
} from '../ops/index.ts';

export interface PixelDistribution {
  /** What the network's outputs for a pixel are before training, one number each. */
  readonly start: readonly number[];
  /** log P(pixel), [1, 1, h, w], from pixels 0..255, [1, c, h, w], and outputs [1, start.length, h, w]. */
  logProb(x: Value, outputs: Value): Value;
  /**
   * A pixel [1, c, 1, 1] from outputs [1, start.length, 1, 1] and new uniform inputs; `temperature` scales the noise.
   */
  draw(outputs: Value, temperature: number): Value;
}

/**
 * Grey pixels: the outputs are the logits of the 256 values (van den Oord et al., "Pixel recurrent neural networks",
 * ICML 2016).
 */
export const softmaxPixels: PixelDistribution = {
  start: new Array<number>(256).fill(0),
  logProb: (x, outputs) => categorical(x, outputs, 1),
  draw: (outputs, temperature) => {
    const u = outputs.arena.input('u', [1, 1], 'uniform');
    return reshape(drawCategory(div(reshape(outputs, [1, 256]), temperature), u), [1, 1, 1, 1]);
  },
};

/** Log-scale of every logistic before training, in units of the whole range of brightness. */
const INITIAL_LOG_SCALE = -2;

/**
 * K discretised logistics per channel with joint weights: P(x) = Σ_k π_k Π_c P(x_c | μ_ck, s_ck). The mean of a channel
 * is linear in the channels before it, coefficients by tanh (Salimans et al., "PixelCNN++", ICLR 2017, section 2.2).
 * The outputs are the logits of π, then c·K means, c·K log-scales and c (c - 1) / 2 · K coefficients.
 */
export function logisticMixturePixels(c: number, mixtures: number): PixelDistribution {
  const pairs = (c * (c - 1)) / 2;
  const repeated = (count: number, value: (k: number) => number) =>
    Array.from({ length: count * mixtures }, (_, i) => value(i % mixtures));

  /** [1, outputs, h, w] as values [1, .., K, h, w]. */
  const parts = (outputs: Value) => {
    const [, , h, w] = outputs.shape as [number, number, number, number];
    let at = 0;
    const next = (count: number) => {
      const block = slice(outputs, 1, at * mixtures, (at + count) * mixtures);
      at += count;
      return reshape(block, [1, count, mixtures, h, w]);
    };
    const [logits, means, logScales] = [next(1), next(c), next(c)];
    return { logits, means, logScales, coefficients: pairs > 0 ? tanh(next(pairs)) : undefined };
  };

  /** Mean of channel i given the pixel's channels before it, which are in units of `dequantise`. */
  const meanOf = (i: number, means: Value, coefficients: Value | undefined, before: readonly Value[]): Value => {
    const first = (i * (i - 1)) / 2;
    return before.reduce(
      (mean, y, j) => add(mean, mul(slice(coefficients!, 1, first + j, first + j + 1), y)),
      slice(means, 1, i, i + 1),
    );
  };

  return {
    start: [
      ...repeated(1, () => 0),
      ...repeated(c, (k) => (k + 0.5) / mixtures - 0.5), // spread over the range: equal components would stay equal
      ...repeated(c, () => INITIAL_LOG_SCALE),
      ...repeated(pairs, () => 0),
    ],

    logProb: (x, outputs) => {
      const [, , h, w] = x.shape as [number, number, number, number];
      const { logits, means, logScales, coefficients } = parts(outputs);
      const pixels = reshape(x, [1, c, 1, h, w]);
      const channels = split(dequantise(pixels, 0.5), c, 1);
      const mean = concat(
        channels.map((_, i) => meanOf(i, means, coefficients, channels.slice(0, i))),
        1,
      );
      const joint = reduceSum(discretisedLogistic(pixels, mean, logScales), [1], true); // [1, 1, K, h, w]
      const logProb = sub(logSumExp(add(logits, joint), [2]), logSumExp(logits, [2]));
      return reshape(logProb, [1, 1, h, w]);
    },

    draw: (outputs, temperature) => {
      const { logits, means, logScales, coefficients } = parts(outputs);
      const { arena } = outputs;
      const choice = arena.input('choice', [1, 1], 'uniform');
      const component = drawCategory(div(reshape(logits, [1, mixtures]), temperature), choice);
      const chosen = reshape(oneHot(component, mixtures, 1), [1, 1, mixtures, 1, 1]);
      const ofChosen = (v: Value) => reduceSum(mul(v, chosen), [2], true);
      const u = arena.input('u', [1, c, 1, 1, 1], 'uniform');
      const noise = mul(mul(sub(log(u), log(sub(1, u))), exp(ofChosen(logScales))), temperature); // logistic
      const [centres, slopes] = [ofChosen(means), coefficients && ofChosen(coefficients)];
      const drawn: Value[] = [];
      for (const [i, e] of split(noise, c, 1).entries()) {
        const before = drawn.map((x) => dequantise(x, 0.5));
        drawn.push(pixelAt(add(meanOf(i, centres, slopes, before), e)));
      }
      return reshape(concat(drawn, 1), [1, c, 1, 1]);
    },
  };
}

/** The pixel whose bin holds y; the outermost bins reach to ∓∞. */
function pixelAt(y: Value): Value {
  return minimum(maximum(floor(mul(add(y, 0.5), 256)), 0), 255);
}
