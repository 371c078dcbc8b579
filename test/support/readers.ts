// The readers of src/data/ over files on disk, by path.

import * as audio from '../../src/data/audio.ts';
import * as cifar from '../../src/data/cifar.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import * as idx from '../../src/data/idx.ts';
import * as matlab from '../../src/data/matlab.ts';
import * as npz from '../../src/data/npz.ts';
import * as parquet from '../../src/data/parquet.ts';
import type { ByteSource } from '../../src/data/source.ts';
import * as text from '../../src/data/text.ts';
import { decodeImage, encodedFile, fileSource } from '../../src/node/index.ts';

const onDisk =
  <A extends unknown[]>(open: (source: ByteSource, ...rest: A) => Promise<Dataset>) =>
  async (path: string, ...rest: A) =>
    open(await fileSource(path), ...rest);

export const openIdx = onDisk(idx.openIdx);
export const openMat = onDisk(matlab.openMat);
export const openNpy = onDisk(npz.openNpy);
export const openNpz = onDisk(npz.openNpz);
export const openText = onDisk(text.openText);
export const openParquet = onDisk((source, name?: string) =>
  parquet.openParquet([source], { decode: decodeImage, name }),
);
export const openParquetColumn = onDisk((source, column?: string) =>
  parquet.openParquet([source], { decode: decodeImage, column }),
);
export const openCifar10 = async (paths: readonly string[], name: string) =>
  cifar.openCifar10(await Promise.all(paths.map(fileSource)), name);
export const openRecordings = (paths: readonly string[], name: string) =>
  audio.openRecordings(
    paths.map((path) => () => encodedFile(path)),
    name,
  );
