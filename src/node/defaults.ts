// What runs graphs, with Node's own runtime where none is given.

import type { Dataset } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import * as experiment from '../experiment/index.ts';
import * as features from '../features/index.ts';
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
export type FeatureOptions = OnNode<experiment.FeatureOptions>;

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

/** See `experiment/`. */
export const featuresOf = (
  model: ScoringModel,
  sets: readonly experiment.NamedData[],
  options: FeatureOptions,
): ReturnType<typeof experiment.featuresOf> => experiment.featuresOf(model, sets, withRuntime(options));

/** See `experiment/`. */
export const evaluateDetector = (
  model: ScoringModel,
  detector: DetectorFile,
  inSet: experiment.NamedData,
  oodSets: readonly experiment.NamedData[],
  options: FeatureOptions,
): Promise<experiment.Comparison> => experiment.evaluateDetector(model, detector, inSet, oodSets, withRuntime(options));

/** See `experiment/`. */
export const fitAndEvaluate = (
  model: ScoringModel,
  fitSet: experiment.NamedData,
  inSet: experiment.NamedData,
  oodSets: readonly experiment.NamedData[],
  options: FeatureOptions,
): Promise<experiment.Comparison> => experiment.fitAndEvaluate(model, fitSet, inSet, oodSets, withRuntime(options));

/** See `experiment/`. */
export const drawSamples = (
  model: Model,
  options: OnNode<experiment.SampleOptions>,
): Promise<readonly experiment.Image[]> => experiment.drawSamples(model, withRuntime(options));

/** See `experiment/`. */
export const fullBound = (
  model: Model,
  data: Dataset,
  options: OnNode<experiment.BoundOptions>,
): Promise<Float64Array> => experiment.fullBound(model, data, withRuntime(options));

/** See `experiment/`. */
export const weightGradients = (
  model: ScoringModel,
  data: Dataset,
  options: OnNode<experiment.GradientOptions>,
): Promise<experiment.WeightGradients> => experiment.weightGradients(model, data, withRuntime(options));

/** See `experiment/`. */
export const fisherAverages = (
  gradients: ArrayLike<number>,
  layers: readonly string[],
  options: OnNode<Parameters<typeof experiment.fisherAverages>[2]> = {},
): Promise<experiment.FisherAverages> => experiment.fisherAverages(gradients, layers, withRuntime(options));

/** See `experiment/`. */
export const underRepresentation = (
  model: ScoringModel,
  data: Dataset,
  representation: experiment.Representation,
  options: OnNode<Parameters<typeof experiment.underRepresentation>[3]>,
): Promise<features.FeatureTable> => experiment.underRepresentation(model, data, representation, withRuntime(options));
