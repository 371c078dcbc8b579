// A model, a fit set, an in-distribution set and out-of-distribution sets in; fitted detectors and their figures out.

import { checkArguments, detector as detectorRule } from '../arguments.ts';
import { defined } from '../defined.ts';
import { combinedKinds, combinedOf, type DetectorFile, fitDetectors, judged, viewsNeeded } from '../detectors/index.ts';
import { checkSetNames, type EvalRow, evaluate, measure } from '../eval/index.ts';
import { type FeatureTable, unpacked } from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { combinedExtractor, fitCombinedWherePossible } from './combined.ts';
import {
  checkFeatureArguments,
  type FeatureOptions,
  type FittingOptions,
  featuresOf,
  type NamedData,
  timed,
} from './tables.ts';
import { featuresToFit, measuredAs } from './to-fit.ts';

/** A set with its features, one table per group size. */
export interface SetFeatures extends NamedData {
  readonly tables: readonly FeatureTable[];
  /** Of single inputs, as the combined detector judges them; where the detector has one. */
  readonly singles?: FeatureTable;
}

/**
 * What an evaluation found: its detector, a row of figures for each set, detector and group size, and the features that
 * they are of.
 */
export interface Comparison {
  readonly detector: DetectorFile;
  /** Why the combined detector is not among those that were fitted, where it is not. */
  readonly lacking?: string;
  readonly rows: readonly EvalRow[];
  readonly inSet: SetFeatures;
  readonly oodSets: readonly SetFeatures[];
}

/**
 * Figures of a fitted detector file for every group size it has (or those asked for). Noise and its draws are those of
 * the detector's own features, unless `options` has others.
 */
export async function evaluateDetector(
  model: ScoringModel,
  detector: DetectorFile,
  inSet: NamedData,
  oodSets: readonly NamedData[],
  options: FeatureOptions,
): Promise<Comparison> {
  checkFeatureArguments('evaluateDetector', model, { inSet, oodSets }, options);
  checkArguments('evaluateDetector', { detector }, { detector: detectorRule });
  const sets = [inSet, ...oodSets];
  checkNames(inSet, oodSets);
  const { noise = 'place' as const, noiseSamples = 1 } = detector;
  const measured = measuredAs(detector, viewsNeeded(detector));
  const how = { noise, noiseSamples, ...measured, ...options };
  const tables = await featuresOf(model, sets, how);
  return compared(detector, sets, tables, await singlesOf(model, detector, sets, options), options);
}

/**
 * Fits on one set and evaluates, with one session per group size for all of it. Every detector is fitted, the combined
 * one where it can be: else `lacking` says why.
 */
export async function fitAndEvaluate(
  model: ScoringModel,
  fitSet: NamedData,
  inSet: NamedData,
  oodSets: readonly NamedData[],
  options: FittingOptions,
): Promise<Comparison> {
  checkFeatureArguments('fitAndEvaluate', model, { fitSet, inSet, oodSets }, options);
  const sets = [inSet, ...oodSets];
  checkNames(inSet, oodSets);
  const { fitted, tables } = await fitAndMeasure(model, fitSet, sets, options);
  const { combined, lacking } = await fitCombinedWherePossible(model, fitSet, options);
  const detector = { ...fitted, ...defined({ combined }) };
  const comparison = compared(detector, sets, tables, await singlesOf(model, detector, sets, options), options);
  return { ...comparison, ...defined({ lacking }) };
}

async function fitAndMeasure(
  model: ScoringModel,
  fitSet: NamedData,
  sets: readonly NamedData[],
  options: FittingOptions,
): Promise<{ readonly fitted: DetectorFile; readonly tables: readonly (readonly FeatureTable[])[] }> {
  const { leaveOut = false } = options;
  if (!options.views?.includes('fisher')) {
    const [fit, ...tables] = await featuresOf(model, [fitSet, ...sets], options);
    return { fitted: fitDetectors(fit!, { leaveOut }), tables };
  }
  const { tables: fit, metric } = await featuresToFit(model, fitSet, options);
  const measured = metric ? { metric: unpacked(metric, fitSet.name) } : {};
  const tables = await featuresOf(model, sets, { ...options, ...measured });
  return { fitted: fitDetectors(fit, { leaveOut, ...defined({ metric }) }), tables };
}

const checkNames = (inSet: NamedData, oodSets: readonly NamedData[]): void =>
  checkSetNames(
    oodSets.map(({ name }) => name),
    inSet.name,
  );

/** The features that the combined detector judges, of every set; none where there is no such detector. */
async function singlesOf(
  model: ScoringModel,
  detector: DetectorFile,
  sets: readonly NamedData[],
  options: FeatureOptions,
): Promise<readonly (FeatureTable | undefined)[]> {
  if (!detector.combined) return sets.map(() => undefined);
  const { runtime, batch, memory, threads, prepared } = options;
  const extractor = await combinedExtractor(model, detector, {
    runtime,
    ...defined({ batch, memory, threads, prepared }),
  });
  try {
    const tables: FeatureTable[] = [];
    for (const set of sets) tables.push(await timed(extractor, set, options));
    return tables;
  } finally {
    await extractor.dispose();
  }
}

function compared(
  detector: DetectorFile,
  sets: readonly NamedData[],
  tables: readonly (readonly FeatureTable[])[],
  singles: readonly (FeatureTable | undefined)[],
  options: FeatureOptions,
): Comparison {
  const [inSet, ...oodSets] = sets.map(
    (set, k): SetFeatures => ({
      ...set,
      tables: tables[k]!,
      ...defined({ singles: singles[k] }),
    }),
  );
  const { seed } = options;
  const rows = evaluate(detector, inSet!.tables, oodSets, { seed });
  if (!detector.combined) return { detector, rows, inSet: inSet!, oodSets };
  const combined = combinedRows(detector, inSet!, oodSets, options);
  const all = options.groups.flatMap((group) =>
    oodSets.flatMap(({ name }) => [...combined, ...rows].filter((row) => row.group === group && row.ood === name)),
  );
  return { detector, rows: all, inSet: inSet!, oodSets };
}

/** Figures of the combined detector, as `evaluate` has those of the others. */
function combinedRows(
  detector: DetectorFile,
  inSet: SetFeatures,
  oodSets: readonly SetFeatures[],
  { seed, groups }: FeatureOptions,
): EvalRow[] {
  const fit = combinedOf(detector);
  return groups
    .filter((B) => fit.groups.some(({ group }) => group === B))
    .flatMap((group) => {
      const [learned, ...others] = [inSet, ...oodSets].map(({ singles }) => judged(fit, singles!, group));
      return oodSets.flatMap(({ name }, k) =>
        combinedKinds.map((kind): EvalRow => {
          const [inScores, oodScores] = [learned!, others[k]!].map((one) =>
            one.scores(kind).filter((score) => !Number.isNaN(score)),
          );
          return { detector: kind, group, ood: name, ...measure(inScores!, oodScores!, { seed }) };
        }),
      );
    });
}
