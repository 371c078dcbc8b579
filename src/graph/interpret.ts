// Runs a graph on one example in float64: inputs and parameters in, outputs out. Slow and obviously correct: the
// oracle.

import { GraphError } from '../errors.ts';
import { type NdArray, ndarray } from '../tensor/ndarray.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import { type Graph, reachable, type Value } from './value.ts';

/** Values for a graph's inputs and parameters by name; plain number lists take the shape the graph expects. */
export type Bindings = Readonly<Record<string, ArrayLike<number> | NdArray>>;

/** Evaluates every output. Throws GraphError for a missing binding or one of the wrong size. */
export function interpret(graph: Graph, bindings: Bindings): Record<string, NdArray> {
  const values = new Map<Value, NdArray>();
  for (const v of reachable(Object.values(graph.outputs))) values.set(v, evaluate(v, values, bindings));
  return Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, values.get(v)!]));
}

function evaluate(v: Value, values: ReadonlyMap<Value, NdArray>, bindings: Bindings): NdArray {
  const source = v.source;
  if (source.kind === 'constant') return { shape: v.shape, data: source.data };
  if (source.kind === 'node') {
    const inputs = source.inputs.map((x) => values.get(x)!);
    const y = source.op.evaluate(inputs, source.attrs, v);
    if (!sameShape(y.shape, v.shape)) {
      throw new GraphError(
        `${source.op.name} ${v}: its float64 rule gave the shape ${shapeText(y.shape)}, its type rule ${shapeText(v.shape)}`,
      );
    }
    return y;
  }
  const bound = bindings[source.name];
  if (bound === undefined) throw new GraphError(`${source.kind} '${source.name}' has no value`);
  const data = 'data' in bound ? bound.data : bound;
  const array = ndarray(v.shape, data);
  const expected = ndarray(v.shape).data.length;
  if (array.data.length !== expected) {
    throw new GraphError(
      `${source.kind} '${source.name}' has ${array.data.length} numbers, its shape ${shapeText(v.shape)} needs ${expected}`,
    );
  }
  return array;
}
