export { type CombinedOrReason, fitCombinedOn, fitCombinedWherePossible } from './combined.ts';
export {
  type Comparison,
  evaluateDetector,
  fitAndEvaluate,
  type SetFeatures,
} from './compare.ts';
export type { Input, Opening, Pixels } from './inputs.ts';
export type { Judgement } from './judge.ts';
export { detectorOf, type Names, preparedAs } from './recipe.ts';
export { type Judging, openScorer, type Part, type Scorer, type ScorerOptions } from './scorer.ts';
export { type CompareProgress, type FeatureOptions, featuresOf, type NamedData } from './tables.ts';
export { type FeaturesToFit, featuresToFit, measuredAs, metricExamples } from './to-fit.ts';
