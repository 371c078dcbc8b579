// How much memory a run takes, from static shapes: what chooses the batch size.

import { type Graph, reachable, type Value } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { makePlan, type PlanChoice } from './plan.ts';

export interface MemoryEstimate {
  /** Bytes for each example of a batch, at the moment when most values are alive. */
  readonly perExample: number;
  /** Bytes of the parameters and constants. */
  readonly fixed: number;
}

/** Walks the values in the order in which they are made; each lives until its last reader is done. */
export function estimateMemory(graph: Graph, group = 1, choice: PlanChoice = 'auto'): MemoryEstimate {
  const plan = makePlan(graph, group, choice);
  const readsOf = (v: Value): readonly Value[] => {
    const product = plan.norms.get(v) ?? plan.sums.get(v);
    if (product) return product.node.inputs;
    return v.source.kind === 'node' ? v.source.inputs : [];
  };
  const lastRead = new Map<Value, number>();
  plan.order.forEach((v, at) => {
    for (const x of readsOf(v)) lastRead.set(x, at);
  });
  for (const output of Object.values(graph.outputs)) lastRead.set(output, plan.order.length);

  const share = (v: Value) => (v.lead === 'none' ? 0 : (4 * sizeOf(v.shape)) / (v.lead === 'group' ? group : 1));
  let alive = 0;
  let peak = 0;
  plan.order.forEach((v, at) => {
    alive += share(v);
    const product = plan.norms.get(v) ?? plan.sums.get(v);
    // The two factors (patches of activations and cotangents) and their product exist besides the operands.
    const c = product?.contraction;
    const scratch = c ? 4 * c.count * (c.p * (c.i + c.o) + (c.i * c.o) / group) : 0;
    peak = Math.max(peak, alive + scratch);
    for (const x of new Set(readsOf(v))) if (lastRead.get(x) === at) alive -= share(x);
  });

  const constant = reachable(Object.values(graph.outputs)).filter((v) => v.lead === 'none' && v.source.kind !== 'node');
  return { perExample: peak, fixed: constant.reduce((sum, v) => sum + 4 * sizeOf(v.shape), 0) };
}

/** What a batch may take where the user sets no batch size: 1 GiB. */
const defaultLimit = 2 ** 30;

/** The largest multiple of `group` up to `most` that fits into `limit` bytes; at least one group. */
export function chooseBatch(estimate: MemoryEstimate, group: number, limit = defaultLimit, most = 64): number {
  const fit = Math.min(most, Math.floor((limit - estimate.fixed) / estimate.perExample));
  return Math.max(1, Math.floor(fit / group)) * group;
}
