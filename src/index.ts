// What most programs need, from one import that loads little: what computes is loaded when it is called.

export {
  type Dataset,
  defineReader,
  fingerprintOf,
  memoryDataset,
  type Preparation,
  pad,
  prepare,
  readAll,
  syntheticDataset,
  take,
} from './data/index.ts';
export {
  type Detector,
  type DetectorFile,
  defineDetector,
  explain,
  fitDetectors,
  isolationForest,
  oneClassSvm,
  type Scored,
  scoreTable,
  sharedWithFit,
  threshold,
  verdicts,
} from './detectors/index.ts';
export type { Runtime, Session } from './engine/index.ts';
export { DataError, FisherError, GraphError, ModelError, UsageError } from './errors.ts';
export { type EvalRow, evaluate } from './eval/evaluate.ts';
export { formatResults } from './eval/format.ts';
export type { Extractor } from './features/extractor.ts';
export { asModelTakes } from './features/inputs.ts';
export { leftOver } from './features/rows.ts';
export { type FeatureTable, finiteRows, notFinite } from './features/table.ts';
export {
  drawSamples,
  type ExtractorOptions,
  evaluateDetector,
  featuresOf,
  featuresToFit,
  fitAndEvaluate,
  fitCombinedOn,
  fitCombinedWherePossible,
  openExtractor,
} from './node/defaults.ts';
export {
  loadModel,
  loadOnnx,
  openData,
  readDetector,
  readTable,
  runFeatures,
  train,
  writeDetector,
  writeTable,
} from './node/index.ts';
export { type NodeRuntimeOptions, nodeRuntime, type Provider } from './node/runtime.ts';
export { openScorer, type ScorerOptions } from './node/scorer.ts';
export type { Comparison, Input, Judgement, Pixels, Scorer } from './scoring/index.ts';
export type { Model, ModelInfo, OnnxOptions, ScoringModel } from './store/index.ts';
export { parseObjective } from './store/objective-kinds.ts';
