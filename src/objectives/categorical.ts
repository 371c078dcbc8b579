// Whole numbers 0..K-1 whose probabilities are the softmax of logits: log-probabilities, and draws from a uniform
// number.

import type { Arena, Value } from '../graph/index.ts';
import {
  add,
  equal,
  greater,
  log,
  logSoftmax,
  matmul,
  maximum,
  minimum,
  not,
  reduceSum,
  round,
  softmax,
  toFloat,
  where,
} from '../ops/index.ts';

/** log P(x) of x, which has size 1 along `axis`, where the logits have K; -∞ where x is not one of 0..K-1. */
export function categorical(x: Value, logits: Value, axis: number): Value {
  const size = logits.shape[axis]!;
  const every = numbers(x.arena, size, logits.shape.length, axis, x.dtype);
  const logProb = reduceSum(where(equal(x, every), logSoftmax(logits, axis), 0), [axis], true);
  const nearest = minimum(maximum(round(x), 0), size - 1);
  return add(logProb, log(toFloat(equal(x, nearest))));
}

/** 1 where x, which has size 1 along `axis`, is k = 0..K-1, else 0: the axis grows to K. */
export function oneHot(x: Value, size: number, axis: number): Value {
  return toFloat(equal(x, numbers(x.arena, size, x.shape.length, axis, x.dtype)));
}

/**
 * A draw [1, 1] with the probabilities softmax(logits), logits [1, K], by inversion: the number of k whose cumulative
 * probability is at most u [1, 1], uniform on [0, 1).
 */
export function drawCategory(logits: Value, u: Value): Value {
  const size = logits.shape[1]!;
  const upTo = Array.from({ length: size * size }, (_, i) => Number(Math.floor(i / size) <= i % size));
  const cumulative = matmul(softmax(logits, 1), logits.arena.constant(upTo, [size, size]));
  // The last may be rounded to less than 1.
  return minimum(reduceSum(toFloat(not(greater(cumulative, u))), [1], true), size - 1);
}

function numbers(arena: Arena, size: number, rank: number, axis: number, dtype: Value['dtype']): Value {
  const shape = Array.from({ length: rank }, (_, a) => (a === axis ? size : 1));
  return arena.constant(
    Array.from({ length: size }, (_, k) => k),
    shape,
    dtype,
  );
}
