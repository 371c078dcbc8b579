// A per-example loss as a graph in; several numbers for each parameter tensor, all of the same gradient, as one graph
// out.

import { gradients } from '../autodiff/index.ts';
import { GraphError, ModelError } from '../errors.ts';
import { type Graph, nameOf, paramsOf, reachable, type Value } from '../graph/index.ts';
import type { Parts } from '../objectives/index.ts';
import {
  add,
  concat,
  groupSum,
  inner,
  neg,
  reshape,
  rewrite,
  simplify,
  simplifyGraph,
  slice,
  sqNorm,
  weightedSqNorm,
} from '../ops/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { alongBasis, type Flow, flowsOf } from './activations.ts';
import { type Factors, factoredSqNorm, factorsOf, type MetricForm } from './factored.ts';
import { factorName, metricName } from './metric-name.ts';
import type { ActivationBasis } from './packed-basis.ts';

/**
 * What is computed beside the squared norm of the gradient of each parameter tensor θ_j; each an output of the graph,
 * [L] but for `parts` and `activations`.
 */
export interface Views {
  /** `radial`: ⟨θ_j, ∇_j ℓ⟩, how the loss changes as the tensor is scaled. */
  readonly radial?: boolean;
  /**
   * `fisher`: the squared norm in a metric. The roots of a diagonal one are a parameter named by `metricName`; where it
   * is factored, a vector or a matrix along each of some axes, named by `factorName`.
   */
  readonly fisher?: boolean;
  /** The parameters whose metric is factored, and how; or the form by which that is to be chosen. Default: none. */
  readonly factored?: Readonly<Record<string, Factors>> | MetricForm;
  /** `activations`: what flows through the model, along the directions of a basis, [r]; no gradient. */
  readonly activations?: ActivationBasis;
  /** `parts`: terms of the loss, an output of as many numbers as these have names. */
  readonly parts?: readonly Parts[];
}

export interface NormGraph {
  /** Outputs `nll` [], `sqnorm` [L] and those of the views, of the loss summed over each group. */
  readonly graph: Graph;
  /** The L parameters, in the order of the outputs. */
  readonly names: readonly string[];
  /** Number of elements of each. */
  readonly sizes: readonly number[];
  /** The names of the columns of `parts`; none without. */
  readonly parts: readonly string[];
  /** The squared norms one by one: the parts of `sqnorm`. */
  readonly norms: readonly Value[];
}

export { metricName };

/**
 * Squared norms and views of the gradient of a loss, as it is `written`, in every learned parameter that receives one.
 */
export function normGraph(
  written: Value,
  views: Views = {},
  wanted: readonly Value[] = paramsOf({ arena: written.arena, outputs: { loss: written } }),
): NormGraph {
  const { arena } = written;
  const loss = rewrite(written);
  const uses = views.radial ? usesOf(loss, wanted) : new Map<Value, readonly Use[]>();
  const read = [...new Set([...uses.values()].flat().map(({ result }) => result))];
  const found = gradients(loss, [...wanted, ...read]);
  const cotangents = new Map(read.map((v, k) => [v, found[wanted.length + k]!]));
  const learned = wanted.flatMap((param, j) => {
    const gradient = found[j];
    return gradient ? [{ param, gradient }] : [];
  });
  if (learned.length === 0) {
    throw new GraphError('the loss depends smoothly on no parameter: there is no gradient to measure');
  }

  const flows = views.activations ? flowsOf(loss) : [];
  if (views.activations && flows.length === 0) {
    throw new ModelError('the model has no activations, the detector a basis of some');
  }
  const scalars = ['sqnorm', ...(views.fisher ? ['fisher'] : []), ...(views.radial ? ['radial'] : [])];
  const made = earliestLast(learned, ({ param, gradient }) => {
    // The metric first, so it is run last: a gradient that nothing else reads by then is scaled in its place.
    const fisher = views.fisher ? [simplify(fisherNorm(param, gradient, views.factored))] : [];
    const norm = simplify(sqNorm(gradient));
    const alongParam = views.radial ? [simplify(radial(param, gradient, uses.get(param) ?? [], cotangents))] : [];
    const values = [norm, ...fisher, ...alongParam];
    const means = flows.filter((flow) => flow.param === param).map((flow) => [flow, meanOf(flow)] as const);
    return { values, rows: values.map((v) => reshape(v, [1])), means };
  });
  const means = new Map(made.flatMap((one) => one.means));
  // All in one list: what is read of one layer is then made at once.
  const pieces = [
    ...scalars.map((_, k) => made.map(({ rows }) => rows[k]!)),
    ...(flows.length > 0 ? [flows.map((flow) => means.get(flow) ?? meanOf(flow))] : []),
  ];
  const list = inPieces(pieces);
  const outputs: Record<string, Value> = { nll: groupSum(loss) };
  for (const [k, name] of scalars.entries()) outputs[name] = list[k]!;
  if (views.activations) outputs.activations = alongBasis(list.at(-1)!, views.activations);
  const { parts = [] } = views;
  if (parts.length > 0) {
    const columns = parts.map(({ value }) => rewrite(value));
    outputs.parts = groupSum(concat(columns, 0));
  }
  return {
    graph: simplifyGraph({ arena, outputs }),
    names: learned.map(({ param }) => nameOf(param)),
    sizes: learned.map(({ param }) => sizeOf(param.shape)),
    parts: parts.flatMap((part) => part.names),
    norms: made.map(({ values }) => values[0]!),
  };
}

