// What a model's parameters alone decide, computed once, when its graph is lowered: a value in, its numbers out.

import type { Value } from '../graph/index.ts';
import { multiplicationsOf } from '../ops/index.ts';
import type { NdArray } from '../tensor/ndarray.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';

/** Larger tensors are left to the runtime, which computes them as fast and keeps them once. */
const MOST_NUMBERS = 2 ** 14;
const MOST_MULTIPLICATIONS = 2 ** 20;

/**
 * The numbers of a value that neither an example nor a weight that is fed has a part in, in float64; undefined of any
 * other.
 */
export function knownValues(weights: Weights | 'inputs'): (v: Value) => Float64Array | undefined {
  const found = new Map<Value, NdArray | undefined>();

  function numbers(v: Value): NdArray | undefined {
    if (!found.has(v)) found.set(v, compute(v));
    return found.get(v);
  }

  function compute(v: Value): NdArray | undefined {
    const { source, shape } = v;
    if (v.lead !== 'none' || sizeOf(shape) > MOST_NUMBERS) return undefined;
    if (source.kind === 'constant') return { shape, data: source.data };
    if (source.kind === 'param') {
      const given = weights === 'inputs' ? undefined : weights[source.name];
      return given && given.data.length === sizeOf(shape) ? { shape, data: Float64Array.from(given.data) } : undefined;
    }
    if (source.kind !== 'node' || multiplicationsOf(v) > MOST_MULTIPLICATIONS) return undefined;
    const operands = source.inputs.map(numbers);
    return operands.every((x) => x !== undefined) ? source.op.evaluate(operands, source.attrs, v) : undefined;
  }

  return (v) => numbers(v)?.data;
}
