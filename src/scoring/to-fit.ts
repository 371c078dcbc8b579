// A model and a data set in; what detectors are fitted on out: features, and the metric that they are measured by.

import { type Dataset, select, take } from '../data/index.ts';
import { defined, filled } from '../defined.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError } from '../errors.ts';
import {
  activationBasis,
  asModelTakes,
  type DiagonalOptions,
  type FeatureTable,
  fisherDiagonal,
  type MetricForm,
  metricOf,
  type PackedBasis,
  type PackedMetric,
  packed,
  unpacked,
  type View,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import {
  checkFeatureArguments,
  type FeatureOptions,
  type FittingOptions,
  featuresOf,
  type NamedData,
} from './tables.ts';

/**
 * What `fitDetectors` takes: features of a set for every group size, and the metric of their view `fisher` to be kept
 * with the detector.
 */
export interface FeaturesToFit {
  readonly tables: readonly FeatureTable[];
  readonly metric?: PackedMetric;
  /** Examples of the set, of those for the metric, that it is taken without since they are not finite, if any. */
  readonly leftOut?: readonly number[];
}

/** How many of n examples a metric is taken from: a quarter, and not more than tell it well enough. */
export const metricExamples = (n: number): number => Math.min(400, Math.floor(n / 4));

/**
 * Features of a set to fit on. With the view `fisher` and no metric, the first `metricExamples` of its examples are for
 * the metric and the tables begin after them: a gradient that is part of its own yardstick looks smaller than others.
 * Throws a DataError for fewer than 20 examples then, and for one of them that is not finite unless it may be left out.
 */
export async function featuresToFit(
  model: ScoringModel,
  set: NamedData,
  options: FittingOptions,
): Promise<FeaturesToFit> {
  checkFeatureArguments('featuresToFit', model, { set }, options);
  if (!options.views?.includes('fisher') || options.metric) {
    const [tables] = await featuresOf(model, [set], options);
    return { tables: tables! };
  }
  const { runtime, seed, memory, threads, prepared, metricForm: form } = options;
  const data = asModelTakes(model, set.data, options);
  const count = metricExamples(data.length);
  if (count < LEAST_FOR_METRIC) {
    const needed = 4 * LEAST_FOR_METRIC;
    throw new DataError(`${set.name}: has ${data.length} examples, the view fisher needs at least ${needed} to fit on`);
  }
  const odd = oddInputs(options);
  const how = { runtime, seed, ...defined({ memory, threads, prepared, form }), onNotFinite: odd.onNotFinite };
  const metric = await metricFrom(model, take(data, 0, count), how);
  const measured = { ...options, metric: unpacked(metric, set.name) };
  const [tables] = await featuresOf(model, [{ ...set, data }], measured, { start: count });
  return { tables: tables!, metric, ...filled({ leftOut: odd.all() }) };
}

/** Collects inputs that are not finite, each once, where they may be left out. */
export function oddInputs({ leaveOut }: Pick<FittingOptions, 'leaveOut'>) {
  const found = new Set<number>();
  return {
    onNotFinite: leaveOut === true ? (example: number) => void found.add(example) : undefined,
    /** Ascending. */
    all: (): readonly number[] => [...found].sort((a, b) => a - b),
  };
}

/** The metric that these examples tell, as a detector keeps it. */
async function metricFrom(model: ScoringModel, examples: Dataset, options: DiagonalOptions): Promise<PackedMetric> {
  const { onNotFinite } = options;
  const odd = new Set<number>();
  const hear = (example: number) => {
    odd.add(example);
    onNotFinite?.(example);
  };
  const diagonal = await fisherDiagonal(model, examples, { ...options, onNotFinite: onNotFinite && hear });
  if (odd.size === 0) return packed(metricOf(diagonal), examples.origin);
  const { data: left } = withoutExamples(examples, [...odd]);
  if (left.length < LEAST_FOR_METRIC) {
    throw new DataError(
      `${examples.name}: of ${odd.size} of ${examples.length} examples the loss or a gradient is not finite; a metric takes ${LEAST_FOR_METRIC} others`,
    );
  }
  return packed(metricOf(diagonal), left.origin);
}

/** The data set without some of its examples, itself without none; and where the others stood in it. */
export function withoutExamples(data: Dataset, odd: readonly number[]) {
  const marked = new Set(odd);
  const indices = Uint32Array.from({ length: data.length }, (_, i) => i).filter((i) => !marked.has(i));
  if (odd.length === 0) return { data, indices };
  return { data: select(data, indices, ` without ${odd.length}`, ` without ${odd}`), indices };
}

/** How the combined detector keeps its metric unless it is told: it detects better so than with the diagonal. */
export const COMBINED_FORM: MetricForm = 'kronecker';

/**
 * The metric of each aspect that these examples tell, of the form `COMBINED_FORM` unless another is asked for;
 * `progressOf` says what hears of that of one.
 */
export async function metricsFrom(
  model: ScoringModel,
  examples: Dataset,
  options: Omit<DiagonalOptions, 'onProgress'>,
  progressOf?: (aspect: string) => DiagonalOptions['onProgress'],
): Promise<readonly PackedMetric[]> {
  const metrics: PackedMetric[] = [];
  for (const [name, aspect] of Object.entries(model.aspects?.() ?? { '': model })) {
    metrics.push(
      await metricFrom(aspect, examples, {
        ...options,
        form: options.form ?? COMBINED_FORM,
        ...defined({ onProgress: progressOf?.(name) }),
      }),
    );
  }
  return metrics;
}

/** Of each aspect of a model; none where one has none, and then why. */
export interface Bases {
  readonly bases: readonly PackedBasis[];
  readonly lacking?: string;
}

/** The directions of each aspect's activations that these examples tell. */
export async function basesFrom(model: ScoringModel, examples: Dataset, options: DiagonalOptions): Promise<Bases> {
  const bases: PackedBasis[] = [];
  for (const aspect of Object.values(model.aspects?.() ?? { '': model })) {
    const { basis, lacking } = await activationBasis(aspect, examples, options);
    if (lacking !== undefined) return { bases: [], lacking };
    bases.push(basis);
  }
  return { bases };
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
