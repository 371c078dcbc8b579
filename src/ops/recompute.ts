// Values that the backward pass makes anew instead of keeping them: what they are made of, and when.

import { GraphError } from '../errors.ts';
import type { Lowering, OpRecord, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { shapeOps, slice } from './shape.ts';
import { lowerSlice } from './slice-lowering.ts';

export const recomputeOps = {
  // The first operand. What lies between it and the others is made anew when its cotangent is there (`differentiate`).
  Recomputed: {
    name: 'Recomputed',
    isometric: true,
    takes: 'anything',
    recomputes: true,
    type: ([y]) => ({ shape: y!.shape, dtype: y!.dtype }),
    evaluate: ([y]) => y!,
    gradient: (dY, node) => node.inputs.map((_, k) => (k === 0 ? dY : null)),
    lower: (_ctx, [y]) => y!,
  },

  // Slice of the first operand, not to be had before the others are.
  SliceAfter: {
    name: 'SliceAfter',
    takes: 'anything',
    lead: 'example', // as the operand's; sums over groups may be among the others
    type: ([x], attrs) => shapeOps.Slice.type([x!], attrs),
    evaluate: ([x], attrs, out) => shapeOps.Slice.evaluate([x!], attrs, out),
    gradient: (dY, node) => {
      const [dX] = shapeOps.Slice.gradient(dY, node);
      return node.inputs.map((_, k) => (k === 0 ? dX! : null));
    },
    lower: (ctx, [x, ...others], node, y) => {
      const zeros = others.map(({ name }) => zeroFrom(ctx, name));
      const zero = zeros.reduce((a, b) => ctx.emit('And', [a, b]));
      return lowerSlice(ctx, x!, node, y, ctx.emit('Cast', [zero], { to: INT64 }));
    },
  },
} satisfies Record<string, OpRecord>;

/** ONNX's numbers for types. */
const [INT64, BOOL] = [7, 9];

/** `false`, of one element, which the runtime does not know before it has the value, whatever that is. */
function zeroFrom(ctx: Lowering, name: string): string {
  const flat = ctx.emit('Reshape', [name, ctx.ints([-1])]);
  const first = ctx.emit('Slice', [flat, ctx.ints([0]), ctx.ints([1]), ctx.ints([0]), ctx.ints([1])]);
  return ctx.emit('And', [ctx.emit('Cast', [first], { to: BOOL }), ctx.zero('bool')]);
}

/**
 * y, of which the backward pass makes anew what lies between `from` and it, so that none of that is kept until then.
 * `from`: slices, which are made anew as well. Throws a GraphError for anything else.
 */
export function recomputed(y: Value, from: readonly Value[]): Value {
  const odd = from.find((x) => !sliceOf(x));
  if (odd) throw new GraphError(`Recomputed: ${y} from ${odd}, takes slices`);
  return apply(recomputeOps.Recomputed, [y, ...from]);
}

/**
 * Elements start..end-1 of one axis; of what each example has its own of, another value than any slice whose `owner`
 * has another number, so that what is made of it is made for nothing else.
 */
export function ownSlice(x: Value, axis: number, start: number, end: number, owner: number): Value {
  const y = slice(x, axis, start, end);
  return y === x || x.lead === 'none' ? y : apply(shapeOps.Slice, [x], { ...sliceOf(y)!.attrs, owner });
}

/** A slice once more, which whatever runs the graph has after all of `others`. */
export function after(x: Value, others: readonly Value[]): Value {
  const { inputs, attrs } = sliceOf(x)!;
  return others.length === 0 ? x : apply(recomputeOps.SliceAfter, [inputs[0]!, ...others], attrs);
}

function sliceOf({ source }: Value) {
  if (source.kind !== 'node') return undefined;
  return source.op === shapeOps.Slice || source.op === recomputeOps.SliceAfter ? source : undefined;
}
