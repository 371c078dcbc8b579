// Synthetic feature tables for tests: log norms normal with the given means, seeded.

import type { FeatureTable } from '../../src/features/table.ts';
import { RandomStream } from '../../src/tensor/random.ts';

export interface TableOptions {
  readonly n?: number;
  readonly layers?: number;
  readonly group?: number;
  readonly seed?: number;
  /** Added to every log squared norm, in standard deviations. */
  readonly shift?: number;
  /** Added to every nll. */
  readonly nllShift?: number;
  readonly data?: string;
}

/** log f_j ~ N(j + shift, 1), nll ~ N(100, 10²) + nllShift; layers 'a.0', 'a.1', … of 4, 5, … elements. */
export function syntheticTable(options: TableOptions = {}): FeatureTable {
  const { n = 40, layers = 3, group = 1, seed = 0, shift = 0, nllShift = 0, data = 'synthetic' } = options;
  const normals = new Float64Array(n * (layers + 1));
  new RandomStream(seed, 'table').normal(group, normals);
  return {
    names: Array.from({ length: layers }, (_, j) => `a.${j}`),
    dims: Array.from({ length: layers }, (_, j) => 4 + j),
    nll: normals.slice(0, n).map((z) => 100 + 10 * z + nllShift),
    sqNorms: normals.slice(n).map((z, k) => Math.exp((k % layers) + shift + z)),
    group,
    meta: { model: 'ab'.repeat(32), data, dataFingerprint: `data-${data}`, seed: 7, start: 0, bitsPerDimFactor: 0.125 },
  };
}

/** A table of the given rows of squared norms. */
export function tableOf(rows: readonly (readonly number[])[], nll = rows.map((_, i) => i)): FeatureTable {
  const layers = rows[0]!.length;
  const { meta } = syntheticTable();
  return {
    names: Array.from({ length: layers }, (_, j) => `a.${j}`),
    nll: Float64Array.from(nll),
    sqNorms: Float64Array.from(rows.flat()),
    group: 1,
    meta,
  };
}
