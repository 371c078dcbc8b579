// How each squared norm of a weight gradient is computed: from the gradient, or from the two Gram matrices of its
// factors without the gradient ever existing. Also finds where a group's sum can join the product that makes it.

import type { Contraction, Graph, OpRecord, Value } from '../graph/index.ts';
import { reachable } from '../graph/index.ts';
import { elementwiseOps } from '../ops/elementwise.ts';
import { groupOps } from '../ops/group.ts';
import { innerOps, mixedAxes } from '../ops/inner.ts';
import { type Mixing, mixingCost } from '../ops/kronecker.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';

export type PlanChoice = 'auto' | 'direct' | 'gram';

/** A weight gradient Σ_p x[p] ⊗ y[p], summed over a group, as one step. */
export interface GroupedProduct {
  readonly product: Value;
  readonly contraction: Contraction;
  /** The values that it is made from. */
  readonly from: readonly Value[];
}

/**
 * The squared norm of such a gradient, its inner product with a value without lead, its squared norm with such weights,
 * or that of what matrices along its axes make of it.
 */
export interface PlannedNorm extends GroupedProduct {
  readonly kind: 'square' | 'inner' | 'weighted' | 'mixed';
  /** The gradient's value, which need not be made itself. */
  readonly sum: Value;
  /** From the Gram matrices of the two factors. */
  readonly gram: boolean;
  /** The other operand; of the kind `mixed` the matrices. */
  readonly others: readonly Value[];
  /** The axes of the gradient that the matrices mix. */
  readonly axes?: readonly number[];
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
    const norm: PlannedNorm = { ...grouped, kind, sum, others: [other], gram: false };
    norms.set(v, norm);
    if (!isSeparable(norm, group)) made.add(sum);
  }
  for (const v of all) {
    if (v.source.kind !== 'node' || v.source.op !== innerOps.MixedSqNorm) continue;
    const [sum, ...others] = v.source.inputs as [Value, ...Value[]];
    const grouped = sums.get(sum);
    if (!grouped?.contraction.sides || others.some(({ lead }) => lead !== 'none')) continue;
    norms.set(v, { ...grouped, kind: 'mixed', sum, others, axes: mixedAxes(v.source.attrs), gram: false });
    made.add(sum);
  }
  for (const v of all) {
    if (v.source.kind !== 'node' || v.source.op !== groupOps.SqNorm) continue;
    const sum = throughIsometries(v.source.inputs[0]!);
    const grouped = sums.get(sum);
    if (!grouped) continue;
    const { contraction: c } = grouped;
    const cheaper = !made.has(sum) && gramCost(c, group) < directCost(c, group);
    const gram = choice === 'auto' ? cheaper : choice === 'gram';
    norms.set(v, { ...grouped, kind: 'square', sum, others: [], gram, from: (gram && c.gram?.from) || grouped.from });
  }
  return { sums, norms, order: needed(graph, sums, norms) };
}

/** Multiplications beyond making a product: to mix it by matrices along its axes, or what it is made of. */
interface MixingCosts {
  readonly product: number;
  readonly factors: number;
}

/** What the squared norm of a product costs, in multiplications: from the product itself, from its Gram matrices. */
export interface ProductCosts {
  readonly direct: number;
  readonly gram: number;
  /** Of a single position: then even the weighted norm needs no product. */
  readonly single: boolean;
  /** Positions of one example that are summed over. */
  readonly positions: number;
  /** Of matrices along these axes; undefined of several products side by side. */
  readonly mixing?: ((axes: readonly number[]) => MixingCosts) | undefined;
}

/** Of a gradient that is a sum of outer products over the positions of one example; undefined for any other. */
export function productCosts(gradient: Value): ProductCosts | undefined {
  const sum = throughIsometries(gradient);
  const c = groupedProduct(sum)?.contraction;
  if (!c) return undefined;
  return {
    mixing: c.sides && mixingIn(sum.shape, c.p, c.sides),
    direct: c.count * directCost(c, 1),
    gram: c.count * gramCost(c, 1),
    single: c.p === 1 && c.count === 1,
    positions: c.p * c.count,
  };
}

/** See `ProductCosts.mixing`: taps behind the first axis of each side are mixed as they are made. */
const mixingIn =
  (shape: Shape, p: number, { i, o }: NonNullable<Contraction['sides']>) =>
  (axes: readonly number[]): MixingCosts => {
    const side = (all: readonly number[]) =>
      all.map((axis): Mixing => ({ d: shape[axis]!, root: axes.includes(axis) ? '' : undefined }));
    const channels = [i[0]!, o[0]!].filter((axis) => axes.includes(axis));
    const factors = p * channels.reduce((sum, axis) => sum + shape[axis]! ** 2, 0);
    return { product: mixingCosts(side(i), side(o)).least, factors };
  };

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
      if (norm?.kind === 'mixed') {
        const { i, o } = mixingsOf(norm, ({ shape }) => String(shape));
        sum += mixingCosts(i, o).least / group;
      }
    } else if (v.source.kind === 'node' && v.lead !== 'none') {
      const { op } = v.source;
      const c = op.contraction?.(v.source, v);
      const each = c ? c.count * c.p * c.i * c.o : (op.multiplications?.(v.source, v) ?? 0);
      sum += v.lead === 'group' ? each / group : each;
    }
  }
  return sum;
}

/** Of a product as it is, [i, o], and transposed. */
export function mixingCosts(i: readonly Mixing[], o: readonly Mixing[]) {
  const [straight, flipped] = [mixingCost(i, o), mixingCost(o, i)];
  return { straight, flipped, least: Math.min(straight, flipped) };
}

/** The matrices of a norm of the kind `mixed` along both sides of its product. */
export function mixingsOf(
  { contraction, sum, others, axes }: PlannedNorm,
  nameOf: (root: Value) => string,
): Readonly<Record<'i' | 'o', readonly Mixing[]>> {
  const side = (all: readonly number[]) =>
    all.map((axis): Mixing => {
      const root = others[axes!.indexOf(axis)];
      return { d: sum.shape[axis]!, root: root && nameOf(root) };
    });
  const { i, o } = contraction.sides!;
  return { i: side(i), o: side(o) };
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
  if (grouped) return [...grouped.from, ...(norm?.others ?? [])];
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
