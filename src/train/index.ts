export { type AdamOptions, adamDefaults, flatten, trainingStep } from './optimiser.ts';
export { checkpointFile, isTrained, type Progress, type TrainOptions, train } from './train.ts';
