// An ascending list in; the value below which a given share of it lies out.

/**
 * Linear interpolation between order statistics (type 7 of Hyndman and Fan 1996). `ascending` is not empty; 0 ≤ q ≤ 1.
 */
export function quantile(ascending: ArrayLike<number>, q: number): number {
  const position = q * (ascending.length - 1);
  const below = Math.floor(position);
  const low = ascending[below]!;
  const high = ascending[Math.min(below + 1, ascending.length - 1)]!;
  return low + (high - low) * (position - below);
}
