export {
  bitsPerDim,
  dequantise,
  discretisedLogistic,
  gaussianLogDensity,
  quantisationNats,
  toPixels,
} from './likelihood.ts';
