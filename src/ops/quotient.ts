// Sigmoids and softmaxes that are written as quotients of exponentials, which float32 does not hold.

import type { NodeSource, Value } from '../graph/index.ts';
import { add, exp, mul, neg, sigmoid } from './elementwise.ts';
import { logitOf, softmaxOf } from './log-patterns.ts';
import { softmax } from './softmax.ts';

/** Of eᶻ / Σ eᶻ. */
export function softmaxOfQuotient(_y: Value, { inputs: [a, b] }: NodeSource): Value | undefined {
  const rows = softmaxOf(a!, b!);
  return rows && softmax(rows.z, rows.axis);
}

/** Of a / σ(z). */
export function timesReciprocalSigmoid(_y: Value, { inputs: [a, b] }: NodeSource): Value | undefined {
  const z = logitOf(b!);
  return z && mul(a!, add(1, exp(neg(z))));
}

/** Of 1 / (1 + e⁻ᶻ) and eᶻ / (1 + eᶻ). */
export function sigmoidOfQuotient(y: Value): Value | undefined {
  const z = logitOf(y);
  return z && sigmoid(z);
}
