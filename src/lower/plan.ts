// How each squared norm of a weight gradient is computed: from the gradient, or from the two Gram matrices of its
// factors without the gradient ever existing. Also finds where a group's sum can join the product that makes it.

import type { Contraction, Graph, NodeSource, Value } from '../graph/index.ts';
import { reachable } from '../graph/index.ts';
import { groupOps } from '../ops/group.ts';
import { sizeOf } from '../tensor/shape.ts';

export type PlanChoice = 'auto' | 'direct' | 'gram';

/** A weight gradient Σ_p x[p] ⊗ y[p], summed over a group, as one step. */
export interface GroupedProduct {
  readonly product: Value;
  readonly node: NodeSource;
  readonly contraction: Contraction;
}

export interface Plan {
  /** GroupSum values that are made as one product over the group's positions. */
  readonly sums: ReadonlyMap<Value, GroupedProduct>;
  /** SqNorm values that are made from Gram matrices, or from the product before it is put into the weight's shape. */
  readonly norms: ReadonlyMap<Value, GroupedProduct & { readonly gram: boolean }>;
  /** What has to be lowered, operands before results. */
  readonly order: readonly Value[];
}

/**
 * With B·p positions, a gradient [i, o] costs B·p·i·o multiplications and its norm i·o more; the Gram way costs
 * (B·p)²·(i + o). For p = 1 that is ‖x‖²·‖y‖².
 */
export function gramIsCheaper(c: Pick<Contraction, 'p' | 'i' | 'o'>, group: number): boolean {
  const p = c.p * group;
  return p * p * (c.i + c.o + 1) < p * c.i * c.o + c.i * c.o;
}

export function makePlan(graph: Graph, group: number, choice: PlanChoice = 'auto'): Plan {
  const all = reachable(Object.values(graph.outputs));
  const sums = new Map<Value, GroupedProduct>();
  const norms = new Map<Value, GroupedProduct & { readonly gram: boolean }>();
  for (const v of all) {
    const grouped = groupedProduct(v);
    if (grouped) sums.set(v, grouped);
  }
  for (const v of all) {
    if (v.source.kind !== 'node' || v.source.op !== groupOps.SqNorm) continue;
    const grouped = sums.get(throughIsometries(v.source.inputs[0]!));
    if (!grouped) continue;
    const gram = choice === 'auto' ? gramIsCheaper(grouped.contraction, group) : choice === 'gram';
    norms.set(v, { ...grouped, gram });
  }
  return { sums, norms, order: needed(graph, sums, norms) };
}

/** How one squared norm is computed, and its cost in multiplications per example beyond the backward pass. */
export interface NormCost {
  /** From the product of the two factors, from their Gram matrices, or from a gradient that other ops make. */
  readonly plan: 'direct' | 'gram' | 'gradient';
  readonly multiplications: number;
}

/** The plan of each of the SqNorm values `norms` of a graph. */
export function describeNorms(graph: Graph, norms: readonly Value[], group = 1): readonly NormCost[] {
  const plan = makePlan(graph, group);
  return norms.map((v): NormCost => {
    const found = plan.norms.get(v);
    if (!found) {
      const size = v.source.kind === 'node' ? sizeOf(v.source.inputs[0]!.shape) : 0;
      return { plan: 'gradient', multiplications: size / group };
    }
    const { count, p, i, o } = found.contraction;
    if (found.gram) return { plan: 'gram', multiplications: count * p * (p * group) * (i + o + 1) };
    return { plan: 'direct', multiplications: count * (p * i * o + (i * o) / group) };
  });
}

function groupedProduct(v: Value): GroupedProduct | undefined {
  if (v.source.kind !== 'node' || v.source.op !== groupOps.GroupSum) return undefined;
  const product = v.source.inputs[0]!;
  const node = product.source;
  if (node.kind !== 'node' || !node.op.contraction || product.lead !== 'example') return undefined;
  return { product, node, contraction: node.op.contraction(node, product) };
}

function throughIsometries(v: Value): Value {
  let x = v;
  while (x.source.kind === 'node' && x.source.op.isometric) x = x.source.inputs[0]!;
  return x;
}

function needed(graph: Graph, sums: Plan['sums'], norms: Plan['norms']): Value[] {
  const seen = new Set<Value>();
  const stack = Object.values(graph.outputs);
  for (let v = stack.pop(); v; v = stack.pop()) {
    if (seen.has(v)) continue;
    seen.add(v);
    const grouped = norms.get(v) ?? sums.get(v);
    if (grouped) stack.push(...grouped.node.inputs);
    else if (v.source.kind === 'node') stack.push(...v.source.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
