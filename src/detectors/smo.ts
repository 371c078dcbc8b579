// A kernel matrix and ν in; the one-class support vector machine's coefficients and offset out.

/** The solution of the dual. Coefficients sum to νn and lie in [0, 1]; the machine is f(x) = Σ_i α_i K(x_i, x) − ρ. */
export interface OneClassSolution {
  /** [n] α */
  readonly alpha: Float64Array;
  readonly rho: number;
}

/** Largest violation of optimality that is left, in units of Σ_i α_i K(x_i, x), which is at most νn. */
export const SMO_TOLERANCE = 1e-4;

/** Far beyond what any problem needs (some n steps); reached only if rounding kept a step from making progress. */
const MOST_STEPS = 10_000_000;

/**
 * Minimises ½ αᵀKα subject to 0 ≤ α_i ≤ 1 and Σ α_i = νn (Schölkopf, Platt, Shawe-Taylor, Smola, Williamson,
 * "Estimating the support of a high-dimensional distribution", 2001, in LIBSVM's scale) by sequential minimal
 * optimisation: each step moves weight between the two coefficients that violate optimality most, chosen with
 * second-order information (Fan, Chen, Lin, "Working set selection using second order information for training support
 * vector machines", JMLR 2005). `kernel` is [n, n], symmetric and positive semidefinite; 0 < ν ≤ 1.
 *
 * At the optimum, with g = Kα: g_i ≥ ρ where α_i = 0, g_i = ρ where 0 < α_i < 1, g_i ≤ ρ where α_i = 1.
 */
export function solveOneClass(kernel: Float64Array, n: number, nu: number): OneClassSolution {
  const alpha = Float64Array.from({ length: n }, (_, i) => Math.min(1, Math.max(0, nu * n - i)));
  const g = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (alpha[i]! > 0) for (let k = 0; k < n; k++) g[k]! += alpha[i]! * kernel[i * n + k]!;
  }
  for (let step = 0; step < MOST_STEPS; step++) {
    const pair = worstPair(kernel, n, alpha, g);
    if (pair === undefined) return { alpha, rho: offset(alpha, g) };
    const { up, down, curvature } = pair;
    const room = Math.min(1 - alpha[up]!, alpha[down]!);
    const move = Math.min((g[down]! - g[up]!) / curvature, room);
    // What reaches a bound is put there exactly: the conditions above ask for equality.
    alpha[up] = move === 1 - alpha[up]! ? 1 : alpha[up]! + move;
    alpha[down] = move === alpha[down] ? 0 : alpha[down]! - move;
    for (let k = 0; k < n; k++) g[k]! += move * (kernel[up * n + k]! - kernel[down * n + k]!);
  }
  throw new Error(`the one-class support vector machine of ${n} rows did not converge in ${MOST_STEPS} steps`);
}

interface Pair {
  /** The coefficient that grows and the one that shrinks by the same amount. */
  readonly up: number;
  readonly down: number;
  /** Second derivative of the objective along the move, > 0. */
  readonly curvature: number;
}

/**
 * `up` has the least g of those that may grow; `down` gains most with it, of those that may shrink. Undefined at the
 * optimum.
 */
function worstPair(kernel: Float64Array, n: number, alpha: Float64Array, g: Float64Array): Pair | undefined {
  let up = -1;
  let highest = -Infinity;
  for (let i = 0; i < n; i++) {
    if (alpha[i]! < 1 && (up < 0 || g[i]! < g[up]!)) up = i;
    if (alpha[i]! > 0) highest = Math.max(highest, g[i]!);
  }
  if (up < 0 || highest - g[up]! <= SMO_TOLERANCE) return undefined;
  let best: Pair | undefined;
  let bestGain = 0;
  for (let i = 0; i < n; i++) {
    const slope = g[i]! - g[up]!;
    if (alpha[i]! === 0 || slope <= 0) continue;
    // Equal rows have curvature 0: any small number then moves as much as the bounds allow.
    const curvature = Math.max(1e-12, kernel[up * n + up]! + kernel[i * n + i]! - 2 * kernel[up * n + i]!);
    const gain = (slope * slope) / curvature;
    if (gain > bestGain) {
      best = { up, down: i, curvature };
      bestGain = gain;
    }
  }
  return best;
}

/**
 * ρ: the mean of g over coefficients inside the bounds; where there are none, the middle of what the conditions allow.
 */
function offset(alpha: Float64Array, g: Float64Array): number {
  let inside = 0;
  let sum = 0;
  let above = Infinity; // least g of the coefficients at 0
  let below = -Infinity; // greatest g of those at 1
  for (const [i, a] of alpha.entries()) {
    if (a === 0) above = Math.min(above, g[i]!);
    else if (a === 1) below = Math.max(below, g[i]!);
    else {
      inside++;
      sum += g[i]!;
    }
  }
  if (inside > 0) return sum / inside;
  return above === Infinity ? below : (above + below) / 2;
}
