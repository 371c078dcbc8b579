export { type Answers, type Comparison, compareAnswers, type LayerAnswer, readAnswers } from './answers.ts';
export { type Extractor, type ExtractorOptions, leftOver, openExtractor, type Rows, wholeGroups } from './extractor.ts';
export { asModelTakes, type InputOptions } from './inputs.ts';
export { type NormGraph, normGraph } from './norms.ts';
export { withRanges } from './ranges.ts';
export { type FeatureProgress, type FeatureResult, type FeatureRun, runFeatures, shardRows } from './run.ts';
export {
  checkTable,
  concatTables,
  describeExamples,
  type FeatureMeta,
  type FeatureTable,
  finiteRows,
  type NoiseKey,
  nextExample,
  notFinite,
  rowsOf,
  sliceTable,
  whatIsNotFinite,
} from './table.ts';
export { readTable, tableFormatOf, writeTable } from './table-files.ts';
