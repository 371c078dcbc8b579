// Products of other values in; the same with slices along an axis multiplied, or sums of squares along it, from what
// they are made of, out.

import type { Scaler, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { square } from './elementwise.ts';
import { reduceSum } from './reduce.ts';

/**
 * Makes of a vector the value with every slice along an axis multiplied by that element of it, by multiplying what the
 * value is made of. Undefined where that does not go.
 */
export function scalerAlong(v: Value, axis: number): Scaler | undefined {
  if (v.source.kind !== 'node') return undefined;
  const { op, inputs, attrs } = v.source;
  if (op.scaled) return op.scaled(v.source, v, axis);
  const before = op.axisBefore?.(v.source, v, axis);
  const inner = before === undefined ? undefined : scalerAlong(inputs[0]!, before);
  return inner && ((by) => apply(op, [inner(by)], attrs));
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
