// Squared norms of every layer in; how the layers' log norms correlate, and how that falls with the distance in depth,
// out.

import { explain } from '../detectors/index.ts';
import { type DroppedLayer, fitNormal } from '../detectors/normal.ts';
import type { FeatureTable } from '../features/table.ts';
import { meanAbsCosine } from './fisher.ts';

/** Pearson correlations between the L layers' log squared norms, over a table's rows. */
export interface LayerCorrelation {
  /** The L layers in the matrix, in the table's order: without those that have no spread. */
  readonly names: readonly string[];
  readonly dropped: readonly DroppedLayer[];
  /** [L, L] correlation over the rows of log f_j with log f_k; 1 on the diagonal. */
  readonly matrix: Float64Array;
  /** Average |correlation| over the pairs j ≠ k; undefined for one layer. */
  readonly meanAbs: number | undefined;
  /** What that average would be for independent normals: `meanAbsCosine(n − 1)`. */
  readonly noiseFloor: number;
}

/**
 * Pearson correlations of the layers' log squared norms. Throws a DataError for one row, or where no layer has spread.
 */
export function layerCorrelation(table: FeatureTable): LayerCorrelation {
  const params = fitNormal(table);
  const { names, zScores } = explain(params, table);
  const l = names.length;
  const n = table.nll.length;
  const matrix = new Float64Array(l * l);
  for (let i = 0; i < n; i++) {
    const z = zScores.subarray(i * l, (i + 1) * l);
    for (let j = 0; j < l; j++) {
      for (let k = 0; k < j; k++) matrix[j * l + k]! += z[j]! * z[k]!;
    }
  }
  let sum = 0;
  for (let j = 0; j < l; j++) {
    matrix[j * l + j] = 1;
    for (let k = 0; k < j; k++) {
      const r = matrix[j * l + k]! / (n - 1); // z has unbiased variance 1
      matrix[j * l + k] = r;
      matrix[k * l + j] = r;
      sum += Math.abs(r);
    }
  }
  const pairs = (l * (l - 1)) / 2;
  return {
    names,
    dropped: params.dropped,
    matrix,
    meanAbs: pairs > 0 ? sum / pairs : undefined,
    noiseFloor: meanAbsCosine(n - 1),
  };
}

/** How much the norms of two layers have to do with each other that lie `lag` apart. */
export interface Autocorrelation {
  /** Distance in depth: j − k for layers j and k of the list. */
  readonly lag: number;
  /** Average over the pairs at this lag of the correlation, and of its absolute value. */
  readonly mean: number;
  readonly meanAbs: number;
  readonly pairs: number;
}

/**
 * Correlation of the log norms against distance in depth: for lag = 1 .. `most`, the average of r(j, j + lag) over j,
 * that is the autocorrelation of the standardised log norms read as a series over the layers. Lags with no pair are
 * left out.
 */
export function autocorrelation(correlation: LayerCorrelation, most: number): Autocorrelation[] {
  return overColumns(correlation, [...correlation.names.keys()], most);
}

/**
 * The same within each kind of parameter: the layers whose names share their last part ('weight', 'bias', …), the lag
 * counted among these, so that kinds which alternate do not hide what happens along the depth. Kinds with a single
 * layer are left out.
 */
export function autocorrelationByKind(
  correlation: LayerCorrelation,
  most: number,
): { readonly kind: string; readonly lags: readonly Autocorrelation[] }[] {
  const kinds = new Map<string, number[]>();
  for (const [j, name] of correlation.names.entries()) {
    const kind = name.split(/[./]/).at(-1)!;
    kinds.set(kind, [...(kinds.get(kind) ?? []), j]);
  }
  return [...kinds]
    .filter(([, columns]) => columns.length > 1)
    .map(([kind, columns]) => ({ kind, lags: overColumns(correlation, columns, most) }));
}

function overColumns({ matrix, names }: LayerCorrelation, columns: readonly number[], most: number): Autocorrelation[] {
  return Array.from({ length: Math.min(most, columns.length - 1) }, (_, k) => {
    const lag = k + 1;
    const values = columns.slice(lag).map((j, at) => matrix[j * names.length + columns[at]!]!);
    return {
      lag,
      mean: values.reduce((sum, r) => sum + r, 0) / values.length,
      meanAbs: values.reduce((sum, r) => sum + Math.abs(r), 0) / values.length,
      pairs: values.length,
    };
  });
}
