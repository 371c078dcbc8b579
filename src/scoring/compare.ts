// A model, a fit set, an in-distribution set and out-of-distribution sets in; fitted detectors and their figures out.

import { defined } from '../defined.ts';
import { type DetectorFile, fitDetectors, viewsNeeded } from '../detectors/index.ts';
import { checkSetNames, type EvalRow, evaluate } from '../eval/index.ts';
import { type FeatureTable, unpacked } from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type FeatureOptions, featuresOf, type NamedData } from './tables.ts';
import { featuresToFit, measuredAs } from './to-fit.ts';

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
  const measured = measuredAs(detector, viewsNeeded(detector));
  const tables = await featuresOf(model, sets, { noise, noiseSamples, ...measured, ...options });
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
  if (!options.views?.includes('fisher')) {
    const [fit, ...tables] = await featuresOf(model, [fitSet, ...sets], options);
    return compared(fitDetectors(fit!), sets, tables, options.seed);
  }
  const { tables: fit, metric } = await featuresToFit(model, fitSet, options);
  const detector = fitDetectors(fit, defined({ metric }));
  const measured = metric ? { metric: unpacked(metric, fitSet.name) } : {};
  return compared(detector, sets, await featuresOf(model, sets, { ...options, ...measured }), options.seed);
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
