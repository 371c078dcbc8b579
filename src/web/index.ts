// What a page needs, without anything of Node: `fisher-ood/web`. ONNX Runtime comes from onnxruntime-web, which a page
// installs beside it.

export {
  bytesSource,
  type Dataset,
  fingerprintOf,
  memoryDataset,
  type Preparation,
  prepare,
  readData,
  take,
} from '../data/index.ts';
export { type DetectorFile, explain, fitDetectors, parseDetector, scoreTable, verdicts } from '../detectors/index.ts';
export type { Runtime } from '../engine/index.ts';
export { DataError, FisherError, GraphError, ModelError, UsageError } from '../errors.ts';
export {
  asModelTakes,
  type Extractor,
  type ExtractorOptions,
  type FeatureTable,
  openExtractor,
} from '../features/index.ts';
export type { Input, Judgement, Pixels, Scorer } from '../scoring/index.ts';
export { type Model, modelOf, type OnnxOptions, onnxModel, parseObjective, type ScoringModel } from '../store/index.ts';
export { fetchFile, loadDetector, loadModel, loadOnnx } from './open.ts';
export { decodeImage, decodeOn } from './picture.ts';
export { type WebRuntimeOptions, webRuntime } from './runtime.ts';
export { openScorer, type ScorerOptions } from './scorer.ts';
