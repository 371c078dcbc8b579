export type { BatchLoss, BatchOptions, Comparable } from './batch-runs.ts';
export { type ExternalStore, noExternal } from './external.ts';
export {
  builtInModel,
  checkInfo,
  differences,
  type Model,
  type ModelFiles,
  type ModelInfo,
  modelOf,
  parseInfo,
  type ScoringModel,
} from './model.ts';
export { type Objective, parseObjective } from './objective-kinds.ts';
export { type OnnxOptions, type OnnxSummary, type OnnxSurroundings, onnxModel, summariseOnnx } from './onnx.ts';
export { readSafetensors, writeSafetensors } from './safetensors.ts';
