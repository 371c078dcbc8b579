export { quantile } from '../densities/quantile.ts';
export { aurocInterval, type BootstrapOptions, type Interval } from './bootstrap.ts';
export {
  type Autocorrelation,
  autocorrelation,
  autocorrelationByKind,
  type LayerCorrelation,
  layerCorrelation,
} from './correlation.ts';
export { checkSetNames, type EvalRow, evaluate, type Metrics, measure, type OodSet } from './evaluate.ts';
export { type FisherMatrix, fisherMatrix, meanAbsCosine, randomSigns, unitGradients } from './fisher.ts';
export { type FisherAverages, fisherAverages } from './fisher-averages.ts';
export { alignColumns, formatResults, type Metric } from './format.ts';
export { type Histogram, histogram } from './histogram.ts';
export { aupr, auroc, fpr95, type Ranking, type RocPoint, rank, rocCurve } from './metrics.ts';
export {
  cdfOf,
  compareFits,
  type Distribution,
  type FitName,
  type LayerFits,
  type OrderStatistics,
  orderStatistics,
  type QqPoint,
  qqPoints,
  quantileOf,
  type ScoredFit,
} from './norm-distribution.ts';
export { type DetectorSummary, type ResultRow, type Summary, summarise } from './summary.ts';
