export {
  type Autocorrelation,
  autocorrelation,
  autocorrelationByKind,
  type LayerCorrelation,
  layerCorrelation,
} from './correlation.ts';
export { type FisherMatrix, fisherMatrix, meanAbsCosine, randomSigns, unitGradients } from './fisher.ts';
export { type Histogram, histogram, quantile } from './histogram.ts';
export {
  cdfOf,
  compareFits,
  type Distribution,
  type FitName,
  type LayerFits,
  type QqPoint,
  qqPoints,
  quantileOf,
  type ScoredFit,
} from './norm-distribution.ts';
export { type DetectorSummary, type ResultRow, type Summary, summarise } from './summary.ts';
