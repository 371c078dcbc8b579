export { categorical, drawCategory, oneHot } from './categorical.ts';
export {
  alphaBar,
  causalLmNll,
  denoisingLoss,
  elboNll,
  flowNll,
  noised,
  type Prediction,
  scaledPixels,
} from './foreign.ts';
export {
  bitsPerDim,
  dequantise,
  discretisedLogistic,
  gaussianLogDensity,
  quantisationNats,
  toPixels,
} from './likelihood.ts';
