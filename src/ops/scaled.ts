// Products of other values in; the same with slices along an axis multiplied, or sums of squares along it, from what
// they are made of, out.

import type { Scaler, Value } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { square } from './elementwise.ts';
import { matmul } from './linear.ts';
import { reduceSum } from './reduce.ts';
import { reshape, transpose } from './shape.ts';

/**
 * Makes of a vector the value with every slice along an axis multiplied by that element of it, where they are to be
 * `mixed`, of a matrix the value with its slices mixed by that, by doing so to what the value is made of. Undefined
 * where that does not go.
 */
export function scalerAlong(v: Value, axis: number, mixed = false): Scaler | undefined {
  if (v.source.kind !== 'node') return undefined;
  const { op, inputs, attrs } = v.source;
  if (op.scaled) return op.scaled(v.source, v, axis, mixed);
  const before = op.axisBefore?.(v.source, v, axis);
  const inner = before === undefined ? undefined : scalerAlong(inputs[0]!, before, mixed);
  return inner && ((by) => apply(op, [inner(by)], attrs));
}

/** The value with slice k along an axis replaced by Σ_l by[k, l] · slice l. */
export function mixedAlong(v: Value, axis: number, by: Value): Value {
  const { shape } = v;
  const [d, before, after] = [shape[axis]!, sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
  if (after === 1) return reshape(matmul(reshape(v, [before, d]), transpose(by)), shape);
  return reshape(matmul(by, reshape(v, before === 1 ? [d, after] : [before, d, after])), shape);
}

/** Σ of the squares of one example's value over all axes but one, [d]: of a product without it, where that goes. */
export function squaresAlong(v: Value, axis: number): Value {
  let [x, a]: [Value, number | undefined] = [v, axis];
  while (x.source.kind === 'node' && a !== undefined) {
    const { op, inputs } = x.source;
    if (op.squaresAlong) return op.squaresAlong(x.source, a);
    a = op.axisBefore?.(x.source, x, a);
    x = inputs[0]!;
  }
  const others = [...v.shape.keys()].filter((k) => k !== axis);
  return reduceSum(square(v), others);
}
