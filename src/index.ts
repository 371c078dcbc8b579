// What most programs need, from one import. Everything else is under `fisher-ood/<folder>`.

export { type Dataset, openData, type Preparation, pad, prepare, syntheticDataset, take } from './data/index.ts';
export {
  type DetectorFile,
  explain,
  fitDetectors,
  readDetector,
  type Scored,
  scoreTable,
  sharedWithFit,
  threshold,
  verdicts,
  writeDetector,
} from './detectors/index.ts';
export { DataError, FisherError, GraphError, ModelError, UsageError } from './errors.ts';
export { type EvalRow, evaluate, formatResults } from './eval/index.ts';
export { type Comparison, drawSamples, evaluateDetector, featuresOf, fitAndEvaluate } from './experiment/index.ts';
export {
  asModelTakes,
  type Extractor,
  type ExtractorOptions,
  type FeatureTable,
  finiteRows,
  leftOver,
  notFinite,
  openExtractor,
  readTable,
  runFeatures,
  writeTable,
} from './features/index.ts';
export { architecture, architectures } from './models/index.ts';
export { reportHtml } from './report/index.ts';
export {
  loadModel,
  loadOnnx,
  type Model,
  type ModelInfo,
  type OnnxOptions,
  parseObjective,
  type ScoringModel,
} from './store/index.ts';
export { train } from './train/index.ts';
