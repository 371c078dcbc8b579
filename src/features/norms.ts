// A per-example loss as a graph in; the graph of its value and of every parameter's squared gradient norm out.

import { differentiate } from '../autodiff/index.ts';
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

/** f_j = ‖∇_{θ_j} Σ_b loss(x_b)‖² for every learned parameter θ_j of the graph that ends in `loss` (METHOD: layer-wise norms). */
export function normGraph(
  loss: Value,
  params: readonly Value[] = paramsOf({ arena: loss.arena, outputs: { loss } }),
): NormGraph {
  if (params.length === 0)
    throw new GraphError('the loss depends on no parameters, so there is no gradient to measure');
  const gradients = differentiate(loss, params);
  const norms = gradients.map(sqNorm);
  const sqnorm = concat(
    norms.map((norm) => reshape(norm, [1])),
    0,
  );
  const graph = { arena: loss.arena, outputs: { nll: groupSum(loss), sqnorm } };
  return { graph, names: params.map(nameOf), sizes: params.map((p) => sizeOf(p.shape)), norms };
}
