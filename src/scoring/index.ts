export {
  type CompareProgress,
  type Comparison,
  evaluateDetector,
  type FeatureOptions,
  featuresOf,
  fitAndEvaluate,
  type NamedData,
  type SetFeatures,
} from './compare.ts';
export type { Input, Opening, Pixels } from './inputs.ts';
export { detectorOf, type Names, preparedAs } from './recipe.ts';
export { type Judgement, type Judging, openScorer, type Part, type Scorer, type ScorerOptions } from './scorer.ts';
