export { adamDefaults, flatten, trainingStep } from './optimiser.ts';
export { openStep, type Step } from './step.ts';
export {
  checkpointFile,
  infoFile,
  isTrained,
  memoryStore,
  modelFiles,
  type Store,
  weightsFile,
} from './store.ts';
export { type Progress, type TrainOptions, train } from './train.ts';
