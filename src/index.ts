// What most programs need, from one import. Everything else is under `fisher-ood/<folder>`.

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
export { type EvalRow, evaluate, formatResults } from './eval/index.ts';
export {
  asModelTakes,
  type Extractor,
  type FeatureTable,
  finiteRows,
  leftOver,
  notFinite,
} from './features/index.ts';
export { architecture, architectures } from './models/index.ts';
export {
  drawSamples,
  type ExtractorOptions,
  evaluateDetector,
  featuresOf,
  fitAndEvaluate,
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
export { type NodeRuntimeOptions, nodeRuntime } from './node/runtime.ts';
export { openScorer, type ScorerOptions } from './node/scorer.ts';
export { reportHtml } from './report/index.ts';
export type { Comparison, Input, Judgement, Pixels, Scorer } from './scoring/index.ts';
export { type Model, type ModelInfo, type OnnxOptions, parseObjective, type ScoringModel } from './store/index.ts';
