// Values between the places of an image, at points that may depend on the data: GridSample, AffineGrid. What a point
// takes from an axis is a row of weights, piecewise a polynomial in the point's coordinate, so that gradients go into
// the image and into the grid.

import type { Value } from '../../graph/index.ts';
import {
  add,
  detach,
  equal,
  expand,
  floor,
  greater,
  less,
  matmul,
  mul,
  reshape,
  round,
  slice,
  sub,
  toFloat,
  transpose,
  where,
} from '../../ops/index.ts';
import { shapeText, sizeOf } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';

/** Places of an image times points: what a table of weights may have. */
const MOST = 2 ** 24;

function gridSample(ctx: NodeContext): Value {
  const [x, grid] = [ctx.in(0), ctx.in(1)];
  const rank = x.shape.length - 2;
  const fits = grid.shape.length === rank + 2 && grid.shape.at(-1) === rank && grid.shape[0] === x.shape[0];
  if (rank < 1 || x.shape[0] !== 1 || !fits) ctx.refuse(`${shapeText(x.shape)} at a grid of ${shapeText(grid.shape)}`);
  const space = x.shape.slice(2);
  const out = grid.shape.slice(1, -1);
  const points = sizeOf(out);
  ctx.sized(sizeOf(space) * points, 'weights, one for each place and point', MOST);
  const flat = reshape(grid, [points, rank]);
  // The grid's last axis names x first, which is the image's last axis.
  const along = space.map((d, a) => axisWeights(ctx, reshape(slice(flat, 1, rank - 1 - a, rank - a), [points, 1]), d));
  const weights = along.reduce((all, w) => {
    const [before, d] = [all.shape[1]!, w.shape[1]!];
    return reshape(mul(reshape(all, [points, before, 1]), reshape(w, [points, 1, d])), [points, before * d]);
  });
  const y = matmul(reshape(x, [x.shape[1]!, sizeOf(space)]), transpose(weights)); // [c, points]
  return reshape(y, [1, x.shape[1]!, ...out]);
}

/** [points, d]: what each point takes from each place of an axis, from its coordinates in [-1, 1], [points, 1]. */
function axisWeights(ctx: NodeContext, coordinate: Value, d: number): Value {
  const corners = ctx.int('align_corners', 0) === 1;
  const padding = ctx.text('padding_mode', 'zeros');
  const mode = ctx.text('mode', ctx.opset < 20 ? 'bilinear' : 'linear');
  if (!['zeros', 'border', 'reflection'].includes(padding)) ctx.refuse(`padding_mode '${padding}'`);
  const at = corners ? mul(add(coordinate, 1), (d - 1) / 2) : sub(mul(add(coordinate, 1), d / 2), 0.5);
  const inside = (v: Value) =>
    padding === 'zeros' ? v : into(padding === 'reflection' ? reflected(v, d, corners) : v, d);
  const places = ctx.constant(
    Array.from({ length: d }, (_, i) => i),
    [1, d],
  );
  const taps = (of: (k: number) => readonly [Value, Value], from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, k) => of(from + k))
      .map(([place, weight]) => mul(toFloat(equal(detach(place), places)), weight))
      .reduce(add);
  if (mode === 'nearest') return toFloat(equal(round(inside(at)), places));
  if (mode === 'bilinear' || mode === 'linear') {
    const p = inside(at);
    const first = detach(floor(p));
    const t = sub(p, first);
    return taps((k) => [add(first, k), k === 0 ? sub(1, t) : t], 0, 1);
  }
  if (mode !== 'bicubic' && mode !== 'cubic') ctx.refuse(`mode '${mode}'`);
  const first = detach(floor(at));
  const t = sub(at, first);
  return taps((k) => [inside(add(first, k)), cubic(k <= 0 ? sub(t, k) : sub(k, t), k === 0 || k === 1)], -1, 2);
}

/** Keys's kernel with a = -0.75 at a distance, near (up to 1) or far (up to 2). */
function cubic(distance: Value, near: boolean): Value {
  const a = -0.75;
  const polynomial = (...factors: readonly number[]) =>
    factors
      .slice(1)
      .reduce<Value>(
        (sum, c) => add(mul(sum, distance), c),
        expand(distance.arena.constant(factors[0]!), distance.shape),
      );
  return near ? polynomial(a + 2, -(a + 3), 0, 1) : polynomial(a, -5 * a, 8 * a, -4 * a);
}

/** Into 0 .. d - 1. At the ends and beyond there is no gradient, as PyTorch has it. */
function into(v: Value, d: number): Value {
  const [low, high] = [v.arena.constant(0), v.arena.constant(d - 1)];
  return where(greater(v, low), where(less(v, high), v, high), low);
}

/** Thrown back at the ends, which are the outermost places' centres or their edges, as often as it takes. */
function reflected(v: Value, d: number, corners: boolean): Value {
  const [low, high] = corners ? [0, d - 1] : [-0.5, d - 0.5];
  const span = high - low;
  if (span === 0) return mul(v, 0);
  const away = sub(v, low);
  const from = where(less(away, 0), mul(away, -1), away);
  const flips = detach(floor(mul(from, 1 / span)));
  const extra = sub(from, mul(flips, span));
  const odd = greater(sub(flips, mul(floor(mul(flips, 0.5)), 2)), 0.5);
  return add(where(odd, sub(span, extra), extra), low);
}

/** theta [1, k, k + 1], size [1, c, ...k]: points [1, ...k, k], the last axis with x first. */
function affineGrid(ctx: NodeContext): Value {
  const theta = ctx.in(0);
  const size = [...ctx.known(1)];
  const space = size.slice(2);
  const k = space.length;
  if (
    size[0] !== 1 ||
    k < 2 ||
    theta.shape.length !== 3 ||
    theta.shape[0] !== 1 ||
    theta.shape[1] !== k ||
    theta.shape[2] !== k + 1
  ) {
    ctx.refuse(`theta ${shapeText(theta.shape)} for the size ${shapeText(size)} (models are taken at a batch of one)`);
  }
  const points = space.reduce((all, d) => ctx.sized(all * ctx.sized(d, 'a size', 2 ** 16), 'points', 2 ** 22), 1);
  const corners = ctx.int('align_corners', 0) === 1;
  // PyTorch puts the only place at 0, ONNX Runtime at 1, ONNX says nothing.
  if (corners && space.includes(1)) ctx.refuse(`an axis of one place with align_corners, of which readings differ`);
  const at = (i: number, d: number) => (corners ? (2 * i) / (d - 1) - 1 : (2 * i + 1) / d - 1);
  const rows = Array.from({ length: points }, (_, p) => {
    let rest = p;
    const row: number[] = [];
    for (const d of space.toReversed()) {
      row.push(at(rest % d, d));
      rest = Math.floor(rest / d);
    }
    return [...row, 1];
  });
  const base = ctx.constant(rows.flat(), [points, k + 1]);
  return reshape(matmul(base, transpose(reshape(theta, [k, k + 1]))), [1, ...space, k]);
}

export const samplingOperators = {
  GridSample: gridSample,
  AffineGrid: affineGrid,
} satisfies Operators;
