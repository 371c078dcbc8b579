// Gram matrices of a table's gradient, some of whose rows are one-hot, without these rows: two of them have the product
// 1 or 0, and one with any other row is that row's number at its place. So nothing as wide as the table is made for
// what is looked up in it.

import type { Contraction, Factor, Lowered, Lowering, Value } from '../graph/index.ts';
import { clipped, gramMatrix, joinGroups, rowsFactor } from './contraction.ts';
import { shapeOps } from './shape.ts';

/** The rows of one factor: one-hot ones by their places, then others. */
interface Side {
  /** Whole numbers [p] each. */
  readonly places: readonly Value[];
  /** [p, width] each. */
  readonly others: readonly Value[];
  /** How many rows there are of both kinds. */
  readonly hot: number;
  readonly rest: number;
}

/** The way to the Gram matrices of x [p, i] and y [p, o], where rows of one of them are one-hot; nothing else. */
export function hotGram(x: Value, y: Value): Pick<Contraction, 'gram'> {
  const [ofX, ofY] = [sideOf(x), sideOf(y)];
  const side = ofX ?? ofY;
  if (!side) return {};
  const [own, other] = side === ofX ? [x, y] : [y, x];
  const [width, otherWidth] = [own.shape[1]!, other.shape[1]!];
  const p = side.hot + side.rest;
  return {
    gram: {
      cost: (group) => (group * side.rest) ** 2 * width + (group * p) ** 2 * (otherWidth + 1),
      from: [...side.places, ...side.others, other],
      lower(ctx, inputs) {
        const places = inputs.slice(0, side.places.length);
        const others = inputs.slice(side.places.length, -1);
        return [ownGram(ctx, places, others, width), otherGram(ctx, inputs.at(-1)!, side)];
      },
    },
  };
}

/** Rows that are one-hot before others that are not; undefined for anything else. */
function sideOf(v: Value): Side | undefined {
  const { source } = v;
  const joined = source.kind === 'node' && source.op === shapeOps.Concat && source.attrs.axis === 0;
  const parts = joined ? source.inputs : [v];
  const places = parts.map(({ source: s }) => (s.kind === 'node' ? s.op.places?.(s) : undefined));
  const first = places.indexOf(undefined);
  const count = first < 0 ? parts.length : first;
  if (count === 0 || places.slice(count).some((at) => at !== undefined)) return undefined;
  const others = parts.slice(count);
  const rest = others.reduce((sum, x) => sum + x.shape[0]!, 0);
  return { places: places.slice(0, count) as Value[], others, hot: v.shape[0]! - rest, rest };
}

/** [m, 1, B·p, B·p]: a group's one-hot rows first. */
function ownGram(ctx: Lowering, places: readonly Lowered[], others: readonly Lowered[], width: number): string {
  const [m, B] = [ctx.leadSize('group'), ctx.group];
  const ids = places.map((v) => ctx.expanded(clipped(ctx, v, width), 'example')); // [n, p] each
  const hot = B * places.reduce((sum, v) => sum + v.shape[0]!, 0);
  const flat = ids.length === 1 ? ids[0]! : ctx.emit('Concat', ids, { axis: 1 });
  const at = (dims: readonly number[]) => ctx.reshape(flat, [ctx.examples, hot / B], dims);
  const same = ctx.emit('Cast', [ctx.emit('Equal', [at([m, 1, hot, 1]), at([m, 1, 1, hot])])], { to: FLOAT });
  if (others.length === 0) return same;

  const rest = others.reduce((sum, v) => sum + v.shape[0]!, 0);
  const rows = others.map((v) => ctx.expanded(v, 'example')); // [n, p, width] each
  const stacked = rows.length === 1 ? rows[0]! : ctx.emit('Concat', rows, { axis: 1 });
  const factor = ctx.reshape(stacked, [ctx.examples, rest, width], [m, 1, B * rest, width]);
  const wanted = ctx.emit('Expand', [at([m, 1, 1, hot]), ctx.ints([m, 1, B * rest, hot])]);
  const crossed = ctx.emit('GatherElements', [factor, wanted], { axis: 3 }); // [m, 1, B·rest, hot]
  const among = gramMatrix(ctx, { name: factor, positionsLast: false }, B * rest);
  const across = ctx.emit('Transpose', [crossed], { perm: [0, 1, 3, 2] });
  const above = ctx.emit('Concat', [same, across], { axis: 3 });
  const below = ctx.emit('Concat', [crossed, among], { axis: 3 });
  return ctx.emit('Concat', [above, below], { axis: 2 });
}

/** The other factor's, its rows in the same order. */
function otherGram(ctx: Lowering, v: Lowered, { hot, rest }: Side): string {
  const factor = rowsFactor(ctx, v);
  const p = hot + rest;
  const width = v.shape[1]!;
  if (ctx.group === 1 || rest === 0) return gramMatrix(ctx, joinGroups(ctx, factor, 1, p, width), ctx.group * p);
  const part = (from: number, to: number): Factor => {
    const name = ctx.emit('Slice', [factor.name, ctx.ints([from]), ctx.ints([to]), ctx.ints([2])]);
    return joinGroups(ctx, { name, positionsLast: false }, 1, to - from, width);
  };
  const name = ctx.emit('Concat', [part(0, hot).name, part(hot, p).name], { axis: 2 });
  return gramMatrix(ctx, { name, positionsLast: false }, ctx.group * p);
}

/** ONNX's code of the type. */
const FLOAT = 1;
