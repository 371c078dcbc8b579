// Numbers and lists as sentences have them, and averages.

/** Rounded for sentences: 0.873. */
export const three = (x: number): string => x.toFixed(3);

export const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

/** 'a, b and c'. */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? 'none') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** '1 of 3 models', '3 of 3 models'. */
export const counted = (n: number, of: number, what: string): string => `${n} of ${of} ${what}`;
