// What a flow, a VAE or a language model that stops short of a loss gives, in; the negative log-likelihood (or bound)
// of one example out.

import { GraphError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
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

/**
 * −log p(x) = −log N(z; 0, I) − log |det ∂z/∂x|. The log-determinant may be one number or one per element of some axes.
 */
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
  // log(1 + e^r) − x r
  const fit = likelihood === 'gaussian' ? neg(gaussianLogDensity(x, r, 0)) : reduceSum(sub(softplus(r), mul(x, r)));
  const kl = mul(0.5, reduceSum(sub(sub(add(square(mean), exp(logVariance)), 1), logVariance)));
  return add(fit, kl);
}

/**
 * −Σ_t log p(token t + 1 | tokens up to t), from logits [1, T, V] and tokens [1, T]. Every token that is predicted must
 * be one of 0..V − 1: there is no counting from the end among classes, as there is among the rows of a table.
 */
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
  const nll = neg(reduceSum(where(equal(next, every), logs, 0)));
  tokens.arena.require({ value: next, low: 0, high: vocabulary - 1, by: "the objective 'causal-lm'", result: nll });
  return nll;
}

/** Pixels 0..255 mapped to the range a network was trained on. */
export function scaledPixels(x: Value, [low, high]: readonly [number, number]): Value {
  return add(mul(x, (high - low) / 255), low);
}
