// Matrix products of the two factors of a weight gradient, whichever layout each of them comes in. The transpositions
// written here cost nothing: ONNX Runtime makes them part of the product.

import type { Factor, Lowered, Lowering } from '../graph/index.ts';

const swap = (ctx: Lowering, name: string) => ctx.emit('Transpose', [name], { perm: [0, 1, 3, 2] });
const rows = (ctx: Lowering, f: Factor) => (f.positionsLast ? f.name : swap(ctx, f.name)); // [.., i, p]
const columns = (ctx: Lowering, f: Factor) => (f.positionsLast ? swap(ctx, f.name) : f.name); // [.., p, i]

/** v [p, width] as one side of a contraction. */
export function rowsFactor(ctx: Lowering, v: Lowered): Factor {
  const [p, width] = v.shape as [number, number];
  const n = ctx.examples;
  return { name: ctx.reshape(ctx.expanded(v, 'example'), [n, p, width], [n, 1, p, width]), positionsLast: false };
}

/** Σ_p x[p] ⊗ y[p], [size, count, i, o]. */
export function outerProduct(ctx: Lowering, x: Factor, y: Factor): string {
  return ctx.emit('MatMul', [rows(ctx, x), columns(ctx, y)]);
}

/** ⟨f[p], f[q]⟩ for all pairs of positions, [size, count, p, p]; of a single position [size, count, 1, 1]. */
export function gramMatrix(ctx: Lowering, f: Factor, positions: number): string {
  if (positions > 1) return ctx.emit('MatMul', [columns(ctx, f), rows(ctx, f)]);
  return ctx.emit('ReduceSumSquare', [f.name, ctx.ints([f.positionsLast ? 2 : 3])], { keepdims: 1 });
}

/** The factor of n examples, `width` wide, with the p positions of each group's B examples side by side. */
export function joinGroups(ctx: Lowering, f: Factor, count: number, p: number, width: number): Factor {
  const [n, B, m] = [ctx.examples, ctx.group, ctx.leadSize('group')];
  if (B === 1) return f;
  const { positionsLast } = f;
  const block = positionsLast ? [count, width, p] : [count, p, width];
  const joined = positionsLast ? [m, count, width, B * p] : [m, count, B * p, width];
  let name = ctx.reshape(f.name, [n, ...block], [m, B, ...block]);
  if (positionsLast) name = ctx.emit('Transpose', [name], { perm: [0, 2, 3, 1, 4] });
  else if (count > 1) name = ctx.emit('Transpose', [name], { perm: [0, 2, 1, 3, 4] });
  const moved = positionsLast ? [m, count, width, B, p] : [m, count, B, p, width];
  return { name: ctx.reshape(name, moved, joined), positionsLast };
}

/** Indices within 0..count - 1, the nearest in place of others. */
export function clipped(ctx: Lowering, indices: Lowered, count: number): Lowered {
  return { ...indices, name: ctx.emit('Clip', [indices.name, ctx.int(0), ctx.int(count - 1)]) };
}
