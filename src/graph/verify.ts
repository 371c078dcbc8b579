// Checks a graph's invariants and throws on the first that fails; run after every pass in tests.

import { GraphError } from '../errors.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import { type Graph, reachable } from './value.ts';

/**
 * Types follow from operands by each op's own rule, operands precede results, names are unique, values of examples and
 * sums over groups are not mixed. Returns the graph, so that it can wrap an expression. Throws a GraphError for any
 * other.
 */
export function verify(graph: Graph): Graph {
  const names = new Set<string>();
  for (const v of reachable(Object.values(graph.outputs))) {
    if (v.arena !== graph.arena) throw new GraphError(`${v} belongs to another arena`);
    if (v.source.kind === 'input' || v.source.kind === 'param') {
      if (names.has(v.source.name)) throw new GraphError(`'${v.source.name}' is defined twice`);
      names.add(v.source.name);
    }
    if (v.source.kind !== 'node') continue;
    const { op, inputs, attrs } = v.source;
    for (const x of inputs) {
      if (x.id >= v.id) throw new GraphError(`${op.name} ${v}: operand ${x} comes after it`);
    }
    const type = op.type(inputs, attrs);
    if (!sameShape(type.shape, v.shape) || type.dtype !== v.dtype) {
      throw new GraphError(
        `${op.name} ${v}: is ${v.dtype}${shapeText(v.shape)}, its operands give ${type.dtype}${shapeText(type.shape)}`,
      );
    }
    const leads = new Set(inputs.map((x) => x.lead));
    if (!op.lead && leads.has('example') && leads.has('group')) {
      throw new GraphError(`${op.name} ${v}: mixes values of examples with sums over groups`);
    }
  }
  return graph;
}
