// Repetition along axes, as broadcasting does it.

import { GraphError } from '../errors.ts';
import type { OpRecord, Value } from '../graph/index.ts';
import { broadcastStrides, ndarray, walk } from '../tensor/ndarray.ts';
import { broadcastTwo, type Shape, sameShape, shapeText } from '../tensor/shape.ts';
import { apply } from './apply.ts';

export const expandOps = {
  Expand: {
    name: 'Expand',
    takes: 'anything',
    repeats: true,
    type: ([x], attrs) => {
      const shape = attrs.shape as Shape;
      const joint = broadcastTwo(x!.shape, shape);
      if (!joint || !sameShape(joint, shape)) {
        throw new GraphError(`Expand: ${shapeText(x!.shape)} does not broadcast to ${shapeText(shape)}`);
      }
      return { shape, dtype: x!.dtype };
    },
    evaluate: ([x], _attrs, out) => {
      const y = ndarray(out.shape);
      walk(out.shape, [broadcastStrides(x!.shape, out.shape)], (i, [from]) => {
        y.data[i] = x!.data[from!]!;
      });
      return y;
    },
    // Of the wide shape: differentiation sums it to the operand's.
    gradient: (dY) => [dY],
    lower: (ctx, [x], _node, y) => {
      const { names } = ctx.aligned([x!], y.shape);
      const name = ctx.emit('Expand', [names[0]!, ctx.ints(ctx.storage(y.shape, x!.lead))]);
      return { name, shape: y.shape, dtype: y.dtype, lead: x!.lead };
    },
  },
} satisfies Record<string, OpRecord>;

/**
 * x repeated to `shape` by NumPy's broadcasting (ONNX Expand). Throws a GraphError where it does not broadcast to that.
 */
export function expand(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply(expandOps.Expand, [x], { shape });
}
