// What runs graphs, with Node's own runtime where none is given.

import type { Dataset } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import * as evaluation from '../eval/index.ts';
import * as features from '../features/index.ts';
import * as samples from '../models/sample.ts';
import * as scoring from '../scoring/index.ts';
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

export type ExtractorOptions = OnNode<features.ExtractorOptions> & Pick<NodeRuntimeOptions, 'cache'>;
export type FeatureOptions = OnNode<scoring.FeatureOptions>;

/** See `features/`. */
export const openExtractor = (
  model: ScoringModel,
  { cache, ...options }: ExtractorOptions = {},
): Promise<features.Extractor> => features.openExtractor(model, { runtime: nodeRuntime({ cache }), ...options });

/** See `features/`. */
export const compareAnswers = (
  model: ScoringModel,
  answers: features.Answers,
  options: OnNode<Parameters<typeof features.compareAnswers>[2]> = {},
): Promise<features.Comparison> => features.compareAnswers(model, answers, withRuntime(options));

/** See `scoring/`. */
export const featuresOf = (
  model: ScoringModel,
  sets: readonly scoring.NamedData[],
  options: FeatureOptions,
): ReturnType<typeof scoring.featuresOf> => scoring.featuresOf(model, sets, withRuntime(options));

/** See `scoring/`. */
export const evaluateDetector = (
  model: ScoringModel,
  detector: DetectorFile,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<scoring.Comparison> => scoring.evaluateDetector(model, detector, inSet, oodSets, withRuntime(options));

/** See `scoring/`. */
export const fitAndEvaluate = (
  model: ScoringModel,
  fitSet: scoring.NamedData,
  inSet: scoring.NamedData,
  oodSets: readonly scoring.NamedData[],
  options: FeatureOptions,
): Promise<scoring.Comparison> => scoring.fitAndEvaluate(model, fitSet, inSet, oodSets, withRuntime(options));

/** See `models/`. */
export const drawSamples = (
  model: samples.Sampled,
  options: OnNode<samples.SampleOptions>,
): Promise<readonly samples.Image[]> => samples.drawSamples(model, withRuntime(options));

/** See `features/`. */
export const fullBound = (model: Model, data: Dataset, options: OnNode<features.BoundOptions>): Promise<Float64Array> =>
  features.fullBound(model, data, withRuntime(options));

/** See `features/`. */
export const weightGradients = (
  model: ScoringModel,
  data: Dataset,
  options: OnNode<features.GradientOptions>,
): Promise<features.WeightGradients> => features.weightGradients(model, data, withRuntime(options));

/** See `eval/`. */
export const fisherAverages = (
  gradients: ArrayLike<number>,
  layers: readonly string[],
  options: OnNode<Parameters<typeof evaluation.fisherAverages>[2]> = {},
): Promise<evaluation.FisherAverages> => evaluation.fisherAverages(gradients, layers, withRuntime(options));
