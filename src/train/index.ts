export { type AdamOptions, adamDefaults, flatten, trainingStep } from './optimiser.ts';
export {
  checkpointFile,
  infoFile,
  isTrained,
  logFile,
  type ModelFile,
  memoryStore,
  modelFiles,
  type Store,
  weightsFile,
} from './store.ts';
export { type Progress, type TrainOptions, train } from './train.ts';
