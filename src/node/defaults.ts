// What runs graphs, with Node's own runtime where none is given; loaded when it is called.

import type { Dataset } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
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
  runtime: options.runtime ?? nodeRuntime(),
});

/** As in `features/`; `runtime` may be left out, for `nodeRuntime()`, and `cache` is that of a `NodeRuntimeOptions`. */
export type ExtractorOptions = OnNode<features.ExtractorOptions> & Pick<NodeRuntimeOptions, 'cache'>;
/** As in `scoring/`; `runtime` may be left out, for `nodeRuntime()`. */
export type FeatureOptions = OnNode<scoring.FeatureOptions>;

/** See `features/`. */
export const openExtractor = async (
  model: ScoringModel,
  { cache, ...options }: ExtractorOptions = {},
): Promise<features.Extractor> =>
  (await import('../features/index.ts')).openExtractor(model, { runtime: nodeRuntime({ cache }), ...options });

/** See `features/`. */
export const compareAnswers = async (
  model: ScoringModel,
  answers: features.Answers,
  options: OnNode<Parameters<typeof features.compareAnswers>[2]> = {},
): Promise<features.Comparison> =>
  (await import('../features/index.ts')).compareAnswers(model, answers, withRuntime(options));

/** See `scoring/`. */
export const featuresOf = async (
  model: ScoringModel,
  sets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<Awaited<ReturnType<typeof scoring.featuresOf>>> =>
  (await import('../scoring/index.ts')).featuresOf(model, sets, withRuntime(options));

/** See `scoring/`. */
export const evaluateDetector = async (
  model: ScoringModel,
  detector: DetectorFile,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<scoring.Comparison> =>
  (await import('../scoring/index.ts')).evaluateDetector(model, detector, inSet, oodSets, withRuntime(options));

/** See `scoring/`. */
export const fitAndEvaluate = async (
  model: ScoringModel,
  fitSet: scoring.NamedData,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<scoring.Comparison> =>
  (await import('../scoring/index.ts')).fitAndEvaluate(model, fitSet, inSet, oodSets, withRuntime(options));

/** See `models/`. */
export const drawSamples = async (
  model: samples.Sampled,
  options: OnNode<samples.SampleOptions>,
): Promise<readonly samples.Image[]> => (await import('../models/sample.ts')).drawSamples(model, withRuntime(options));

/** See `features/`. */
export const fullBound = async (
  model: Model,
  data: Dataset,
  options: OnNode<features.BoundOptions>,
): Promise<Float64Array> => (await import('../features/index.ts')).fullBound(model, data, withRuntime(options));

/** See `features/`. */
export const weightGradients = async (
  model: ScoringModel,
  data: Dataset,
  options: OnNode<features.GradientOptions>,
): Promise<features.WeightGradients> =>
  (await import('../features/index.ts')).weightGradients(model, data, withRuntime(options));

/** See `eval/`. */
export const fisherAverages = async (
  gradients: ArrayLike<number>,
  layers: readonly string[],
  options: OnNode<Parameters<typeof evaluation.fisherAverages>[2]> = {},
): Promise<evaluation.FisherAverages> =>
  (await import('../eval/index.ts')).fisherAverages(gradients, layers, withRuntime(options));
