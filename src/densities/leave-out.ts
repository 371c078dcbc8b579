// Fit rows and groups of them in; what densities that had been fitted without a group would say of it out, without
// fitting them again.

import { LuDecomposition, Matrix } from 'ml-matrix';
import { type Rows, rowOf } from './rows.ts';

/** Inner products of rows in the inverse of a matrix, [n, n] row-major: what leaving rows out of a covariance takes. */
export interface Leverages {
  readonly n: number;
  readonly gram: Float64Array;
  /** By how much the matrix shrinks for each row that is left out: its outer product times this. */
  readonly share: number;
}

/**
 * Of centred rows [n, p] and the lower triangular factor [p, p] (Cholesky) of a matrix in which the rows' covariance
 * has the weight `weight`. n p (n + p) / 2 multiplications.
 */
export function leverages(rows: Rows, lower: Float64Array, weight: number): Leverages {
  const { n, p } = rows;
  const solved = new Float64Array(n * p); // L⁻¹ u, row by row
  for (let i = 0; i < n; i++) {
    const [row, y] = [rowOf(rows, i), solved.subarray(i * p, (i + 1) * p)];
    for (let j = 0; j < p; j++) {
      let sum = row[j]!;
      for (let k = 0; k < j; k++) sum -= lower[j * p + k]! * y[k]!;
      y[j] = sum / lower[j * p + j]!;
    }
  }
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const y = solved.subarray(i * p, (i + 1) * p);
    for (let other = 0; other <= i; other++) {
      const there = solved.subarray(other * p, (other + 1) * p);
      let sum = 0;
      for (let j = 0; j < p; j++) sum += y[j]! * there[j]!;
      gram[i * n + other] = sum;
      gram[other * n + i] = sum;
    }
  }
  return { n, gram, share: weight / (n - 1) };
}

/**
 * For one group of B of the rows, left out of the fit, with mean ū and A the inverse of what is left of the matrix
 * (Woodbury's identity).
 */
export interface LeftOut {
  /** ūᵀ A ū */
  readonly square: number;
  /** dᵀ A ū for a vector d, given its products dᵀ P u_i with all rows in the whole matrix' inverse P, [n]. */
  readonly along: (products: Float64Array) => number;
}

/** Each group's B indices one after the other. */
export function leaveOut({ n, gram, share }: Leverages, groups: ArrayLike<number>, B: number): LeftOut[] {
  return Array.from({ length: groups.length / B }, (_, g): LeftOut => {
    const members = Array.from({ length: B }, (_, b) => groups[g * B + b]!);
    const inner = members.map((i) => members.map((j) => gram[i * n + j]!));
    const means = inner.map((row) => row.reduce((sum, v) => sum + v, 0) / B);
    const left = inner.map((row, i) => row.map((v, j) => (i === j ? 1 : 0) - share * v));
    const solved = B === 1 ? [means[0]! / left[0]![0]!] : solve(left, means);
    const meanOf = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / B;
    const more = (values: readonly number[]) => share * values.reduce((sum, v, i) => sum + v * solved[i]!, 0);
    return {
      square: meanOf(means) + more(means),
      along: (products) => {
        const own = members.map((i) => products[i]!);
        return meanOf(own) + more(own);
      },
    };
  });
}

function solve(matrix: number[][], right: readonly number[]): number[] {
  return new LuDecomposition(new Matrix(matrix)).solve(Matrix.columnVector([...right])).getColumn(0);
}
