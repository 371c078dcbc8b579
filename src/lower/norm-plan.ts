// How each squared norm of a weight gradient is computed: from the gradient, or from the two Gram matrices of its
// factors without the gradient ever existing. Also finds where a group's sum can join the product that makes it.

import type { Contraction, Graph, OpRecord, Value } from '../graph/index.ts';
import { reachable } from '../graph/index.ts';
import { elementwiseOps } from '../ops/elementwise.ts';
import { groupOps } from '../ops/group.ts';
import { innerOps } from '../ops/inner.ts';
import { sizeOf } from '../tensor/shape.ts';

export type PlanChoice = 'auto' | 'direct' | 'gram';

/** A weight gradient Σ_p x[p] ⊗ y[p], summed over a group, as one step. */
export interface GroupedProduct {
  readonly product: Value;
  readonly contraction: Contraction;
  /** The values that it is made from. */
  readonly from: readonly Value[];
}

/**
 * The squared norm of such a gradient, its inner product with a value without lead, or its squared norm with such
 * weights.
 */
export interface PlannedNorm extends GroupedProduct {
  readonly kind: 'square' | 'inner' | 'weighted';
  /** The gradient's value, which need not be made itself. */
  readonly sum: Value;
  /** From the Gram matrices of the two factors. */
  readonly gram: boolean;
  /** The other operand. */
  readonly other?: Value;
}

export interface Plan {
  /** GroupSum values that are made as one product over the group's positions. */
  readonly sums: ReadonlyMap<Value, GroupedProduct>;
  /** Scalars that are made from the product before it is put into the weight's shape, or without it. */
  readonly norms: ReadonlyMap<Value, PlannedNorm>;
  /** What has to be lowered, operands before results. */
  readonly order: readonly Value[];
}

/** With B·p positions, a gradient [i, o] costs B·p·i·o multiplications and its norm i·o more. */
function directCost({ p, i, o }: Contraction, group: number): number {
  return (p * group + 1) * i * o;
}

/**
 * Gram matrices cost (B·p)²·(i + o) and their product (B·p)²; for p = 1 that is ‖x‖²·‖y‖². Convolutions know a shorter
 * way.
 */
function gramCost({ p, i, o, gram }: Contraction, group: number): number {
  return gram ? gram.cost(group) : (p * group) ** 2 * (i + o + 1);
}

/**
 * Whether a norm is (x²)ᵀ w (y²), of the single position that there is: then it needs no product, and costs a matrix
 * product of the weights.
 */
export const isSeparable = ({ kind, contraction: { p, count } }: PlannedNorm, group: number): boolean =>
  kind === 'weighted' && p * group === 1 && count === 1;

const withOther = new Map<OpRecord, 'inner' | 'weighted'>([
  [innerOps.Inner, 'inner'],
  [innerOps.WeightedSqNorm, 'weighted'],
]);

const plans = new WeakMap<Graph, Map<string, Plan>>();

/** A graph's plan, made once: the memory estimate, the choice of threads and each size of batch ask for it. */
export function makePlan(graph: Graph, group: number, choice: PlanChoice = 'auto'): Plan {
  const made = plans.get(graph) ?? new Map<string, Plan>();
  const plan = made.get(`${choice} ${group}`) ?? planOf(graph, group, choice);
  plans.set(graph, made.set(`${choice} ${group}`, plan));
  return plan;
}

function planOf(graph: Graph, group: number, choice: PlanChoice): Plan {
  const all = reachable(Object.values(graph.outputs));
  const sums = new Map<Value, GroupedProduct>();
  const norms = new Map<Value, PlannedNorm>();
  const made = new Set<Value>(); // sums whose product is there anyway
  for (const v of all) {
    const grouped = groupedProduct(v);
    if (grouped) sums.set(v, grouped);
  }
  for (const v of all) {
    if (v.source.kind !== 'node') continue;
    const kind = withOther.get(v.source.op);
    if (!kind) continue;
    const [a, b] = v.source.inputs as [Value, Value];
    const [sum, other] = kind === 'inner' && a.lead === 'none' ? [b, a] : [a, b];
    const grouped = sums.get(sum);
    if (!grouped || other.lead !== 'none') continue;
    const norm: PlannedNorm = { ...grouped, kind, sum, other, gram: false };
    norms.set(v, norm);
    if (!isSeparable(norm, group)) made.add(sum);
  }
  for (const v of all) {
    if (v.source.kind !== 'node' || v.source.op !== groupOps.SqNorm) continue;
    const sum = throughIsometries(v.source.inputs[0]!);
    const grouped = sums.get(sum);
    if (!grouped) continue;
    const { contraction: c } = grouped;
    const cheaper = !made.has(sum) && gramCost(c, group) < directCost(c, group);
    const gram = choice === 'auto' ? cheaper : choice === 'gram';
    norms.set(v, { ...grouped, kind: 'square', sum, gram, from: (gram && c.gram?.from) || grouped.from });
  }
  return { sums, norms, order: needed(graph, sums, norms) };
}

