// A model and a data set in; what detectors are fitted on out: features, and the metric that they are measured by.

import { type Dataset, take } from '../data/index.ts';
import { defined } from '../defined.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError } from '../errors.ts';
import {
  activationBasis,
  asModelTakes,
  type DiagonalOptions,
  type FeatureTable,
  fisherDiagonal,
  metricOf,
  type PackedBasis,
  type PackedMetric,
  packed,
  unpacked,
  type View,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type FeatureOptions, featuresOf, type NamedData } from './tables.ts';

/**
 * What `fitDetectors` takes: features of a set for every group size, and the metric of their view `fisher` to be kept
 * with the detector.
 */
export interface FeaturesToFit {
  readonly tables: readonly FeatureTable[];
  readonly metric?: PackedMetric;
}

/** How many of n examples a metric is taken from: a quarter, and not more than tell it well enough. */
export const metricExamples = (n: number): number => Math.min(400, Math.floor(n / 4));

/**
 * Features of a set to fit on. With the view `fisher` and no metric, the first `metricExamples` of its examples are for
 * the metric and the tables begin after them: a gradient that is part of its own yardstick looks smaller than others.
 * Throws a DataError for fewer than 20 examples then.
 */
export async function featuresToFit(
  model: ScoringModel,
  set: NamedData,
  options: FeatureOptions,
): Promise<FeaturesToFit> {
  if (!options.views?.includes('fisher') || options.metric) {
    const [tables] = await featuresOf(model, [set], options);
    return { tables: tables! };
  }
  const { runtime, seed, memory, threads, prepared } = options;
  const data = asModelTakes(model, set.data, options);
  const count = metricExamples(data.length);
  if (count < LEAST_FOR_METRIC) {
    const needed = 4 * LEAST_FOR_METRIC;
    throw new DataError(`${set.name}: has ${data.length} examples, the view fisher needs at least ${needed} to fit on`);
  }
  const how = { runtime, seed, ...defined({ memory, threads, prepared }) };
  const metric = await metricFrom(model, take(data, 0, count), how);
  const measured = { ...options, metric: unpacked(metric, set.name) };
  const [tables] = await featuresOf(model, [{ ...set, data }], measured, { start: count });
  return { tables: tables!, metric };
}

/** The metric that these examples tell, as a detector keeps it. */
async function metricFrom(model: ScoringModel, examples: Dataset, options: DiagonalOptions): Promise<PackedMetric> {
  return packed(metricOf(await fisherDiagonal(model, examples, options)), examples.origin);
}

/** The metric of each aspect that these examples tell; `progressOf` says what hears of that of one. */
export async function metricsFrom(
  model: ScoringModel,
  examples: Dataset,
  options: Omit<DiagonalOptions, 'onProgress'>,
  progressOf?: (aspect: string) => DiagonalOptions['onProgress'],
): Promise<readonly PackedMetric[]> {
  const metrics: PackedMetric[] = [];
  for (const [name, aspect] of Object.entries(model.aspects?.() ?? { '': model })) {
    metrics.push(await metricFrom(aspect, examples, { ...options, ...defined({ onProgress: progressOf?.(name) }) }));
  }
  return metrics;
}

/** The directions of each aspect's activations that these examples tell; none where an aspect has none. */
export async function basesFrom(
  model: ScoringModel,
  examples: Dataset,
  options: DiagonalOptions,
): Promise<readonly PackedBasis[]> {
  const bases: PackedBasis[] = [];
  for (const aspect of Object.values(model.aspects?.() ?? { '': model })) {
    const basis = await activationBasis(aspect, examples, options);
    if (!basis) return [];
    bases.push(basis);
  }
  return bases;
}

const LEAST_FOR_METRIC = 5;

/**
 * How an extractor measures these views as the detector's features were. Throws a DataError where it has not kept the
 * metric for them.
 */
export function measuredAs(detector: DetectorFile, views: readonly View[]): Pick<FeatureOptions, 'views' | 'metric'> {
  if (!views.includes('fisher')) return views.length === 0 ? {} : { views };
  if (!detector.metric) throw new DataError('the detector reads the view fisher and does not hold its metric');
  return { views, metric: unpacked(detector.metric, 'the detector') };
}
