// The results of one run for inputs of one shape in; the same in the columns that the tables of a model have for all
// shapes out.

import { ModelError } from '../errors.ts';

/**
 * At some sizes a parameter may have no part in the loss, and its gradient is 0. `sqNorms` [m, L] row-major, of the
 * parameters `found`.
 */
export function inColumns(
  sqNorms: Float64Array,
  found: readonly string[],
  names: readonly string[],
  data: string,
): Float64Array {
  if (found.length === names.length && found.every((name, j) => name === names[j])) return sqNorms;
  const extra = found.find((name) => !names.includes(name));
  if (extra !== undefined) {
    throw new ModelError(
      `${data}: with inputs of this shape the loss depends on '${extra}' too, which it does not at others; say the sizes with \`dims\`, so that every table has the same layers`,
    );
  }
  const m = sqNorms.length / found.length;
  const columns = new Float64Array(m * names.length);
  for (const [j, name] of names.entries()) {
    const k = found.indexOf(name);
    if (k < 0) continue;
    for (let i = 0; i < m; i++) columns[i * names.length + j] = sqNorms[i * found.length + k]!;
  }
  return columns;
}

/** Throws a ModelError unless a loss has the same parts for inputs of this shape as for others. */
export function checkParts(found: readonly string[], parts: readonly string[], data: string): void {
  if (found.length === parts.length && found.every((name, k) => name === parts[k])) return;
  const list = (names: readonly string[]) => `${names.length} parts (${names.slice(0, 3).join(', ')}, …)`;
  throw new ModelError(
    `${data}: with inputs of this shape the loss has ${list(found)}, at others ${list(parts)}; say the sizes with \`dims\``,
  );
}
