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
