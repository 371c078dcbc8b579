export { categorical, drawCategory, oneHot } from './categorical.ts';
export {
  alphaBars,
  denoisingLoss,
  gridNll,
  klToNormal,
  type NoiseLevel,
  noised,
  noiseLevel,
  type Prediction,
  predictedClean,
  stepKlWeight,
} from './diffusion.ts';
export { causalLmNll, elboNll, flowNll, scaledPixels } from './foreign.ts';
export {
  bitsPerDim,
  dequantise,
  discretisedLogistic,
  gaussianLogDensity,
  quantisationNats,
  toPixels,
} from './likelihood.ts';
