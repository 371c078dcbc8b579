// Graph over one example in, ONNX graph over n examples in groups of B out.

import { GraphError, ModelError } from '../errors.ts';
import {
  type Contraction,
  type Factor,
  type Graph,
  inputsOf,
  type Lowered,
  nameOf,
  paramsOf,
  type Value,
} from '../graph/index.ts';
import type { OnnxModel, OnnxValue } from '../onnx/index.ts';
import { gramMatrix, joinGroups } from '../ops/contraction.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { OnnxBuilder, onnxDTypes } from './builder.ts';
import { knownValues } from './known.ts';
import { type GroupedProduct, makePlan, type PlanChoice } from './norm-plan.ts';
import { groupedProduct, Products } from './products.ts';

export interface LowerOptions {
  /** Number of examples a run takes, n. */
  readonly examples: number;
  /** Examples per group, B; divides n. Default 1. */
  readonly group?: number;
  /** Constants of the ONNX graph, or 'inputs' to feed every parameter by its name at each run. */
  readonly weights: Weights | 'inputs';
  /** Forces one way of computing norms, for tests and benchmarks. Default 'auto': the cheaper by static shapes. */
  readonly plan?: PlanChoice;
}

/**
 * Inputs are fed with a leading axis of n (a first axis of size 1 dropped: x of [1, c, h, w] is fed as [n, c, h, w]).
 * Outputs come with a leading axis of n or m = n / B by their lead, and likewise; outputs without lead come as they
 * are.
 */
export function lower(graph: Graph, options: LowerOptions): OnnxModel {
  const fed = [...inputsOf(graph), ...(options.weights === 'inputs' ? paramsOf(graph, { all: true }) : [])];
  const ctx = new OnnxBuilder(options.examples, options.group ?? 1, new Set(fed.map(nameOf)));
  const plan = makePlan(graph, ctx.group, options.plan);
  const done = new Map<Value, Lowered>();
  const { weights } = options;
  const known = knownValues(weights);
  /** What is known beforehand is a constant, where something reads it. */
  const get = (v: Value): Lowered => {
    const found = done.get(v) ?? { ...v, name: ctx.typed(v.dtype, known(v)!, v.shape) };
    done.set(v, found);
    return found;
  };
  const products = new Products(ctx, plan);

  for (const v of plan.order) {
    const norm = plan.norms.get(v);
    const sum = plan.sums.get(v);
    if (done.has(v)) continue;
    if (v.source.kind === 'node' && known(v)) continue;
    if (norm) {
      const inputs = norm.from.map(get);
      done.set(v, norm.gram ? gramNorm(ctx, norm, inputs) : products.norm(norm, inputs, norm.others.map(get)));
    } else if (sum) {
      const product = groupedProduct(ctx, sum, sum.from.map(get));
      done.set(v, sum.contraction.finish(ctx, product, ctx.leadSize('group')));
    } else done.set(v, lowerValue(ctx, v, get, options.weights));
  }

  const outputs: OnnxValue[] = Object.entries(graph.outputs).map(([name, v]) => {
    const lowered = get(v);
    const dims = ctx.storage(v.shape, v.lead);
    // What turned out not to vary (B times a constant, say) is repeated, so that an output's shape follows from its
    // lead.
    const source =
      lowered.lead === v.lead
        ? lowered.name
        : ctx.reshape(ctx.expanded(lowered, v.lead), [ctx.leadSize(v.lead), ...v.shape], dims);
    return { name: ctx.output(name, source), dims, dtype: onnxDTypes[v.dtype] };
  });
  return ctx.model(outputs);
}

function lowerValue(ctx: OnnxBuilder, v: Value, get: (v: Value) => Lowered, weights: Weights | 'inputs'): Lowered {
  const type = { shape: v.shape, dtype: v.dtype, lead: v.lead };
  const s = v.source;
  switch (s.kind) {
    case 'node':
      try {
        return s.op.lower(ctx, s.inputs.map(get), s, v);
      } catch (error) {
        throw error instanceof GraphError ? error : new GraphError(`${s.op.name} ${v}: ${String(error)}`);
      }
    case 'constant':
      return { ...type, name: ctx.typed(v.dtype, s.data, v.shape) };
    case 'input':
      return { ...type, name: ctx.input(s.name, ctx.storage(v.shape, 'example'), onnxDTypes[v.dtype]) };
    case 'param': {
      if (weights === 'inputs') return { ...type, name: ctx.input(s.name, v.shape, 'float') };
      const w = weights[s.name];
      if (!w) throw new ModelError(`parameter '${s.name}' ${shapeText(v.shape)} has no weights`);
      if (!sameShape(w.shape, v.shape) || w.data.length !== sizeOf(v.shape)) {
        throw new ModelError(
          `parameter '${s.name}': weights are ${shapeText(w.shape)}, the model needs ${shapeText(v.shape)}`,
        );
      }
      return { ...type, name: ctx.weight(s.name, v.shape, w.data) };
    }
  }
}

/** ‖XᵀY‖² as ⟨X·Xᵀ, Y·Yᵀ⟩, for a single position ‖x‖²·‖y‖². */
function gramNorm(ctx: OnnxBuilder, grouped: GroupedProduct, inputs: readonly Lowered[]): Lowered {
  const { contraction: c } = grouped;
  const m = ctx.leadSize('group');
  const p = ctx.group * c.p;
  const [x, y] = c.gram ? c.gram.lower(ctx, inputs) : gramMatrices(ctx, c, inputs);
  const product = ctx.emit('Mul', [x, y]); // [m, count, p, p]
  const flat = ctx.reshape(product, [m, c.count, p, p], [m, c.count * p * p]);
  const name = ctx.emit('ReduceSum', [flat, ctx.ints([1])], { keepdims: 0 });
  return { name, shape: [], dtype: 'float', lead: 'group' };
}

function gramMatrices(ctx: OnnxBuilder, c: Contraction, inputs: readonly Lowered[]): readonly [string, string] {
  const { x, y } = c.factors(ctx, inputs);
  const of = (f: Factor, width: number) => gramMatrix(ctx, joinGroups(ctx, f, c.count, c.p, width), ctx.group * c.p);
  return [of(x, c.i), of(y, c.o)];
}
