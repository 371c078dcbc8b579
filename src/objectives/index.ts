export { categorical, drawCategory, oneHot } from './categorical.ts';
export {
  alphaBars,
  aspectsAt,
  denoisingErrors,
  denoisingLoss,
  gridNll,
  gridNlls,
  klToNormal,
  type NoiseLevel,
  noised,
  noiseLevel,
  type Prediction,
  predictedClean,
  scoredSteps,
  stepKlWeight,
} from './diffusion.ts';
export { causalLmNll, elboNll, flowNll, scaledPixels } from './foreign.ts';
export {
  bitsPerDim,
  dequantise,
  discretisedLogistic,
  gaussianLogDensity,
  gaussianParts,
  quantisationNats,
  toPixels,
} from './likelihood.ts';
export { blockParts, negated, type Parts, partOf, regionParts, scaledParts, summedParts } from './parts.ts';
