export {
  type Batch,
  type DataArray,
  type Dataset,
  fingerprintOf,
  makeDataset,
  memoryDataset,
  namesIn,
  originHash,
  type Range,
} from './dataset.ts';
export type { Background, DecodedImage, DecodeImage } from './images.ts';
export { inLayout, type Layout, layoutOf, layouts, toLayout, turnFor } from './layout.ts';
export { type NpyArray, readNpz } from './npy.ts';
export { indexIn, type Origin, type Run, shared, sliceOf, unionOf } from './origin.ts';
export { asPixels, type PixelOptions } from './pixels.ts';
export { encodePng, imageGrid, type PixelImage } from './png.ts';
export { isPreparation, type Preparation, prepare } from './prepare.ts';
export { defineReader, type Reader, type ReaderOptions, readData, readers } from './readers.ts';
export { type Kernel, kernels } from './resample.ts';
export { imageShapeFor } from './shaped.ts';
export { type ByteSource, bytesSource, type EncodedFile, readAll } from './source.ts';
export { syntheticDataset } from './synthetic.ts';
export { DEFAULT_LENGTH } from './text.ts';
export { noted, pad, rename, reshaped, select, take } from './transforms.ts';
