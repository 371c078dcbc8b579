// Public surface of the combined detector.

export { basesOf, type CombinedFile, combinedFileSchema, combinedOf, metricsOf } from './file.ts';
export { type Combined, type CombinedOptions, fitCombined, inputsForGroups } from './fit.ts';
export { asStored, namesOf, openCombined, storeCombined } from './format.ts';
export { missingGroups, missingViews } from './missing.ts';
export {
  type CombinedKind,
  combinedGroup,
  combinedKinds,
  combinedPValues,
  explainCombined,
  isCombined,
  type Judged,
  judged,
  leastPValue,
  type Shares,
  scoreCombined,
} from './score.ts';
