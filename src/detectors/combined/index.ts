// Public surface of the combined detector.

export { type CombinedFile, combinedFileSchema, combinedOf } from './file.ts';
export { type Combined, type CombinedGroup, type CombinedOptions, fitCombined, groupSizesFor } from './fit.ts';
export { asStored, combinedSchema, openCombined, type StoredCombined, storeCombined } from './format.ts';
export {
  type CombinedKind,
  combinedGroup,
  combinedKinds,
  combinedPValues,
  explainCombined,
  isCombined,
  leastPValue,
  type Shares,
  scoreCombined,
} from './score.ts';
export { views } from './views.ts';
