// What runs graphs, with Node's own runtime where none is given; loaded when it is called.

import type { Dataset } from '../data/index.ts';
import type { CombinedFile, DetectorFile } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import type * as evaluation from '../eval/index.ts';
import type * as features from '../features/index.ts';
import type * as samples from '../models/sample.ts';
import type * as scoring from '../scoring/index.ts';
import type { Model, ScoringModel } from '../store/index.ts';
import { type NodeRuntimeOptions, nodeRuntime } from './runtime.ts';

/** The options of something that runs graphs, the runtime left to choose. */
export type OnNode<O extends { readonly runtime: Runtime }> = Omit<O, 'runtime'> & {
  /** Default: `nodeRuntime()`. */
  readonly runtime?: Runtime;
};

const withRuntime = <O extends { readonly runtime?: Runtime }>(options: O): O & { readonly runtime: Runtime } => ({
  ...options,
  runtime: options?.runtime ?? nodeRuntime(), // what is no object has no groups either, and is refused
});

/** As in `features/`; `runtime` may be left out, for `nodeRuntime()`, and `cache` is that of a `NodeRuntimeOptions`. */
export type ExtractorOptions = OnNode<features.ExtractorOptions> & Pick<NodeRuntimeOptions, 'cache'>;
/** As in `scoring/`; `runtime` may be left out, for `nodeRuntime()`. */
export type FeatureOptions = OnNode<scoring.FeatureOptions>;
/** As in `scoring/`; `runtime` may be left out, for `nodeRuntime()`. */
export type FittingOptions = OnNode<scoring.FittingOptions>;

/**
 * The model's norms, compiled: what gives its features. Throws a ModelError for a model without norms, or one of whose
 * examples not one fits into the machine.
 */
export const openExtractor = async (
  model: ScoringModel,
  { cache, ...options }: ExtractorOptions = {},
): Promise<features.Extractor> =>
  (await import('../features/index.ts')).openExtractor(model, { runtime: nodeRuntime({ cache }), ...options });

/**
 * How far a model, whose inputs must all come from data, is from the right answers: relative errors of losses and
 * squared norms. Throws a DataError where the inputs are not what the model takes.
 */
export const compareAnswers = async (
  model: ScoringModel,
  answers: features.Answers,
  options: OnNode<Parameters<typeof features.compareAnswers>[2]> = {},
): Promise<features.Comparison> =>
  (await import('../features/index.ts')).compareAnswers(model, answers, withRuntime(options));

/** Features of every set for every group size: [set][group]. Opens one session per group size, one after the other. */
export const featuresOf = async (
  model: ScoringModel,
  sets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<Awaited<ReturnType<typeof scoring.featuresOf>>> =>
  (await import('../scoring/index.ts')).featuresOf(model, sets, withRuntime(options));

/**
 * Features of a set to fit on, and the metric of their view `fisher` that `fitDetectors` keeps with the detector. The
 * examples that it is taken from, the first quarter of the set or the first 400, are not in the tables. Throws a
 * DataError where a gradient of these is not finite, unless `leaveOut` is set.
 */
export const featuresToFit = async (
  model: ScoringModel,
  set: scoring.NamedData,
  options: FittingOptions,
): Promise<scoring.FeaturesToFit> =>
  (await import('../scoring/index.ts')).featuresToFit(model, set, withRuntime(options));

/**
 * Fits the combined detector, to be kept in a detector file as `combined`: the metric on the first quarter of the data,
 * 400 inputs at most, everything else on the rest and on recombined inputs made of it. Throws a DataError for fewer
 * than thirty inputs, and for one whose features are not finite, unless `leaveOut` is set.
 */
export const fitCombinedOn = async (
  model: ScoringModel,
  set: scoring.NamedData,
  options: FittingOptions,
): Promise<CombinedFile> => (await import('../scoring/index.ts')).fitCombinedOn(model, set, withRuntime(options));

/**
 * As `fitCombinedOn`; where the combined detector cannot be fitted, the reason, since the other detectors do not need
 * what it needs.
 */
export const fitCombinedWherePossible = async (
  model: ScoringModel,
  set: scoring.NamedData,
  options: FittingOptions,
): Promise<scoring.CombinedOrReason> =>
  (await import('../scoring/index.ts')).fitCombinedWherePossible(model, set, withRuntime(options));

/**
 * Figures of a fitted detector file for every group size it has (or those asked for). Noise is that of the detector's
 * own features, unless `options` has another.
 */
export const evaluateDetector = async (
  model: ScoringModel,
  detector: DetectorFile,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<scoring.Comparison> =>
  (await import('../scoring/index.ts')).evaluateDetector(model, detector, inSet, oodSets, withRuntime(options));

/**
 * Fits all detectors on `fitSet` and evaluates them on the other sets, with one session per group size for all of it.
 * Throws as `fitDetectors`; inputs to fit on whose features are not finite are left out where `leaveOut` is set.
 */
export const fitAndEvaluate = async (
  model: ScoringModel,
  fitSet: scoring.NamedData,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FittingOptions,
): Promise<scoring.Comparison> =>
  (await import('../scoring/index.ts')).fitAndEvaluate(model, fitSet, inSet, oodSets, withRuntime(options));

/**
 * The first n samples whose values are numbers, of pixels 0..255; the k-th draw depends on the seed and k alone. Throws
 * a ModelError where most draws fail.
 */
export const drawSamples = async (
  model: samples.Sampled,
  options: OnNode<samples.SampleOptions>,
): Promise<readonly samples.Image[]> => (await import('../models/sample.ts')).drawSamples(model, withRuntime(options));

/**
 * A bound on −log P(x) in nats for each of n examples, [n]: one run of the network per term and batch. Throws a
 * ModelError where the architecture has none.
 */
export const fullBound = async (
  model: Model,
  data: Dataset,
  options: OnNode<features.BoundOptions>,
): Promise<Float64Array> => (await import('../features/index.ts')).fullBound(model, data, withRuntime(options));

/**
 * Gradients of the loss, in nats, of n examples in d weights that the seed chooses: [n, d]. Throws a ModelError where
 * the loss has no gradient in any parameter.
 */
export const weightGradients = async (
  model: ScoringModel,
  data: Dataset,
  options: OnNode<features.GradientOptions>,
): Promise<features.WeightGradients> =>
  (await import('../features/index.ts')).weightGradients(model, data, withRuntime(options));

/**
 * The averages of `fisherMatrix` for the same arguments, to float32 precision. Costs n d² multiplications and 8 n d
 * bytes. Throws a DataError as that does.
 */
export const fisherAverages = async (
  gradients: ArrayLike<number>,
  layers: readonly string[],
  options: OnNode<Parameters<typeof evaluation.fisherAverages>[2]> = {},
): Promise<evaluation.FisherAverages> =>
  (await import('../eval/index.ts')).fisherAverages(gradients, layers, withRuntime(options));
