// A model and data sets in; a feature table of each for every group size out.

import type { Dataset } from '../data/index.ts';
import type { Runtime } from '../engine/index.ts';
import {
  type Extractor,
  type FeatureTable,
  type Metric,
  type NoiseKey,
  openExtractor,
  type Rows,
  type View,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';

/** A data set under the name it has in results. */
export interface NamedData {
  readonly name: string;
  readonly data: Dataset;
}

export interface CompareProgress {
  readonly name: string;
  readonly group: number;
  readonly done: number;
  readonly of: number;
  readonly examplesPerSecond: number;
}

export interface FeatureOptions {
  readonly runtime: Runtime;
  /** Group sizes, one table for each. */
  readonly groups: readonly number[];
  readonly seed: number;
  /** See `ExtractorOptions`. */
  readonly noise?: NoiseKey | 'place';
  readonly noiseSamples?: number;
  readonly views?: readonly View[];
  /** Of the view `fisher`; `featuresToFit` takes it from the data where it is left out. */
  readonly metric?: Metric;
  readonly prepared?: boolean;
  readonly batch?: number;
  readonly threads?: number;
  /** Bytes that a run may take. */
  readonly memory?: number;
  readonly onProgress?: (progress: CompareProgress) => void;
}

/** How detectors are fitted. */
export interface FittingOptions extends FeatureOptions {
  /** Whether inputs whose features are not finite are left out of what is fitted; they are refused otherwise. */
  readonly leaveOut?: boolean;
}

/**
 * Features of every set for every group size, of whole groups of `rows`: [set][group]. Opens one session per group
 * size, one after the other.
 */
export async function featuresOf(
  model: ScoringModel,
  sets: readonly NamedData[],
  options: FeatureOptions,
  rows: Rows = {},
): Promise<readonly (readonly FeatureTable[])[]> {
  const tables = sets.map((): FeatureTable[] => []);
  for (const group of options.groups) {
    const extractor = await openExtractor(model, { ...options, group });
    try {
      for (const [k, set] of sets.entries()) tables[k]!.push(await timed(extractor, set, options, rows));
    } finally {
      await extractor.dispose();
    }
  }
  return tables;
}

/** A set's features, with progress told under its name. */
export async function timed(
  extractor: Pick<Extractor, 'group' | 'table'>,
  set: NamedData,
  options: FeatureOptions,
  rows: Rows = {},
): Promise<FeatureTable> {
  const began = performance.now();
  return extractor.table(set.data, rows, (done, of) => {
    const examplesPerSecond = (done / (performance.now() - began)) * 1000;
    options.onProgress?.({ name: set.name, group: extractor.group, done, of, examplesPerSecond });
  });
}
