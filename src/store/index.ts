export {
  builtInModel,
  checkInfo,
  differences,
  infoFile,
  loadModel,
  type Model,
  type ModelInfo,
  readInfo,
  type ScoringModel,
  writeInfo,
  writeWeights,
} from './modeldir.ts';
export { type Objective, parseObjective } from './objective.ts';
export { loadOnnx, type OnnxOptions, type OnnxSummary, summariseOnnx } from './onnx.ts';
export { readSafetensors, type Tensors, writeSafetensors } from './safetensors.ts';
