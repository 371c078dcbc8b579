export { calibrate, FOLDS as LEAST_GROUPS, pValues, threshold, verdicts } from './calibration.ts';
export type { Chi2Layer, Chi2Params } from './chi2.ts';
export {
  basesOf,
  type Combined,
  type CombinedFile,
  type CombinedKind,
  type CombinedOptions,
  combinedGroup,
  combinedKinds,
  combinedOf,
  combinedPValues,
  explainCombined,
  fitCombined,
  inputsForGroups,
  isCombined,
  type Judged,
  judged,
  leastPValue,
  metricsOf,
  missingGroups,
  missingViews,
  namesOf,
  openCombined,
  type Shares,
  scoreCombined,
  storeCombined,
} from './combined/index.ts';
export { type Detector, defineDetector } from './detector.ts';
export {
  type DetectorChoice,
  type DetectorName,
  type DetectorParams,
  detectorNamed,
  detectorNames,
  detectors,
  resolved,
} from './detectors.ts';
export { type FitOptions, fitDetectors } from './fit.ts';
export type { DetectorFile, Fitted, FittedDetectors, FittedGroup } from './fitted.ts';
export { type ForestOptions, type ForestParams, type IsolationTree, isolationForest } from './forest.ts';
export { formatDetector, parseDetector } from './format.ts';
export { type DroppedLayer, type Explanation, explain, type NormalLayer, type NormalParams } from './normal.ts';
export type { TypicalityParams } from './scalar.ts';
export { fittedFor, overlapsFit, type Scored, scoreTable, sharedWithFit, viewsNeeded } from './score.ts';
export { oneClassSvm, type SvmOptions, type SvmParams } from './svm.ts';
