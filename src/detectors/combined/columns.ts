// A feature table of single inputs in; the numbers that densities are fitted on out: logarithms of what is a square,
// all else as it is.

import { type Rows, rowsOver } from '../../densities/rows.ts';
import { ModelError } from '../../errors.ts';
import { type FeatureTable, rowsOf } from '../../features/table.ts';
import type { View } from '../../features/table-head.ts';

/**
 * What is known of an input: `norms` ln ‖∇_j ℓ‖², `fisher` the same in the Fisher metric's diagonal and `radial` ⟨θ_j,
 * ∇_j ℓ⟩, each for every layer; `activations` what flows through the model, along the directions of a basis;
 * `likelihood` the loss itself, one number.
 */
export type ColumnGroup = 'norms' | 'radial' | 'fisher' | 'activations' | 'likelihood';

/** What squares count as at least, [L] each. */
export interface Floors {
  readonly norms: readonly number[];
  readonly fisher: readonly number[];
}

/**
 * Share of the smallest positive square of the fit inputs: a zero lies clearly below all of them, but not at minus
 * infinity.
 */
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

/** Whether a group has a column for each layer. */
export const isOfLayers = (group: ColumnGroup): group is Exclude<ColumnGroup, 'likelihood' | 'activations'> =>
  group !== 'likelihood' && group !== 'activations';

/**
 * A table's columns are those of one aspect of the model after the other, L each; the loss of each aspect is a part.
 * Of a model with a single aspect, `table.nll` is that.
 */
export interface Aspect {
  readonly index: number;
  /** How many there are. */
  readonly of: number;
}

/**
 * The columns of these groups side by side, [n, p], as one aspect has them. Throws a ModelError for a table of groups,
 * or without a view that is needed.
 */
export function columnsOf(
  table: FeatureTable,
  floors: Floors,
  groups: readonly ColumnGroup[],
  aspect: Aspect = { index: 0, of: 1 },
): Rows {
  if (table.group !== 1)
    throw new ModelError(`${table.meta.data}: features of groups, expected those of single inputs`);
  const n = rowsOf(table);
  const parts = groups.map((group): Float64Array => {
    if (group === 'likelihood') return aspect.of === 1 ? table.nll : part(viewOf(table, 'parts'), aspect, n);
    if (group === 'radial' || group === 'activations') return part(viewOf(table, group), aspect, n);
    const values = group === 'norms' ? table.sqNorms : viewOf(table, 'fisher');
    const least = floors[group];
    const logs = values.map((v, k) => Math.log(v < least[k % least.length]! ? least[k % least.length]! : v));
    return part(logs, aspect, n);
  });
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

/** An aspect's share of every row. */
function part(values: Float64Array, { index, of }: Aspect, rows: number): Float64Array {
  const width = values.length / rows / of;
  const out = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) {
    const from = (i * of + index) * width;
    out.set(values.subarray(from, from + width), i * width);
  }
  return out;
}

/** The layer that each column of the groups belongs to; none where they are not of layers. */
export function layersOf(names: readonly string[], groups: readonly ColumnGroup[], { index, of }: Aspect): string[] {
  const width = names.length / of;
  const own = names.slice(index * width, (index + 1) * width);
  return groups.flatMap((group) => (isOfLayers(group) ? own : []));
}

function viewOf(table: FeatureTable, view: View): Float64Array {
  const found = table.views?.[view];
  if (!found)
    throw new ModelError(`${table.meta.data}: the features have no view '${view}', which this detector needs`);
  return found;
}
