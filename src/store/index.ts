export {
  builtInModel,
  loadModel,
  type Model,
  type ModelInfo,
  readInfo,
  type ScoringModel,
  writeInfo,
  writeWeights,
} from './modeldir.ts';
export { loadOnnx } from './onnx.ts';
export { readSafetensors, type Tensors, writeSafetensors } from './safetensors.ts';
