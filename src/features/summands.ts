// A loss as a graph in; the terms that its last steps add up, as its graph shows them, out. For models of any making.

import type { Value } from '../graph/index.ts';
import type { Loss } from '../models/index.ts';
import { blockParts, type Parts, partOf, regionParts, scaledParts } from '../objectives/index.ts';
import { div, mul, neg, type Operand, ops, reduceSum, rewrite } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';

/**
 * The loss of a model, with its parts: as its family says, else as the graph shows them; none where it is no such sum.
 */
export function splitLoss(model: ScoringModel): Loss {
  if (model.split) return model.split();
  const nll = model.loss();
  return { nll, parts: () => summandsOf(rewrite(nll)) };
}

/** A term is the sum of the elements of a value, times what does not depend on the example. */
interface Term {
  readonly of: Value;
  readonly factor: Operand;
}

/** Sums over places are taken apart while there are at most so many terms then. */
const MOST = 64;

/**
 * The terms that a loss [] visibly is the sum of: what is added and subtracted, scaled by what does not depend on the
 * example, and summed over places. Sums over images are taken apart into regions, other sums into blocks, where that
 * does not make too many. What is the same for every example is left out. Nothing where the loss is no such sum.
 */
export function summandsOf(loss: Value): readonly Parts[] {
  const terms = termsOf(loss, 1).filter(({ of }) => of.lead === 'example');
  const apart = terms.map((term, k) => takenApart(term, name(terms, k)));
  const columns = (all: readonly Parts[]) => all.reduce((sum, { names }) => sum + names.length, 0);
  const found = columns(apart) <= MOST ? apart : terms.map((term, k) => whole(term, name(terms, k)));
  return columns(found) < 2 ? [] : found;
}

const name = (terms: readonly Term[], k: number): string => (terms.length === 1 ? 'loss' : `term${k}`);

const whole = ({ of, factor }: Term, called: string): Parts => scaledParts(partOf(called, reduceSum(of)), factor);

/** By where in it its elements are: the first axis is that of the batch, of size 1. */
function takenApart(term: Term, called: string): Parts {
  const { of, factor } = term;
  const shape = of.shape[0] === 1 ? of.shape.slice(1) : of.shape;
  const [h = 1, w = 1] = shape.slice(-2);
  if (shape.length >= 3 && h > 1 && w > 1) return scaledParts(regionParts(called, of), factor);
  const wide = shape.filter((d) => d > 1);
  if (wide.length === 0) return whole(term, called);
  const along = wide.length === 1 ? of : reduceSum(of, axesAfterFirst(of.shape));
  return scaledParts(blockParts(called, along), factor);
}

/** All axes of more than one place but the first of these. */
function axesAfterFirst(shape: Shape): number[] {
  const wide = [...shape.keys()].filter((axis) => shape[axis]! > 1);
  return wide.slice(1);
}

/** Σ v · factor as terms of what v is made from; v itself where that is no sum. */
function termsOf(v: Value, factor: Operand): Term[] {
  const as = (x: Value, times: Operand): Term[] => {
    // Repeated by broadcasting, every element counts as often.
    const repeats = sizeOf(v.shape) / sizeOf(x.shape);
    return termsOf(x, scaled(times, repeats));
  };
  if (v.source.kind !== 'node' || v.lead === 'none') return [{ of: v, factor }];
  const { op, inputs } = v.source;
  const [a, b] = inputs as [Value, Value];
  const negative = () => (typeof factor === 'number' ? -factor : neg(factor));
  switch (op) {
    case ops.Add:
      return [...as(a, factor), ...as(b, factor)];
    case ops.Sub:
      return [...as(a, factor), ...as(b, negative())];
    case ops.Neg:
      return termsOf(a, negative());
    case ops.Mul:
      for (const [x, by] of [inputs, inputs.toReversed()] as [Value, Value][]) {
        if (isNumber(by)) return as(x, times(factor, by));
      }
      break;
    case ops.Div:
      if (isNumber(b)) return as(a, over(factor, b));
      break;
    case ops.ReduceSum:
      return through(v, a, factor);
    default:
      if (op.isometric) return through(v, a, factor);
  }
  return [{ of: v, factor }];
}

/** Sums of x are those of v. Where x is no sum v stands for it, which may be smaller. */
function through(v: Value, x: Value, factor: Operand): Term[] {
  const terms = termsOf(x, factor);
  const isSmaller = sizeOf(v.shape) > 1 && sizeOf(v.shape) < sizeOf(x.shape);
  return terms.length === 1 && terms[0]!.of === x && isSmaller ? [{ of: v, factor }] : terms;
}

/** One number that does not depend on the example. */
const isNumber = (v: Value): boolean => v.lead === 'none' && sizeOf(v.shape) === 1;

const scaled = (factor: Operand, by: number): Operand =>
  typeof factor === 'number' ? factor * by : by === 1 ? factor : mul(factor, by);

const times = (factor: Operand, by: Value): Value => mul(factor, scalar(by));

const over = (factor: Operand, by: Value): Value => div(factor, scalar(by));

const scalar = (v: Value): Value => reduceSum(v);
