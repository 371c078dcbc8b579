// A model, a fit set, an in-distribution set and out-of-distribution sets in; fitted detectors and their figures out.

import type { Dataset } from '../data/index.ts';
import { type DetectorFile, fitDetectors } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import { checkSetNames, type EvalRow, evaluate } from '../eval/index.ts';
import { type Extractor, type FeatureTable, type NoiseKey, openExtractor } from '../features/index.ts';
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
  readonly prepared?: boolean;
  readonly batch?: number;
  readonly threads?: number;
  /** Bytes that a run may take. */
  readonly memory?: number;
  readonly onProgress?: (progress: CompareProgress) => void;
}

/** Features of every set for every group size: [set][group]. Opens one session per group size, one after the other. */
export async function featuresOf(
  model: ScoringModel,
  sets: readonly NamedData[],
  options: FeatureOptions,
): Promise<readonly (readonly FeatureTable[])[]> {
  const tables = sets.map((): FeatureTable[] => []);
  for (const group of options.groups) {
    const extractor = await openExtractor(model, { ...options, group });
    try {
      for (const [k, set] of sets.entries()) tables[k]!.push(await timed(extractor, set, options));
    } finally {
      await extractor.dispose();
    }
  }
  return tables;
}

async function timed(extractor: Extractor, set: NamedData, options: FeatureOptions): Promise<FeatureTable> {
  const began = performance.now();
  return extractor.table(set.data, {}, (done, of) => {
    const examplesPerSecond = (done / (performance.now() - began)) * 1000;
    options.onProgress?.({ name: set.name, group: extractor.group, done, of, examplesPerSecond });
  });
}

/** A set with its features, one table per group size. */
export interface SetFeatures extends NamedData {
  readonly tables: readonly FeatureTable[];
}

/** What an evaluation found: its detector, a row of figures for each set, detector and group size, and the features that they are of. */
export interface Comparison {
  readonly detector: DetectorFile;
  readonly rows: readonly EvalRow[];
  readonly inSet: SetFeatures;
  readonly oodSets: readonly SetFeatures[];
}

/**
 * Figures of a fitted detector file for every group size it has (or those asked for). Noise and its draws are those of the detector's own
 * features, unless `options` has others.
 */
export async function evaluateDetector(
  model: ScoringModel,
  detector: DetectorFile,
  inSet: NamedData,
  oodSets: readonly NamedData[],
  options: FeatureOptions,
): Promise<Comparison> {
  const sets = [inSet, ...oodSets];
  checkNames(inSet, oodSets);
  const { noise = 'place' as const, noiseSamples = 1 } = detector;
  const tables = await featuresOf(model, sets, { noise, noiseSamples, ...options });
  return compared(detector, sets, tables, options.seed);
}

/** Fits on one set and evaluates, with one session per group size for all of it. */
export async function fitAndEvaluate(
  model: ScoringModel,
  fitSet: NamedData,
  inSet: NamedData,
  oodSets: readonly NamedData[],
  options: FeatureOptions,
): Promise<Comparison> {
  const sets = [inSet, ...oodSets];
  checkNames(inSet, oodSets);
  const [fit, ...tables] = await featuresOf(model, [fitSet, ...sets], options);
  return compared(fitDetectors(fit!), sets, tables, options.seed);
}

const checkNames = (inSet: NamedData, oodSets: readonly NamedData[]): void =>
  checkSetNames(
    oodSets.map(({ name }) => name),
    inSet.name,
  );

function compared(
  detector: DetectorFile,
  sets: readonly NamedData[],
  tables: readonly (readonly FeatureTable[])[],
  seed: number,
): Comparison {
  const [inSet, ...oodSets] = sets.map((set, k): SetFeatures => ({ ...set, tables: tables[k]! }));
  const rows = evaluate(detector, inSet!.tables, oodSets, { seed });
  return { detector, rows, inSet: inSet!, oodSets };
}
