export { loadModel, lossOf, type Model, type ModelInfo, readInfo, writeInfo, writeWeights } from './modeldir.ts';
export { readSafetensors, type Tensors, writeSafetensors } from './safetensors.ts';