/** What the squared norm of a product costs, in multiplications: from the product itself, from its Gram matrices. */
export interface ProductCosts {
  readonly direct: number;
  readonly gram: number;
  /** Of a single position: then even the weighted norm needs no product. */
  readonly single: boolean;
  /** Positions of one example that are summed over. */
  readonly positions: number;
}

/** Of a gradient that is a sum of outer products over the positions of one example; undefined for any other. */
export function productCosts(gradient: Value): ProductCosts | undefined {
  const c = groupedProduct(throughIsometries(gradient))?.contraction;
  if (!c) return undefined;
  return {
    direct: c.count * directCost(c, 1),
    gram: c.count * gramCost(c, 1),
    single: c.p === 1 && c.count === 1,
    positions: c.p * c.count,
  };
}

/** How one squared norm is computed, and its cost in multiplications per example beyond the backward pass. */
export interface NormCost {
  /** From the product of the two factors, from their Gram matrices, or from a gradient that other ops make. */
  readonly plan: 'direct' | 'gram' | 'gradient';
  readonly multiplications: number;
}

/** The plan of each of the squared norms `norms` of a graph; of a sum of norms that of the costliest. */
export function describeNorms(graph: Graph, norms: readonly Value[], group = 1): readonly NormCost[] {
  const plan = makePlan(graph, group);
  const costOf = (v: Value): NormCost => {
    const { source } = v;
    if (source.kind === 'node' && source.op === elementwiseOps.Add) {
      const parts = source.inputs.map(costOf).sort((a, b) => b.multiplications - a.multiplications);
      return { plan: parts[0]!.plan, multiplications: parts.reduce((sum, c) => sum + c.multiplications, 0) };
    }
    const found = plan.norms.get(v);
    if (!found) {
      const size = source.kind === 'node' ? sizeOf(source.inputs[0]!.shape) : 0;
      return { plan: 'gradient', multiplications: size / group };
    }
    const c = found.contraction;
    const perGroup = found.gram ? gramCost(c, group) : directCost(c, group);
    return { plan: found.gram ? 'gram' : 'direct', multiplications: (c.count * perGroup) / group };
  };
  return norms.map(costOf);
}

/**
 * Multiplications for each example in the convolutions and matrix products of a lowered graph: what its time should be
 * in proportion to. Twice that many floating-point operations.
 */
export function countMultiplications(graph: Graph, group = 1, choice: PlanChoice = 'auto'): number {
  const plan = makePlan(graph, group, choice);
  const made = new Set<Value>(); // products of which several scalars are read
  let sum = 0;
  for (const v of plan.order) {
    const norm = plan.norms.get(v);
    const grouped = norm ?? plan.sums.get(v);
    if (grouped) {
      const c = grouped.contraction;
      const isMade = norm !== undefined && !norm.gram && (made.has(norm.sum) || isSeparable(norm, group));
      if (norm && !norm.gram && !isSeparable(norm, group)) made.add(norm.sum);
      sum += (c.count * (norm?.gram ? gramCost(c, group) : isMade ? c.i * c.o : directCost(c, group))) / group;
    } else if (v.source.kind === 'node' && v.lead !== 'none') {
      const { op } = v.source;
      const c = op.contraction?.(v.source, v);
      const each = c ? c.count * c.p * c.i * c.o : (op.multiplications?.(v.source, v) ?? 0);
      sum += v.lead === 'group' ? each / group : each;
    }
  }
  return sum;
}

function groupedProduct(v: Value): GroupedProduct | undefined {
  if (v.source.kind !== 'node' || v.source.op !== groupOps.GroupSum) return undefined;
  const product = v.source.inputs[0]!;
  const node = product.source;
  if (node.kind !== 'node' || !node.op.contraction || product.lead !== 'example') return undefined;
  return { product, contraction: node.op.contraction(node, product), from: node.inputs };
}

function throughIsometries(v: Value): Value {
  let x = v;
  while (x.source.kind === 'node' && x.source.op.isometric) x = x.source.inputs[0]!;
  return x;
}

/** What has to be there for a planned value to be made. */
export function operandsOf(v: Value, { norms, sums }: Pick<Plan, 'norms' | 'sums'>): readonly Value[] {
  const norm = norms.get(v);
  const grouped = norm ?? sums.get(v);
  if (grouped) return norm?.other ? [...grouped.from, norm.other] : grouped.from;
  return v.source.kind === 'node' ? v.source.inputs : [];
}

function needed(graph: Graph, sums: Plan['sums'], norms: Plan['norms']): Value[] {
  const seen = new Set<Value>();
  const stack = Object.values(graph.outputs);
  for (let v = stack.pop(); v; v = stack.pop()) {
    if (seen.has(v)) continue;
    seen.add(v);
    stack.push(...operandsOf(v, { norms, sums }));
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
