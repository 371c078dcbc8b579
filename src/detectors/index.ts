export { calibrate, pValues, threshold, verdicts } from './calibration.ts';
export type { Chi2Layer, Chi2Params } from './chi2.ts';
export type { Detector } from './detector.ts';
export { type DetectorName, type DetectorParams, detectorNamed, detectorNames, detectors } from './detectors.ts';
export {
  type DetectorFile,
  type FitOptions,
  type Fitted,
  type FittedGroup,
  fitDetectors,
  fittedFor,
  formatDetector,
  overlapsFit,
  parseDetector,
  type Scored,
  scoreTable,
  sharedWithFit,
} from './file.ts';
export type { ForestParams, IsolationTree } from './forest.ts';
export { type DroppedLayer, type Explanation, explain, type NormalLayer, type NormalParams } from './normal.ts';
export type { TypicalityParams } from './scalar.ts';
export type { SvmParams } from './svm.ts';
