// A per-example loss as a graph in; the graph of its value and of every parameter's squared gradient norm out.

import { gradients } from '../autodiff/index.ts';
import { GraphError } from '../errors.ts';
import { type Graph, nameOf, paramsOf, type Value } from '../graph/index.ts';
import { concat, groupSum, reshape, sqNorm } from '../ops/index.ts';
import { sizeOf } from '../tensor/shape.ts';

export interface NormGraph {
  /** Outputs `nll` [], and `sqnorm` [L]: of the loss summed over each group. */
  readonly graph: Graph;
  /** The L parameters, in the order of `sqnorm`. */
  readonly names: readonly string[];
  /** Number of elements of each. */
  readonly sizes: readonly number[];
  /** The squared norms one by one: the parts of `sqnorm`. */
  readonly norms: readonly Value[];
}

/** f_j = ‖∇_{θ_j} Σ_b loss(x_b)‖² for every learned parameter θ_j that receives a gradient from `loss` (METHOD: layer-wise norms). */
export function normGraph(
  loss: Value,
  wanted: readonly Value[] = paramsOf({ arena: loss.arena, outputs: { loss } }),
): NormGraph {
  const found = gradients(loss, wanted);
  const params = wanted.filter((_, j) => found[j]);
  if (params.length === 0)
    throw new GraphError('the loss depends smoothly on no parameter: there is no gradient to measure');
  const learned = found.flatMap((g) => (g ? [g] : []));
  const norms = earliestLast(learned, sqNorm);
  const parts = earliestLast(learned, (_, j) => reshape(norms[j]!, [1]));
  const sqnorm = concat(parts, 0);
  const graph = { arena: loss.arena, outputs: { nll: groupSum(loss), sqnorm } };
  return { graph, names: params.map(nameOf), sizes: params.map((p) => sizeOf(p.shape)), norms };
}

/**
 * Makes a value from each gradient, that of the gradient which the backward pass has first made last. Runtimes that walk a graph from its
 * outputs (ONNX Runtime does) begin with what was made last; so a norm is computed as soon as its gradient's factors are there, and
 * these are freed, where they would otherwise all wait for the end of the backward pass.
 */
function earliestLast(gradients: readonly Value[], make: (gradient: Value, index: number) => Value): Value[] {
  const made = new Map<number, Value>();
  const indices = [...gradients.keys()].sort((a, b) => gradients[b]!.id - gradients[a]!.id);
  for (const j of indices) made.set(j, make(gradients[j]!, j));
  return gradients.map((_, j) => made.get(j)!);
}
