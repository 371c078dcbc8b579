// Log-probabilities of 8-bit pixels and of gaussian latents, as graphs over one example. Everything in nats.

import type { Value } from '../graph/index.ts';
import {
  add,
  div,
  equal,
  exp,
  expand,
  log,
  mul,
  neg,
  type Operand,
  reduceSum,
  softplus,
  sub,
  tanh,
  toFloat,
} from '../ops/index.ts';
import { type Parts, partOf } from './parts.ts';

/** Pixels have 2^8 values; pixel k stands for the bin [k, k + 1) / 256 - 0.5. */
const BINS = 256;

/**
 * Pixels 0..255 as reals in [-0.5, 0.5): y = (x + u) / 256 - 0.5. With u uniform on [0, 1) a density of y bounds the
 * probability of x (Theis, van den Oord, Bethge 2016): log P(x) >= E_u log p(y) - dims ln 256. u = 0.5: bin centres.
 */
export function dequantise(x: Value, u: Operand): Value {
  return sub(div(add(x, u), BINS), 0.5);
}

/** The inverse of `dequantise` with u = 0.5, so that rounding gives the pixel whose bin holds y. */
export function toPixels(y: Value): Value {
  return sub(mul(add(y, 0.5), BINS), 0.5);
}

/** dims · ln 256: what separates the density of dequantised data on [-0.5, 0.5) from the discrete probability. */
export function quantisationNats(dims: number): number {
  return dims * Math.log(BINS);
}

/**
 * log P(x) per element, for pixels 0..255, of a logistic distribution (location and scale in the units of `dequantise`)
 * over the 256 bins, the outermost reaching to ∓∞ (Salimans et al. 2017, PixelCNN++, without its clamps).
 *
 * With a = (lo - μ) / s, b = (hi - μ) / s, δ = b - a:  σ(b) - σ(a) = σ(b) σ(-a) (1 - e^-δ), all factors positive, and
 * 1 - e^-δ = tanh(δ / 2) (1 + e^-δ) has no cancellation; δ depends on the scale alone.
 */
export function discretisedLogistic(x: Value, mean: Value, logScale: Value): Value {
  const precision = exp(neg(logScale)); // 1 / s
  const delta = div(precision, BINS);
  const a = mul(sub(dequantise(x, 0), mean), precision);
  const b = add(a, delta);
  const log1mExp = add(log(tanh(div(delta, 2))), softplus(neg(delta)));
  const notFirst = sub(1, toFloat(equal(x, 0)));
  const notLast = sub(1, toFloat(equal(x, BINS - 1)));
  const below = mul(softplus(neg(b)), notLast); // -log σ(b)
  const above = mul(softplus(a), notFirst); // -log σ(-a)
  return sub(mul(log1mExp, mul(notFirst, notLast)), add(below, above));
}

/** Σ log N(z; mean, exp(logStd)²), a scalar. */
export function gaussianLogDensity(z: Value, mean: Operand, logStd: Operand): Value {
  const { standard, logSigma } = standardised(z, mean, logStd);
  const perElement = add(add(mul(standard, standard), mul(logSigma, 2)), Math.log(2 * Math.PI));
  return mul(reduceSum(perElement), -0.5);
}

function standardised(z: Value, mean: Operand, logStd: Operand) {
  const logSigma = typeof logStd === 'number' ? z.arena.constant(logStd) : logStd;
  return { standard: mul(sub(z, mean), exp(neg(logSigma))), logSigma };
}

/**
 * The terms of −log N(z; mean, exp(logStd)²) that depend on the example: half the squared distance in standard
 * deviations, `name.distance`, and Σ log σ, `name.scale`, where σ depends on it.
 */
export function gaussianParts(name: string, z: Value, mean: Operand, logStd: Operand): Parts[] {
  const { standard, logSigma } = standardised(z, mean, logStd);
  const distance = partOf(`${name}.distance`, mul(reduceSum(mul(standard, standard)), 0.5));
  if (logSigma.lead === 'none') return [distance];
  return [distance, partOf(`${name}.scale`, reduceSum(expand(logSigma, standard.shape)))];
}

/** Bits per dimension of a discrete-data nll in nats: every model's `nll` is one (quantisationNats included). */
export function bitsPerDim(nll: number, dims: number): number {
  return nll / (dims * Math.LN2);
}
