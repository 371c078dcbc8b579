// A per-example loss as a graph in; the graph of its value and of every parameter's squared gradient norm out.

import { differentiate } from '../autodiff/index.ts';
import { GraphError } from '../errors.ts';
import { type Graph, nameOf, paramsOf, type Value } from '../graph/index.ts';
import { concat, groupSum, reshape, sqNorm } from '../ops/index.ts';

export interface NormGraph {
  /** Outputs `nll` [], and `sqnorm` [L]: of the loss summed over each group. */
  readonly graph: Graph;
  /** The L parameters, in the order of `sqnorm`. */
  readonly names: readonly string[];
  /** Number of elements of each. */
  readonly sizes: readonly number[];
}

/** f_j = ‖∇_{θ_j} Σ_b loss(x_b)‖² for every learned parameter θ_j of the graph that ends in `loss` (METHOD: layer-wise norms). */
export function normGraph(
  loss: Value,
  params: readonly Value[] = paramsOf({ arena: loss.arena, outputs: { loss } }),
): NormGraph {
  if (params.length === 0)
    throw new GraphError('the loss depends on no parameters, so there is no gradient to measure');
  const gradients = differentiate(loss, params);
  const norms = gradients.map((g) => reshape(sqNorm(g), [1]));
  const graph = { arena: loss.arena, outputs: { nll: groupSum(loss), sqnorm: concat(norms, 0) } };
  return { graph, names: params.map(nameOf), sizes: params.map((p) => p.shape.reduce((a, b) => a * b, 1)) };
}
