// Determinants by elimination.

import type { Value } from '../../graph/index.ts';
import { add, concat, div, matmul, mul, neg, reshape, slice, sub } from '../../ops/index.ts';
import { shapeText, sizeOf } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';

/** Of matrices that depend on the data: by minors, whose number doubles with every row. */
const MOST_ROWS = 8;

function determinant(ctx: NodeContext): Value {
  const a = ctx.in(0);
  const [n, m] = [a.shape.at(-2), a.shape.at(-1)];
  if (n === undefined || n !== m || n === 0) ctx.refuse(`${shapeText(a.shape)}, expected square matrices`);
  const batch = a.shape.slice(0, -2);
  const known = sizeOf(batch) === 1 ? ctx.importer.known(a) : undefined;
  if (known) return reshape(eliminated(reshape(a, [n!, n!]), known, n!), batch);
  if (n! > MOST_ROWS) {
    return ctx.refuse(
      `matrices of ${n} rows, expected at most ${MOST_ROWS} where they depend on the data or are several`,
    );
  }
  return reshape(byMinors(reshape(a, [-1, n!, n!]), n!), batch);
}

/** Gaussian elimination with the pivots that the matrix has at import: a parameter's numbers do not change. */
function eliminated(a: Value, known: Float64Array, n: number): Value {
  const numbers = Array.from({ length: n }, (_, i) => [...known.subarray(i * n, (i + 1) * n)]);
  let rest = a; // [k, k], what is left to eliminate
  let product: Value | undefined;
  for (let k = n; k > 0; k--) {
    const column = numbers.map((row) => Math.abs(row[0]!));
    const pivot = column.indexOf(Math.max(...column));
    if (column[pivot] === 0) return mul(product ?? reshape(slice(slice(rest, 0, 0, 1), 1, 0, 1), []), 0);
    const [row] = numbers.splice(pivot, 1) as [number[]];
    for (const other of numbers) {
      const factor = other[0]! / row[0]!;
      for (const [j, v] of row.entries()) other[j]! -= factor * v;
      other.shift();
    }
    const top = slice(rest, 0, pivot, pivot + 1); // [1, k]
    const head = slice(top, 1, 0, 1); // [1, 1]
    const signed = pivot % 2 === 0 ? head : neg(head);
    product = product ? mul(product, signed) : signed;
    if (k === 1) break;
    const below = [slice(rest, 0, 0, pivot), slice(rest, 0, pivot + 1, k)].filter((part) => part.shape[0]! > 0);
    const others = below.length === 1 ? below[0]! : concat(below, 0); // [k - 1, k]
    const factors = div(slice(others, 1, 0, 1), head); // [k - 1, 1]
    rest = sub(slice(others, 1, 1, k), matmul(factors, slice(top, 1, 1, k)));
  }
  return reshape(product!, []);
}

/** a [b, n, n]: expansion along the rows, each minor of the last rows once. */
function byMinors(a: Value, n: number): Value {
  const entry = (i: number, j: number) => slice(slice(a, 1, i, i + 1), 2, j, j + 1);
  /** Determinants of the rows from i on and a set of columns, by the set's bits. */
  let minors = new Map<number, Value>(Array.from({ length: n }, (_, j) => [1 << j, entry(n - 1, j)]));
  for (let i = n - 2; i >= 0; i--) {
    const next = new Map<number, Value>();
    for (let set = 0; set < 1 << n; set++) {
      const columns = Array.from({ length: n }, (_, j) => j).filter((j) => set & (1 << j));
      if (columns.length !== n - i) continue;
      const terms = columns.map((j, at) => {
        const term = mul(entry(i, j), minors.get(set & ~(1 << j))!);
        return at % 2 === 0 ? term : neg(term);
      });
      next.set(set, terms.reduce(add));
    }
    minors = next;
  }
  return minors.get((1 << n) - 1)!;
}

export const matrixOperators = {
  Det: determinant,
} satisfies Operators;
