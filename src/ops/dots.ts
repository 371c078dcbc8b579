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
/** Longer ones would add up too many numbers one after the other for float32. */
const LONG = 2 ** 20;

/** [n, 1]: Σ a·b of rows [n, size] of two values, which may be the same. */
export function dotsOfRows(ctx: Lowering, a: string, b: string, [n, size]: readonly [number, number]): string {
  if (size < SHORT || size > LONG) {
    const axis = ctx.ints([1]);
    if (a === b) return ctx.emit('ReduceSumSquare', [a, axis], { keepdims: 1 });
    return ctx.emit('ReduceSum', [ctx.emit('Mul', [a, b]), axis], { keepdims: 1 });
  }
  const [row, other] = [a, b].map((name) => ctx.reshape(name, [n, size], [n, 1, size])) as [string, string];
  const column = ctx.emit('Transpose', [other], { perm: [0, 2, 1] }); // made part of the product
  return ctx.reshape(ctx.emit('MatMul', [row, column]), [n, 1, 1], [n, 1]);
}
