// Rows of a table by index, as of an embedding; and one-hot rows, which are what the table's gradient is made with.

import { GraphError } from '../errors.ts';
import type { OpRecord, Value } from '../graph/index.ts';
import { ndarray } from '../tensor/ndarray.ts';
import { shapeText } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { clipped } from './contraction.ts';
import { outerSum } from './linear.ts';

const nearest = (index: number, count: number) => Math.min(Math.max(index, 0), count - 1);

export const rowOps = {
  // indices [p] of whole numbers, table [v, d] -> [p, d]. An index that names no row takes the nearest: `Arena.require`
  // demands ranges.
  Rows: {
    name: 'Rows',
    takes: 'numbers',
    bilinear: true,
    type: ([indices, table]) => {
      if (
        indices!.shape.length !== 1 ||
        indices!.dtype !== 'int' ||
        table!.shape.length !== 2 ||
        table!.shape[0] === 0
      ) {
        throw new GraphError(`Rows: indices ${shapeText(indices!.shape)} of a table ${shapeText(table!.shape)}`);
      }
      return { shape: [indices!.shape[0]!, table!.shape[1]!], dtype: table!.dtype };
    },
    evaluate: ([indices, table], _attrs, out) => {
      const y = ndarray(out.shape);
      const [v, d] = table!.shape as [number, number];
      indices!.data.forEach((index, i) => {
        const from = nearest(index, v) * d;
        y.data.set(table!.data.subarray(from, from + d), i * d);
      });
      return y;
    },
    gradient: (dY, node, _y, needs) => {
      const [indices, table] = node.inputs as [Value, Value];
      return [null, needs[1] ? outerSum(hotRows(indices, table.shape[0]!), dY) : null];
    },
    lower: (ctx, [indices, table], _node, y) => {
      const [v] = table!.shape as [number, number];
      if (table!.lead === 'none') {
        const places = clipped(ctx, indices!, v);
        const { lead } = places;
        const name = ctx.emit('Gather', [table!.name, lead === 'none' ? places.name : ctx.full(places)], { axis: 0 });
        if (lead === 'none') return { name, shape: y.shape, dtype: y.dtype, lead };
        return ctx.stored(name, [ctx.leadSize(lead), ...y.shape], y, lead);
      }
      const size = ctx.leadSize(table!.lead);
      const each = ctx.expanded(clipped(ctx, indices!, v), table!.lead);
      const places = ctx.reshape(each, [size, y.shape[0]!], [size, y.shape[0]!, 1]);
      const name = ctx.emit('GatherND', [ctx.full(table!), places], { batch_dims: 1 });
      return ctx.stored(name, [size, ...y.shape], y, table!.lead);
    },
  },

  // indices [p] -> [p, count]: 1 at the index, 0 elsewhere.
  HotRows: {
    name: 'HotRows',
    takes: 'numbers',
    type: ([indices], attrs) => {
      if (indices!.shape.length !== 1 || indices!.dtype !== 'int') {
        throw new GraphError(`HotRows: indices ${shapeText(indices!.shape)}, expected whole numbers [p]`);
      }
      return { shape: [indices!.shape[0]!, attrs.count as number], dtype: 'float' };
    },
    evaluate: ([indices], _attrs, out) => {
      const y = ndarray(out.shape);
      const count = out.shape[1]!;
      indices!.data.forEach((index, i) => {
        y.data[i * count + nearest(index, count)] = 1;
      });
      return y;
    },
    gradient: () => [null],
    lower: (ctx, [indices], node, y) => {
      const count = node.attrs.count as number;
      const places = clipped(ctx, indices!, count);
      const { lead } = places;
      const of = lead === 'none' ? places.name : ctx.full(places);
      const name = ctx.emit('OneHot', [of, ctx.int(count), ctx.float([0, 1], [2])], { axis: -1 });
      if (lead === 'none') return { name, shape: y.shape, dtype: y.dtype, lead };
      return ctx.stored(name, [ctx.leadSize(lead), ...y.shape], y, lead);
    },
    places: (node) => node.inputs[0]!,
    pick: (node, table) => rows(table, node.inputs[0]!),
  },
} satisfies Record<string, OpRecord>;

/** The rows [p, d] of a table [v, d] that whole numbers [p] name, counted from 0. */
export const rows = (table: Value, indices: Value): Value => apply(rowOps.Rows, [indices, table]);

/**
 * [p, count] with a 1 in each row, at the index; of indices [p], whole numbers (ONNX OneHot). Throws a GraphError for
 * other indices.
 */
export const hotRows = (indices: Value, count: number): Value => apply(rowOps.HotRows, [indices], { count });
