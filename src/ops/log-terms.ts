// Sums of exponentials as lists of terms, and their logarithms: for log (Σ weight · e^l), where float32 may hold none
// of the exponentials.

import { defined } from '../defined.ts';
import type { Value } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';
import { uniformValue } from './apply.ts';
import {
  add,
  detach,
  elementwiseOps,
  equal,
  exp,
  greater,
  log,
  maximum,
  mul,
  neg,
  not,
  sub,
  where,
} from './elementwise.ts';
import { expand } from './expand.ts';
import { clamp } from './kinks.ts';
import { softplusInTails } from './log-sigmoid.ts';
import { reduceMax, reduceSum } from './reduce.ts';
import { logSumExp } from './softmax.ts';

/**
 * weight · e^log, the weight 1 where there is none. No gradient is wanted of a weight: the parameters have no part in
 * it.
 */
export interface Term {
  readonly weight?: Value;
  readonly log: Value;
  /** Whether the logarithm is one that float32 could not take of the number itself. */
  readonly better: boolean;
}

/** What is doubled forty times would have 2⁴⁰ of them. */
const MOST_TERMS = 256;

export const plus = (a: readonly Term[] | undefined, b: readonly Term[] | undefined) =>
  a && b && a.length + b.length <= MOST_TERMS ? [...a, ...b] : undefined;
export const negative = (t: Term): Term => ({ ...t, weight: t.weight ? neg(t.weight) : t.log.arena.constant(-1) });
export const weighed = (t: Term, by: Value): Term => ({ ...t, weight: t.weight ? mul(t.weight, by) : by });

export const factor = (x: Value, l: Value | undefined): Term | undefined =>
  l ? { log: l, better: true } : fixed(x) ? { weight: x, log: x.arena.constant(0), better: false } : undefined;

export function timesTerms(a: Term | undefined, b: Term | undefined): readonly Term[] | undefined {
  if (!a || !b || !(a.better || b.better)) return undefined;
  const weight = a.weight && b.weight ? mul(a.weight, b.weight) : (a.weight ?? b.weight);
  return [{ ...defined({ weight }), log: add(a.log, b.log), better: true }];
}

const fixedOnes = new WeakMap<Value, boolean>();

/** Whether the parameters have no part in x that a gradient would go through. */
export function fixed(x: Value): boolean {
  const before = fixedOnes.get(x);
  if (before !== undefined) return before;
  const { source } = x;
  const cuts = x.dtype !== 'float' || (source.kind === 'node' && source.op === elementwiseOps.Detach);
  const y =
    cuts || (source.kind === 'node' ? source.inputs.every(fixed) : source.kind !== 'param' || !source.trainable);
  fixedOnes.set(x, y);
  return y;
}

/**
 * log Σ weight · e^log over the terms, which add up to values of this shape, and over axes of it: by the largest of
 * those that weigh anything, so that none is lost.
 */
export function ofTerms(
  terms: readonly Term[] | undefined,
  shape: Shape,
  axes: readonly number[] = [],
): Value | undefined {
  if (!terms?.some((t) => t.better)) return undefined;
  const [first, second] = terms;
  if (terms.length === 1 && !first!.weight) {
    const whole = expand(first!.log, shape);
    return axes.length > 0 ? logSumExp(whole, axes, true) : whole;
  }
  if (terms.length === 2 && axes.length === 0 && !first!.weight && !second!.weight) {
    const [number, other] = [first!, second!].sort((a, b) => Number(a.better) - Number(b.better)) as [Term, Term];
    if (uniformValue(number.log) === 0) return softplusInTails(expand(other.log, shape));
  }
  const full = terms.map((t) => ({ log: expand(t.log, shape), weight: t.weight && expand(t.weight, shape) }));
  const counted = full.map(({ log: l, weight }) => ({ l, weight, open: weight && not(equal(weight, 0)) }));
  const over = (v: Value) => (axes.length > 0 ? reduceMax(v, axes, true) : v);
  const largest = counted.map(({ l, open }) => over(open ? where(open, l, LOWEST) : l)).reduce((a, b) => maximum(a, b));
  const most = detach(clamp(largest, LOWEST, -LOWEST));
  const parts = counted.map(({ l, weight, open }) => {
    const e = exp(open ? where(open, sub(l, most), 0) : sub(l, most));
    const part = weight ? mul(weight, e) : e;
    return axes.length > 0 ? reduceSum(part, axes, true) : part;
  });
  const sum = parts.reduce((a, b) => add(a, b));
  // Nothing that weighs anything: the logarithm of 0, through which no gradient goes; of what is negative it is no
  // number.
  if (!counted.some(({ weight }) => weight)) return add(most, log(sum));
  const some = greater(sum, 0);
  return where(some, add(most, log(where(some, sum, 1))), log(detach(sum)));
}

/** Far below every logarithm of a number. */
const LOWEST = -1e30;
