export { type BoundOptions, fullBound } from './bound.ts';
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
export { type FisherAverages, fisherAverages } from './fisher-averages.ts';
export { type GradientOptions, type WeightGradients, weightGradients } from './gradients.ts';
export { lastBitMoved, type Representation, representations, underRepresentation } from './representation.ts';
export { drawSamples, type Image, type SampleOptions } from './sample.ts';
