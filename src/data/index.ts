export {
  type Batch,
  type DataArray,
  type Dataset,
  fingerprintOf,
  memoryDataset,
  originHash,
  type Range,
} from './dataset.ts';
export { type DownloadProgress, download } from './download.ts';
export { readFileBytes, reasonOf, writeFileAtomic } from './files.ts';
export { dataDirs, downloadable, knownSets, locate } from './known.ts';
export { type OpenOptions, openData, pathsOf } from './open.ts';
export { indexIn, type Origin, type Run, shared, sliceOf, unionOf } from './origin.ts';
export { type Claim, claimFile, claimFiles, claimFolder, during, removeLeftovers } from './output.ts';
export { encodePng, imageGrid, type PixelImage } from './png.ts';
export { isPreparation, type Preparation, prepare } from './prepare.ts';
export { type Kernel, kernels } from './resample.ts';
export { syntheticDataset } from './synthetic.ts';
export { DEFAULT_LENGTH } from './text.ts';
export { asPixels, pad, rename, select, take } from './transforms.ts';
