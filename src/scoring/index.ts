export { type AspectsExtractor, openAspects } from './aspects.ts';
export {
  aspectsOf,
  type CombinedOrReason,
  DRAWS,
  fitCombinedOn,
  fitCombinedWherePossible,
  recombinedSets,
} from './combined.ts';
export {
  type Comparison,
  evaluateDetector,
  fitAndEvaluate,
  type SetFeatures,
} from './compare.ts';
export { combinedMultiplications } from './costs.ts';
export type { Input, Opening, Pixels } from './inputs.ts';
export type { Judgement } from './judge.ts';
export { detectorOf, type Names, preparedAs } from './recipe.ts';
export { type Judging, openScorer, type Part, type Scorer, type ScorerOptions } from './scorer.ts';
export {
  type CompareProgress,
  type FeatureOptions,
  type FittingOptions,
  featuresOf,
  type NamedData,
} from './tables.ts';
export {
  basesFrom,
  COMBINED_FORM,
  type FeaturesToFit,
  featuresToFit,
  measuredAs,
  metricExamples,
  metricsFrom,
} from './to-fit.ts';
