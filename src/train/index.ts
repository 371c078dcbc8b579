export { type AdamOptions, adamDefaults, flatten, trainingStep } from './optimiser.ts';
export { checkpointFile, type Progress, type TrainOptions, train } from './train.ts';
