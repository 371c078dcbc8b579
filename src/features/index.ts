export { activationBasis, type BasisOrReason, MOST_DIRECTIONS } from './activation-basis.ts';
export { basisOfSize } from './activations.ts';
export { type Answers, type Comparison, compareAnswers, type LayerAnswer, parseAnswers } from './answers.ts';
export { type BoundOptions, fullBound } from './bound.ts';
export {
  type Extractor,
  type ExtractorOptions,
  openExtractor,
} from './extractor.ts';
export { type MetricForm, metricForms } from './factored.ts';
export { type GradientOptions, type WeightGradients, weightGradients } from './gradients.ts';
export { guessRoles, type InputRole, type InputRoles, roleText, type UnknownInput } from './input-roles.ts';
export { asImages, asModelTakes, type InputOptions } from './inputs.ts';
export { type Diagonal, type DiagonalOptions, fisherDiagonal, type Metric, metricOf } from './metric.ts';
export { type NormGraph, normGraph } from './norms.ts';
export { notFiniteCure } from './odd-examples.ts';
export { type ActivationBasis, openBasis, type PackedBasis } from './packed-basis.ts';
export { type PackedMetric, packed, unpacked } from './packed-metric.ts';
export { withRanges } from './ranges.ts';
export { leftOver, type Rows, shardRows, wholeGroups } from './rows.ts';
export { splitLoss } from './summands.ts';
export {
  checkTable,
  concatTables,
  describeExamples,
  type FeatureTable,
  finiteRows,
  idsOf,
  nextExample,
  notFinite,
  rowsOf,
  sliceTable,
  whatIsNotFinite,
} from './table.ts';
export { columnsOf, type FeatureMeta, type NoiseKey, type View, viewNames } from './table-head.ts';
