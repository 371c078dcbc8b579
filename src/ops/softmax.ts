// Softmax over one axis, its logarithm, and the logarithm of a sum of exponentials.

import { GraphError } from '../errors.ts';
import type { OpRecord, Value } from '../graph/index.ts';
import { ndarray } from '../tensor/ndarray.ts';
import { normaliseAxis, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { exp, mul, sub } from './elementwise.ts';
import { axesOf, reduce, reduceSum, reduction } from './reduce.ts';
import { storageAxis } from './slice-lowering.ts';

/** `f` turns one run of values, with their largest and log Σ exp, into the results. */
function overAxis(
  name: string,
  f: (x: number, logSum: number) => number,
  gradient: NonNullable<OpRecord['gradient']>,
): OpRecord {
  return {
    name,
    type: ([x]) => ({ shape: x!.shape, dtype: 'float' }),
    evaluate: ([x], attrs, out) => {
      const axis = attrs.axis as number;
      const [size, stride] = [out.shape[axis]!, sizeOf(out.shape.slice(axis + 1))];
      const y = ndarray(out.shape);
      for (let outer = 0; outer < y.data.length; outer += size * stride) {
        for (let start = outer; start < outer + stride; start++) {
          const at = (k: number) => start + k * stride;
          let max = -Infinity;
          for (let k = 0; k < size; k++) max = Math.max(max, x!.data[at(k)]!);
          let sum = 0;
          for (let k = 0; k < size; k++) sum += Math.exp(x!.data[at(k)]! - max);
          for (let k = 0; k < size; k++) y.data[at(k)] = f(x!.data[at(k)]!, max + Math.log(sum));
        }
      }
      return y;
    },
    gradient,
    lower: (ctx, [x], node, y) => {
      const axis = storageAxis(x!, node.attrs.axis as number);
      if (axis !== undefined) return { ...x!, name: ctx.emit(name, [x!.name], { axis }) };
      const dims = [ctx.leadSize(x!.lead), ...y.shape]; // over a first axis of size 1, which storage has dropped
      return ctx.stored(ctx.emit(name, [ctx.full(x!)], { axis: 1 }), dims, y, x!.lead);
    },
  };
}

const axisOf = (node: { readonly attrs: { readonly [key: string]: unknown } }) => [node.attrs.axis as number];

export const softmaxOps = {
  Softmax: overAxis(
    'Softmax',
    (x, logSum) => Math.exp(x - logSum),
    (dY, node, y) => [mul(y, sub(dY, reduceSum(mul(dY, y), axisOf(node), true)))],
  ),
  LogSoftmax: overAxis(
    'LogSoftmax',
    (x, logSum) => x - logSum,
    (dY, node, y) => [sub(dY, mul(exp(y), reduceSum(dY, axisOf(node), true)))],
  ),
  // log Σ exp x, safe for numbers of any size.
  ReduceLogSumExp: reduction(
    'ReduceLogSumExp',
    -Infinity,
    (t, x) => (t === x ? x + Math.LN2 : Math.max(t, x) + Math.log1p(Math.exp(-Math.abs(t - x)))),
    (dY, node, y) => {
      const x = node.inputs[0]!;
      const wide = axesOf(node.attrs).filter((a) => x.shape[a] !== 1);
      // Of one axis as its softmax, which keeps digits that a large y has lost.
      return [mul(dY, wide.length === 1 ? softmax(x, wide[0]!) : exp(sub(x, y)))];
    },
  ),
} satisfies Record<string, OpRecord>;

function along(op: OpRecord, x: Value, axis: number): Value {
  const a = normaliseAxis(axis, x.shape.length);
  if (a === undefined) throw new GraphError(`${op.name}: axis ${axis} of a value of shape ${shapeText(x.shape)}`);
  return apply(op, [x], { axis: a });
}

/**
 * exp x / Σ exp x along an axis, negative from the end; of the shape of x (ONNX Softmax). Throws a GraphError for an
 * axis that x does not have.
 */
export const softmax = (x: Value, axis: number): Value => along(softmaxOps.Softmax, x, axis);

/** x − log Σ exp x along an axis, see `softmax` (ONNX LogSoftmax). */
export const logSoftmax = (x: Value, axis: number): Value => along(softmaxOps.LogSoftmax, x, axis);

/** log Σ exp x over axes, which are as for `reduceSum`, without overflow (ONNX ReduceLogSumExp). */
export function logSumExp(x: Value, axes?: readonly number[], keepdims = false): Value {
  return reduce(softmaxOps.ReduceLogSumExp, x, axes, keepdims);
}
