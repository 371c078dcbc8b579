// A causal language model of bytes: each byte given those before it, by a transformer with pre-normalisation.
// Radford et al., "Language models are unsupervised multitask learners" (GPT-2), 2019; Vaswani et al., NeurIPS 2017.

import * as z from 'zod';
import { ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import { blockParts, categorical, drawCategory, negated, oneHot } from '../objectives/index.ts';
import {
  add,
  div,
  erf,
  matmul,
  mul,
  neg,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  transpose,
  zeroPad,
} from '../ops/index.ts';
import type { Architecture } from './architecture.ts';
import { depth, parseConfig, positive } from './configure.ts';
import { fanIn, layerNorm, linear } from './layers.ts';
import type { Init, Scope } from './scope.ts';

const schema = z.strictObject({ layers: depth(4), width: positive(128), heads: positive(4) });

/** Blocks; size of the residual stream (four times as wide within a block's second half); attention heads. */
export type TransformerConfig = z.output<typeof schema>;

const BYTES = 256;
/** The mask of what comes before has as many numbers as this squared. */
const MAX_LENGTH = 2 ** 13;

/**
 * A causal language model of sequences [length] of bytes, with an exact likelihood. (Radford et al., "Language models
 * are unsupervised multitask learners", 2019)
 */
export const transformer: Architecture<TransformerConfig> = {
  name: 'transformer',
  takes: 'bytes',

  configure(input, data) {
    const config = parseConfig('transformer', schema, input);
    if (data.length !== 1 || data[0]! < 2 || data[0]! > MAX_LENGTH) {
      throw new ModelError(
        `transformer needs sequences of 2 to ${MAX_LENGTH} bytes, of shape [length], got [${data.join(', ')}]`,
      );
    }
    if (config.width % config.heads !== 0) {
      throw new ModelError(`transformer: a width of ${config.width} is not divisible by ${config.heads} heads`);
    }
    return config;
  },

  /** All bytes count, the first one too: over the length of the data, nats are bits per byte · ln 2. */
  loss(config, data, scope) {
    const logProbs = byteLogProbs(config, scope, scope.arena.input('x', [1, ...data]));
    return { nll: neg(reduceSum(logProbs)), parts: () => [negated(blockParts('bytes', logProbs))] };
  },

  /** One byte per step, each by a pass over the whole sequence. */
  iterativeSampler(config, data) {
    const [length] = data as readonly [number];
    return {
      steps: length,
      start: 'zeros',
      step(scope, temperature) {
        const state = scope.arena.input('state', [1, length]);
        const here = oneHot(reshape(scope.arena.input('index', []), [1, 1]), length, 1); // [1, length]
        const at = matmul(here, hiddenStates(config, scope, state)); // [1, width]
        const u = scope.arena.input('u', [1, 1], 'uniform');
        const byte = drawCategory(div(head(scope, at), temperature), u);
        return add(mul(state, sub(1, here)), mul(byte, here));
      },
      scalars: (k) => ({ index: k }),
      toPixels: (state) => state,
    };
  },
};

/** log P(byte t | bytes before t), [T, 1], of bytes x [1, T], 0..255. */
export function byteLogProbs(config: TransformerConfig, scope: Scope, x: Value): Value {
  const logProbs = categorical(reshape(x, [-1, 1]), head(scope, hiddenStates(config, scope, x)), 1);
  x.arena.require({ value: x, low: 0, high: BYTES - 1, by: 'the transformer', result: logProbs });
  return logProbs;
}

/**
 * The residual stream behind the last block, normalised, [T, width]. Position t sees byte t - 1 as a row of the
 * embedding, added to a learned vector of its own; position 0 has that vector alone, which so is the token that starts
 * a sequence.
 */
function hiddenStates({ layers, width, heads }: TransformerConfig, scope: Scope, x: Value): Value {
  const length = x.shape[1]!;
  const init: Init = { kind: 'normal', std: 1 / Math.sqrt(width) };
  const table = scope.param('embedding', [BYTES, width], init);
  const before = oneHot(reshape(slice(x, 1, 0, -1), [-1, 1]), BYTES, 1); // [T - 1, 256]
  let h = add(zeroPad(matmul(before, table), [1, 0], [0, 0]), scope.param('position', [length, width], init));
  const mask = causalMask(x, length);
  const residual = 1 / Math.sqrt(2 * layers); // the sum of all blocks' outputs starts no larger than one of them
  for (let i = 0; i < layers; i++) {
    const block = scope.in(`block${i}`);
    h = add(h, attention(block.in('attention'), layerNorm(block.in('norm1'), h), heads, mask, residual));
    h = add(h, mlp(block.in('mlp'), layerNorm(block.in('norm2'), h), residual));
  }
  return layerNorm(scope.in('norm'), h);
}

/**
 * Logits of the next byte, [T, 256]. Not tied to the embedding: two tensors, hence two features, for 256 · width
 * numbers.
 */
function head(scope: Scope, h: Value): Value {
  return linear(scope.in('head'), h, BYTES);
}

/**
 * softmax(Q Kᵀ / √d + mask) V in each head; x [T, width]. No bias on keys, which softmax ignores, nor on queries and
 * values.
 */
function attention(scope: Scope, x: Value, heads: number, mask: Value, residual: number): Value {
  const [length, width] = x.shape as [number, number];
  const size = width / heads;
  const projected = (name: string) => {
    const y = linear(scope.in(name), x, width, { bias: false });
    return transpose(reshape(y, [length, heads, size]), [1, 0, 2]); // [heads, T, size]
  };
  const [q, k, v] = [projected('query'), projected('key'), projected('value')];
  const scores = matmul(mul(q, 1 / Math.sqrt(size)), transpose(k, [0, 2, 1])); // [heads, T, T]
  const mixed = matmul(softmax(add(scores, mask), 2), v);
  return linear(scope.in('out'), reshape(transpose(mixed, [1, 0, 2]), [length, width]), width, {
    init: fanIn(width, residual),
  });
}

function mlp(scope: Scope, x: Value, residual: number): Value {
  const width = x.shape[1]!;
  const hidden = gelu(linear(scope.in('hidden'), x, 4 * width));
  return linear(scope.in('out'), hidden, width, { init: fanIn(4 * width, residual) });
}

/** x Φ(x), Φ the distribution function of a standard normal (Hendrycks & Gimpel 2016). */
function gelu(x: Value): Value {
  return mul(x, mul(0.5, add(1, erf(mul(x, Math.SQRT1_2)))));
}

/** [T, T]: 0 where position t may see s <= t, else so little that softmax makes it exactly 0. */
function causalMask(x: Value, length: number): Value {
  const values = Array.from({ length: length * length }, (_, i) => (i % length <= Math.floor(i / length) ? 0 : -1e9));
  return x.arena.constant(values, [length, length]);
}
