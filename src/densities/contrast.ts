// Features of learned inputs and of the same inputs recombined in; how far an input lies in the directions that tell
// these apart out.

import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { leaveOut, leverages } from './leave-out.ts';
import { columnMeans, covariance, type Rows, rowOf, rowsOver } from './rows.ts';
import { asArray, asMatrix } from './shrunk-normal.ts';

/** One direction for each way of recombining. */
export interface Contrast {
  /** [p] mean of the fit rows. */
  readonly centre: Float64Array;
  /** [K] of [p]: discriminants, along each of which the fit rows have a standard deviation of 1. */
  readonly directions: readonly Float64Array[];
}

/** A fit, and what leaving fit rows out of it takes. */
export interface ContrastFit extends Contrast {
  /** [p, p] Cholesky's factor of S. */
  readonly lower: Float64Array;
  /** The weight of the learned rows' covariance in S. */
  readonly weight: number;
  /** [K] what each discriminant was divided by. */
  readonly spreads: readonly number[];
}

/** Share of the identity in the covariance that the discriminants' own is shrunk towards, and share of that. */
const SHRINKAGE = { identity: 0.3, target: 0.3 };

/**
 * Fisher's linear discriminants (R. A. Fisher 1936) between standardised features of learned inputs [n, p] and those of
 * inputs that were made of learned ones in K ways: w_k = S⁻¹ (m_k − m₀), with S = 0.7 S̄ + 0.3 (0.7 S₀ + 0.3 I), S₀ the
 * covariance of the learned rows and S̄ that within the learned and the recombined ones. Nothing is known of what will
 * come; but what breaks the learned whole while it keeps its parts shows in which directions features leave it. Throws
 * a DataError for fewer than two rows of either.
 */
export function fitContrast(learned: Rows, recombined: readonly Rows[]): ContrastFit {
  const { p } = learned;
  const own = covariance(learned);
  const theirs = recombined.map(covariance);
  const theirCount = recombined.reduce((sum, { n }) => sum + n, 0) / recombined.length;
  const share = theirCount / (learned.n + theirCount);
  const { identity, target } = SHRINKAGE;
  const S = own.map((s, k) => {
    const mean = theirs.reduce((sum, other) => sum + other[k]!, 0) / theirs.length;
    const within = (1 - share) * s + share * mean;
    const diagonal = k % (p + 1) === 0 ? identity : 0;
    return (1 - target) * within + target * ((1 - identity) * s + diagonal);
  });
  const centre = columnMeans(learned);
  const shifts = Matrix.zeros(p, recombined.length);
  for (const [k, rows] of recombined.entries()) {
    for (const [j, m] of columnMeans(rows).entries()) shifts.set(j, k, m - centre[j]!);
  }
  const factored = new CholeskyDecomposition(asMatrix(S, p));
  const solved = factored.solve(shifts);
  const spreads: number[] = [];
  const directions = recombined.map((_, k) => {
    const w = Float64Array.from(solved.getColumn(k));
    let square = 0;
    for (let i = 0; i < learned.n; i++) square += along(w, rowOf(learned, i), centre) ** 2;
    const sd = Math.sqrt(square / (learned.n - 1));
    spreads.push(sd > 0 ? sd : 1);
    return sd > 0 ? w.map((v) => v / sd) : w;
  });
  const weight = (1 - target) * (1 - share) + target * (1 - identity);
  return { centre, directions, lower: asArray(factored.lowerTriangularMatrix), weight, spreads };
}

/** [K] of [n]: the distances √B w_kᵀ (ū − m₀), given means [n, p] of B standardised rows each. */
export function contrasts({ centre, directions }: Contrast, means: Rows, B: number): readonly Float64Array[] {
  return directions.map((w) =>
    Float64Array.from({ length: means.n }, (_, i) => Math.sqrt(B) * along(w, rowOf(means, i), centre)),
  );
}

/** As `contrasts` for groups of B of the fit rows themselves, each by a fit without it: [K] of [groups]. */
export function leftOutContrasts(
  fit: ContrastFit,
  learned: Rows,
): (groups: ArrayLike<number>, B: number) => readonly Float64Array[] {
  const { n, p } = learned;
  const centred = rowsOver(
    learned.data.map((v, k) => v - fit.centre[k % p]!),
    p,
  );
  const none = new Float64Array(p);
  const products = fit.directions.map((w, k) =>
    Float64Array.from({ length: n }, (_, i) => fit.spreads[k]! * along(w, rowOf(centred, i), none)),
  );
  const known = leverages(centred, fit.lower, fit.weight);
  return (groups, B) => {
    const left = leaveOut(known, groups, B);
    return fit.directions.map((_, k) =>
      // Without the group, what is recombined lies further from the mean of the others by B ū / (n − B), and so does
      // the group.
      Float64Array.from(left, ({ square, along: of }) => {
        const whole = (of(products[k]!) + (B / (n - B)) * square) * (n / (n - B));
        return (Math.sqrt(B) * whole) / fit.spreads[k]!;
      }),
    );
  };
}

function along(w: Float64Array, u: Float64Array, centre: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < w.length; j++) sum += w[j]! * (u[j]! - centre[j]!);
  return sum;
}
