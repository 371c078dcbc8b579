// Graph over one example in, ONNX graph over n examples in groups of B out.

import { GraphError, ModelError } from '../errors.ts';
import type { Graph, Lowered, Value } from '../graph/index.ts';
import type { OnnxModel, OnnxValue } from '../onnx/index.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { OnnxBuilder, onnxDTypes } from './context.ts';
import { type GroupedProduct, makePlan, type PlanChoice } from './plan.ts';

/** Weights by parameter name, row-major float32. */
export type WeightTensors = Readonly<Record<string, { readonly shape: Shape; readonly data: Float32Array }>>;

export interface LowerOptions {
  /** Number of examples a run takes, n. */
  readonly examples: number;
  /** Examples per group, B; divides n. Default 1. */
  readonly group?: number;
  /** Constants of the ONNX graph, or 'inputs' to feed every parameter by its name at each run. */
  readonly weights: WeightTensors | 'inputs';
  /** Forces one way of computing norms, for tests and benchmarks. Default 'auto': the cheaper by static shapes. */
  readonly plan?: PlanChoice;
}

/**
 * Inputs are fed with a leading axis of n (a first axis of size 1 dropped: x of [1, c, h, w] is fed as [n, c, h, w]).
 * Outputs come with a leading axis of n or m = n / B by their lead, and likewise; outputs without lead come as they are.
 */
export function lower(graph: Graph, options: LowerOptions): OnnxModel {
  const ctx = new OnnxBuilder(options.examples, options.group ?? 1);
  const plan = makePlan(graph, ctx.group, options.plan);
  const done = new Map<Value, Lowered>();
  const get = (v: Value) => done.get(v)!;

  for (const v of plan.order) {
    const gram = plan.grams.get(v);
    const sum = plan.sums.get(v);
    if (gram) done.set(v, lowerGram(ctx, gram, gram.node.inputs.map(get)));
    else if (sum) done.set(v, lowerGroupedProduct(ctx, sum, sum.node.inputs.map(get)));
    else done.set(v, lowerValue(ctx, v, get, options.weights));
  }

  const outputs: OnnxValue[] = Object.entries(graph.outputs).map(([name, v]) => {
    const lowered = get(v);
    const dims = ctx.storage(v.shape, v.lead);
    // What turned out not to vary (B times a constant, say) is repeated, so that an output's shape follows from its lead.
    const source =
      lowered.lead === v.lead
        ? lowered.name
        : ctx.reshape(ctx.expanded(lowered, v.lead), [ctx.leadSize(v.lead), ...v.shape], dims);
    ctx.output(name, source);
    return { name, dims, dtype: onnxDTypes[v.dtype] };
  });
  return ctx.model(outputs);
}

function lowerValue(
  ctx: OnnxBuilder,
  v: Value,
  get: (v: Value) => Lowered,
  weights: WeightTensors | 'inputs',
): Lowered {
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

/** Both factors with the positions of a group's B examples side by side: [m, count, B·p, i or o]. */
function groupedFactors(ctx: OnnxBuilder, { contraction: c }: GroupedProduct, inputs: readonly Lowered[]) {
  const { x, y } = c.factors(ctx, inputs);
  const m = ctx.leadSize('group');
  const join = (name: string, width: number) => {
    if (ctx.group === 1) return name;
    const [n, B] = [ctx.examples, ctx.group];
    if (c.count === 1) return ctx.reshape(name, [n, 1, c.p, width], [m, 1, B * c.p, width]);
    const open = ctx.reshape(name, [n, c.count, c.p, width], [m, B, c.count, c.p, width]);
    const moved = ctx.emit('Transpose', [open], { perm: [0, 2, 1, 3, 4] });
    return ctx.reshape(moved, [m, c.count, B, c.p, width], [m, c.count, B * c.p, width]);
  };
  return { x: join(x, c.i), y: join(y, c.o), m };
}

function lowerGroupedProduct(ctx: OnnxBuilder, grouped: GroupedProduct, inputs: readonly Lowered[]): Lowered {
  const { x, y, m } = groupedFactors(ctx, grouped, inputs);
  const xT = ctx.emit('Transpose', [x], { perm: [0, 1, 3, 2] });
  return grouped.contraction.finish(ctx, ctx.emit('MatMul', [xT, y]), m);
}

/** ‖XᵀY‖² = ⟨X·Xᵀ, Y·Yᵀ⟩, and for a single position ‖x‖²·‖y‖². */
function lowerGram(ctx: OnnxBuilder, grouped: GroupedProduct, inputs: readonly Lowered[]): Lowered {
  const { contraction: c } = grouped;
  const { x, y, m } = groupedFactors(ctx, grouped, inputs);
  const p = ctx.group * c.p;
  const gram = (name: string) =>
    p === 1
      ? ctx.emit('ReduceSumSquare', [name, ctx.ints([3])], { keepdims: 1 })
      : ctx.emit('MatMul', [name, ctx.emit('Transpose', [name], { perm: [0, 1, 3, 2] })]); // [m, count, p, p]
  const product = ctx.reshape(ctx.emit('Mul', [gram(x), gram(y)]), [m, c.count, p, p], [m, c.count * p * p]);
  const name = ctx.emit('ReduceSum', [product, ctx.ints([1])], { keepdims: 0 });
  return { name, shape: [], dtype: 'float', lead: 'group' };
}
