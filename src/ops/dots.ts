// Sums of products along rows as matrix products in the one form that the runtime takes for what it is: of a single row
// with rows that are read as they lie, all lanes at work, nothing packed.

import type { Lowering } from '../graph/index.ts';

/**
 * [n]: the products of one row [1, size] with each of rows [n, size]. The row is on the left: a constant on the right
 * would be packed into blocks of 16 columns, all of them computed.
 */
export function dotsWithRow(ctx: Lowering, row: string, rows: string, n: number): string {
  return ctx.reshape(ctx.emit('Gemm', [row, rows], { transB: 1 }), [1, n], [n]);
}

/** Rows of fewer elements are summed as fast by a reduction, in one step. */
const SHORT = 1024;
/** Longer rows are summed in pieces, where they divide: float32 adds up so many numbers one after the other. */
const LONG = 2 ** 16;

/** [n, 1]: Σ a·b of rows [n, size] of two values, which may be the same. */
export function dotsOfRows(ctx: Lowering, a: string, b: string, [n, size]: readonly [number, number]): string {
  const axis = ctx.ints([1]);
  if (size < SHORT) {
    if (a === b) return ctx.emit('ReduceSumSquare', [a, axis], { keepdims: 1 });
    return ctx.emit('ReduceSum', [ctx.emit('Mul', [a, b]), axis], { keepdims: 1 });
  }
  const pieces = piecesOf(size);
  const dims = [n * pieces, 1, size / pieces];
  const [row, other] = [a, b].map((name) => ctx.reshape(name, [n, size], dims)) as [string, string];
  const column = ctx.emit('Transpose', [other], { perm: [0, 2, 1] }); // made part of the product
  const dots = ctx.reshape(ctx.emit('MatMul', [row, column]), [n * pieces, 1, 1], [n, pieces]);
  return pieces === 1 ? dots : ctx.emit('ReduceSum', [dots, axis], { keepdims: 1 });
}

/** Into how many equal pieces a row is cut, none longer than it may be: 1 where it has no such divisor. */
function piecesOf(size: number): number {
  const fewest = Math.ceil(size / LONG);
  for (let pieces = fewest; pieces < 16 * fewest; pieces++) if (size % pieces === 0) return pieces;
  return 1;
}
