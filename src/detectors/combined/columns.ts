// A feature table of single inputs in; the numbers that densities are fitted on out: logarithms of what is a square, all else as it is.

import { type Rows, rowsOver } from '../../densities/rows.ts';
import { ModelError } from '../../errors.ts';
import { type FeatureTable, rowsOf } from '../../features/table.ts';

/**
 * What is known of an input: `norms` ln ‖∇_j ℓ‖², `fisher` the same in the Fisher metric's diagonal and `radial` ⟨θ_j, ∇_j ℓ⟩, each for every
 * layer; `likelihood` the loss itself, one number.
 */
export type ColumnGroup = 'norms' | 'radial' | 'fisher' | 'likelihood';

/** What squares count as at least, [L] each. */
export interface Floors {
  readonly norms: readonly number[];
  readonly fisher: readonly number[];
}

/** Share of the smallest positive square of the fit inputs: a zero lies clearly below all of them, but not at minus infinity. */
const FLOOR = 1e-3;

/** The floors of a table's squares; 1 for a layer without a positive one, which then does not vary. */
export function fitFloors(table: FeatureTable): Floors {
  const of = (values: Float64Array) => {
    const l = table.names.length;
    const least = new Array<number>(l).fill(Infinity);
    for (const [k, v] of values.entries()) if (v > 0 && v < least[k % l]!) least[k % l] = v;
    return least.map((v) => (v === Infinity ? 1 : Math.max(Number.MIN_VALUE, FLOOR * v)));
  };
  return { norms: of(table.sqNorms), fisher: of(viewOf(table, 'fisher')) };
}

/** The columns of these groups side by side, [n, p]. Throws a ModelError for a table of groups, or without a view that is needed. */
export function columnsOf(table: FeatureTable, floors: Floors, groups: readonly ColumnGroup[]): Rows {
  if (table.group !== 1)
    throw new ModelError(`${table.meta.data}: features of groups, expected those of single inputs`);
  const parts = groups.map((group): Float64Array => {
    if (group === 'likelihood') return table.nll;
    if (group === 'radial') return viewOf(table, 'radial');
    const values = group === 'norms' ? table.sqNorms : viewOf(table, 'fisher');
    const least = floors[group];
    return values.map((v, k) => Math.log(v < least[k % least.length]! ? least[k % least.length]! : v));
  });
  const n = rowsOf(table);
  const widths = parts.map((part) => part.length / n);
  const p = widths.reduce((sum, w) => sum + w, 0);
  const data = new Float64Array(n * p);
  for (let i = 0; i < n; i++) {
    let at = i * p;
    for (const [k, part] of parts.entries()) {
      data.set(part.subarray(i * widths[k]!, (i + 1) * widths[k]!), at);
      at += widths[k]!;
    }
  }
  return rowsOver(data, p);
}

/** The layer that each column of the groups belongs to; `the likelihood` for that. */
export const layersOf = (names: readonly string[], groups: readonly ColumnGroup[]): string[] =>
  groups.flatMap((group) => (group === 'likelihood' ? ['the likelihood'] : names));

function viewOf(table: FeatureTable, view: 'radial' | 'fisher'): Float64Array {
  const found = table.views?.[view];
  if (!found)
    throw new ModelError(`${table.meta.data}: the features have no view '${view}', which this detector needs`);
  return found;
}
