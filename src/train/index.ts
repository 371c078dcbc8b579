export { feedShape, feedsFor } from './inputs.ts';
export { loadModel, lossOf, type Model, type ModelInfo } from './modeldir.ts';
export { type AdamOptions, adamDefaults, trainingStep } from './optimiser.ts';
export { readSafetensors, type Tensors, writeSafetensors } from './safetensors.ts';
export { type Progress, type TrainOptions, train } from './train.ts';
