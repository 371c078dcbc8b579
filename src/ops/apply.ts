// Makes values from ops: numbers become constants, constants are folded, and the algebra that differentiation produces
// by the dozen (times one, plus zero, an expansion that broadcasting does anyway) is taken out on the spot.

import { GraphError } from '../errors.ts';
import type { Arena, Attrs, OpRecord, Value } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** A value, or a number that stands for a constant of shape []. */
export type Operand = Value | number;

/** Results up to this many elements are folded when all operands are constants. */
const FOLD_LIMIT = 1 << 16;

function arenaOf(operands: readonly Operand[]): Arena {
  for (const x of operands) if (typeof x !== 'number') return x.arena;
  throw new GraphError('an op needs at least one operand that is a value of a graph');
}

/** The result of `op`; a constant where all operands are. */
export function apply(op: OpRecord, operands: readonly Operand[], attrs: Attrs = {}): Value {
  const arena = arenaOf(operands);
  const inputs = operands.map((x) => (typeof x === 'number' ? arena.constant(x) : x));
  const y = arena.node(op, inputs, attrs);
  // A sum over a group of B constants is B of them, and B is not known yet.
  if (op.lead || !inputs.every((x) => x.source.kind === 'constant')) return y;
  const size = sizeOf(y.shape);
  const read = inputs.reduce((sum, x) => sum + sizeOf(x.shape), 0);
  if (size > FOLD_LIMIT || size > 2 * read) return y;
  arena.spend(read + size + multiplicationsOf(y));
  const arrays = inputs.map((x) => ({ shape: x.shape, data: constantData(x)! }));
  return arena.constant(op.evaluate(arrays, attrs, y).data, y.shape, y.dtype);
}

/** Multiplications that make a value from its operands, where they are more than its elements. */
export const multiplicationsOf = (y: Value): number =>
  y.source.kind === 'node' ? (y.source.op.multiplications?.(y.source, y) ?? 0) : 0;

/** The numbers of a constant; undefined for anything else. */
export function constantData(x: Operand): Float64Array | undefined {
  if (typeof x === 'number') return Float64Array.of(x);
  return x.source.kind === 'constant' ? x.source.data : undefined;
}

/** The one number that every element of a constant has, seen through ops that only repeat it; undefined otherwise. */
export function uniformValue(x: Operand): number | undefined {
  if (typeof x === 'number') return x;
  if (x.source.kind === 'node') return x.source.op.repeats ? uniformValue(x.source.inputs[0]!) : undefined;
  const data = constantData(x);
  return data && data.length > 0 && data.every((v) => Object.is(v, data[0])) ? data[0] : undefined;
}
