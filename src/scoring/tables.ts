// A model and data sets in; a feature table of each for every group size out.

import {
  aFunction,
  checkArguments,
  checkOptions,
  dataset,
  listOf,
  model as modelRule,
  objectWith,
  oneOf,
  optional,
  type Rule,
  type Rules,
  someOf,
  text,
  wholeFrom,
  wholesFrom,
  yesOrNo,
} from '../arguments.ts';
import type { Dataset } from '../data/index.ts';
import type { Runtime } from '../engine/index.ts';
import {
  type Extractor,
  type FeatureTable,
  type Metric,
  type MetricForm,
  type NoiseKey,
  openExtractor,
  type Rows,
  type View,
  viewNames,
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
  /**
   * Of the metric where it is taken from the data, 'diagonal' by default; and of that of the combined detector,
   * 'kronecker' by default.
   */
  readonly metricForm?: MetricForm;
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

const named: Rule = objectWith({ name: text, data: dataset }, '{ name, data } with a data set, as openData gives it');

const featureRules: Rules = {
  groups: wholesFrom(1, '[1, 5]'),
  seed: wholeFrom(0),
  noise: optional(oneOf('content', 'index', 'place')),
  noiseSamples: optional(wholeFrom(1)),
  views: optional(someOf(...viewNames)),
  prepared: optional(yesOrNo),
  batch: optional(wholeFrom(1)),
  threads: optional(wholeFrom(1)),
  memory: optional(wholeFrom(1)),
  onProgress: optional(aFunction),
  leaveOut: optional(yesOrNo),
};

/** Throws a UsageError for what a caller from plain JavaScript may have mistaken. */
export function checkFeatureArguments(
  where: string,
  model: ScoringModel,
  sets: Readonly<Record<string, NamedData | readonly NamedData[]>>,
  options: FeatureOptions,
): void {
  checkArguments(where, { model }, { model: modelRule });
  for (const [key, set] of Object.entries(sets)) {
    checkArguments(where, { [key]: set }, { [key]: key.endsWith('s') ? listOf(named) : named });
  }
  checkOptions(where, options, featureRules);
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
  checkFeatureArguments('featuresOf', model, { sets }, options);
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