/** The mean of what flows into a layer, summed over the group. */
const meanOf = (flow: Flow): Value => groupSum(simplify(reshape(flow.mean(), [-1])));

/** Values of one axis side by side, each list of them as one value, cut from one value of all. */
function inPieces(lists: readonly (readonly Value[])[]): readonly Value[] {
  const all = concat(lists.flat(), 0);
  let start = 0;
  return lists.map((list) => {
    const end = start + list.reduce((sum, v) => sum + v.shape[0]!, 0);
    const piece = slice(all, 0, start, end);
    start = end;
    return piece;
  });
}

/** An op of the forward pass whose result is linear in a parameter, but for what is added to it. */
interface Use {
  readonly result: Value;
  /** What is added: a bias. */
  readonly added: Value | undefined;
}

/**
 * Where a parameter, as it is or transposed and reshaped, is an operand of bilinear ops and of nothing else, these ops:
 * then ⟨θ, ∇ℓ⟩ = Σ ⟨what they make of θ, its cotangent⟩, which needs no gradient of θ. Only where that is fewer
 * products than θ has elements.
 */
function usesOf(loss: Value, params: readonly Value[]): Map<Value, readonly Use[]> {
  const readers = new Map<Value, Value[]>();
  for (const v of reachable([loss])) {
    if (v.source.kind !== 'node') continue;
    for (const x of new Set(v.source.inputs)) readers.set(x, [...(readers.get(x) ?? []), v]);
  }
  const found = new Map<Value, readonly Use[]>();
  for (const param of params) {
    const uses = usesOfOne(param, readers);
    if (uses && uses.reduce((sum, { result }) => sum + sizeOf(result.shape), 0) < sizeOf(param.shape)) {
      found.set(param, uses);
    }
  }
  return found;
}

function usesOfOne(v: Value, readers: ReadonlyMap<Value, readonly Value[]>): Use[] | undefined {
  const uses: Use[] = [];
  for (const result of readers.get(v) ?? []) {
    if (result.source.kind !== 'node') return undefined;
    const { op, inputs } = result.source;
    const places = inputs.filter((x) => x === v).length;
    if (op.isometric) {
      const more = usesOfOne(result, readers);
      if (!more) return undefined;
      uses.push(...more);
    } else if (op.bilinear && places === 1 && inputs[2] !== v && result.lead === 'example') {
      uses.push({ result, added: inputs[2] });
    } else return undefined;
  }
  return uses;
}

/** ⟨θ, ∇ℓ⟩, summed over the group. */
function radial(param: Value, gradient: Value, uses: readonly Use[], cotangents: ReadonlyMap<Value, Value>): Value {
  if (uses.length === 0) {
    const [g, theta] = withoutIsometries(gradient, param);
    return inner(g, theta);
  }
  const parts = uses.map(({ result, added }) => {
    const cotangent = cotangents.get(result)!;
    const whole = groupSum(inner(result, cotangent));
    if (!added) return whole;
    const share = gradientOfAdded(result, cotangent);
    return add(whole, neg(added.lead === 'none' ? inner(groupSum(share), added) : groupSum(inner(share, added))));
  });
  return parts.reduce(add);
}

/** The cotangent of the third operand. */
function gradientOfAdded(result: Value, cotangent: Value): Value {
  if (result.source.kind !== 'node') throw new Error('a bilinear result that is no op');
  return result.source.op.gradient!(cotangent, result.source, result, [false, false, true])[2]!;
}

/** The squared norm in the metric, whose roots become parameters. */
function fisherNorm(param: Value, gradient: Value, factored: Views['factored'] = {}): Value {
  const name = nameOf(param);
  const rootsIn = (given: string, shape: Shape) => param.arena.param(given, shape, { trainable: false });
  const factors = typeof factored === 'string' ? factorsOf(gradient, factored) : factored[name];
  if (!factors) return weighted(gradient, rootsIn(metricName(name), param.shape));
  const roots = factors.axes.map((axis) => {
    const d = param.shape[axis]!;
    return rootsIn(factorName(name, axis), factors.mixed?.includes(axis) ? [d, d] : [d]);
  });
  return factoredSqNorm(gradient, factors, roots);
}

/** Σ w g², summed over the elements. */
function weighted(gradient: Value, roots: Value): Value {
  const [g, r] = withoutIsometries(gradient, roots);
  return weightedSqNorm(g, r);
}

/**
 * A gradient that was only transposed and reshaped, before that, and `other` (of the gradient's shape, without lead)
 * put into the same order: an isometry's adjoint is its inverse.
 */
function withoutIsometries(gradient: Value, other: Value): [Value, Value] {
  let [g, v] = [gradient, other];
  while (g.source.kind === 'node' && g.source.op.isometric) {
    v = g.source.op.gradient!(v, g.source, g, [true])[0]!;
    g = g.source.inputs[0]!;
  }
  return [g, v];
}

/**
 * Makes values of each gradient, those of the gradient which the backward pass has first made last. Runtimes that walk
 * a graph from its outputs (ONNX Runtime does) begin with what was made last; so a norm is computed as soon as its
 * gradient's factors are there, and these are freed, where they would otherwise all wait for the end of the backward
 * pass.
 */
function earliestLast<T extends { readonly gradient: Value }, R>(all: readonly T[], make: (one: T) => R): R[] {
  const made = new Map<T, R>();
  for (const one of all.toSorted((a, b) => b.gradient.id - a.gradient.id)) made.set(one, make(one));
  return all.map((one) => made.get(one)!);
}
