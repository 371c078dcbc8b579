export { aurocInterval, type BootstrapOptions, type Interval } from './bootstrap.ts';
export { checkSetNames, type EvalRow, evaluate, type Metrics, measure, type OodSet } from './evaluate.ts';
export { alignColumns, formatResults, type Metric } from './format.ts';
export { aupr, auroc, fpr95, type Ranking, type RocPoint, rank, rocCurve } from './metrics.ts';
