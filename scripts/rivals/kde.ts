// Numbers in; the logarithm of their density, smoothed by Gaussian kernels, out.

/** A density of one number. */
export interface Kde {
  readonly points: Float64Array;
  /** Standard deviation of the kernels. */
  readonly width: number;
}

/**
 * Of width sd · n^(−1/5), Scott's rule ("Multivariate density estimation", 1992) as SciPy's `gaussian_kde` has it.
 * Numbers that are all the same get a width of rounding: any other number is then far from them.
 */
export function fitKde(points: Float64Array): Kde {
  const n = points.length;
  const mean = points.reduce((sum, v) => sum + v, 0) / n;
  const sd = Math.sqrt(points.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, n - 1));
  return { points, width: Math.max(sd * n ** -0.2, 1e-9 * Math.max(1, Math.abs(mean))) };
}

/** ln p(v), by the largest term, so that it is finite however far v is. */
export function logDensity({ points, width }: Kde, v: number): number {
  const exponents = points.map((p) => -0.5 * ((v - p) / width) ** 2);
  const most = exponents.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = exponents.reduce((total, e) => total + Math.exp(e - most), 0);
  return most + Math.log(sum) - Math.log(points.length * width * Math.sqrt(2 * Math.PI));
}
