// A DATA argument of the command line to a data set: a file, a folder, or the name of a known set.

import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { openFolder } from './folder.ts';
import { openIdx } from './idx.ts';
import { openParquet } from './parquet.ts';
import { syntheticDataset } from './synthetic.ts';
import { take } from './transforms.ts';

export interface OpenOptions {
  /** Where known sets are looked for first. Then: the environment variable FISHER_OOD_DATA, ~/.cache/fisher-ood/data. */
  readonly dataDir?: string;
  /** Image shape [c, h, w] of the synthetic sets; default [1, 28, 28]. */
  readonly like?: readonly number[];
  /** Seed of the synthetic sets; default 0. */
  readonly seed?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

interface KnownSet {
  /** Files by split, in a folder of the set's name or in the data directory itself; the first that exists is taken. */
  readonly files: Readonly<Record<string, readonly string[]>>;
  /** Folders besides the data directories. */
  readonly folders?: readonly string[];
  readonly source: string;
}

const idxFiles = {
  train: ['train-images-idx3-ubyte.gz', 'train-images-idx3-ubyte'],
  test: ['t10k-images-idx3-ubyte.gz', 't10k-images-idx3-ubyte'],
};
const testOnly = { test: ['test-images-idx3-ubyte.gz', 't10k-images-idx3-ubyte.gz', 'kmnist-test-imgs.npz'] };
const parquet = (name: string) => ({ train: [`${name}-train.parquet`], test: [`${name}-test.parquet`] });

const knownSets: Readonly<Record<string, KnownSet>> = {
  'fashion-mnist': {
    files: idxFiles,
    folders: ['/usr/share/datasets/fashion-mnist'],
    source: "Debian's package dataset-fashion-mnist, or the four .gz files of github.com/zalandoresearch/fashion-mnist",
  },
  mnist: { files: idxFiles, source: 'the four idx .gz files of the MNIST database (yann.lecun.com/exdb/mnist)' },
  kmnist: { files: { ...idxFiles, ...testOnly }, source: 'the idx .gz files of codh.rois.ac.jp/kmnist' },
  omniglot: { files: testOnly, source: 'github.com/brendenlake/omniglot, as idx files' },
  cifar10: { files: parquet('cifar10'), source: 'a Parquet file with an image column, e.g. from the Hugging Face hub' },
  svhn: { files: parquet('svhn'), source: 'a Parquet file with an image column, e.g. from the Hugging Face hub' },
  gtsrb: { files: parquet('gtsrb'), source: 'a Parquet file with an image column, e.g. from the Hugging Face hub' },
  celeba: { files: parquet('celeba'), source: 'a Parquet file with an image column, e.g. from the Hugging Face hub' },
};

const samples: Readonly<Record<string, string>> = {
  'sample/fashion-mnist': 'fashion-mnist-test-2000-idx3-ubyte.gz',
  'sample/mnist': 'mnist-test-1000-idx3-ubyte.gz',
};

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Opens `spec`: a path; `NAME` or `NAME:split` (default test) of a known set; `sample/fashion-mnist`, `sample/mnist` (shipped);
 * `constant` or `noise` (`:COUNT`, default 1000). Any of them with `[start:end]` behind it for a slice.
 * Throws DataError that says where it looked and where the files are to be had.
 */
export async function openData(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const sliced = /^(.*)\[(\d+):(\d+)\]$/.exec(spec);
  if (sliced) return take(await openData(sliced[1]!, options), Number(sliced[2]), Number(sliced[3]));
  const [name, split] = spec.split(':') as [string, string | undefined];
  if (name === 'constant' || name === 'noise') {
    const count = Number(split ?? 1000);
    if (!Number.isInteger(count) || count < 1) throw new DataError(`${spec}: '${split}' is not a number of examples`);

    return syntheticDataset(name, { length: count, shape: options.like ?? [1, 28, 28], seed: options.seed ?? 0 });
  }
  const sample = samples[name];
  if (sample) return openIdx(join(packageRoot, 'samples', sample), name);
  const known = knownSets[name];
  if (known && !existsSync(spec)) return openKnown(name, known, split ?? 'test', options);
  return openPath(spec);
}

async function openPath(path: string, name: string = path): Promise<Dataset> {
  if (!existsSync(path)) {
    const names = [...Object.keys(knownSets), ...Object.keys(samples), 'constant', 'noise'].join(', ');
    throw new DataError(`${path}: no such file or folder, and no known data set; known are ${names}`);
  }
  if ((await stat(path)).isDirectory()) return openFolder(path, name);
  if (path.endsWith('.parquet')) return openParquet(path, name);
  return openIdx(path, name);
}

async function openKnown(name: string, known: KnownSet, split: string, options: OpenOptions): Promise<Dataset> {
  const files = known.files[split];
  if (!files) {
    throw new DataError(`${name} has no split '${split}'; it has ${Object.keys(known.files).join(' and ')}`);
  }
  const env = options.env ?? process.env;
  const bases = [options.dataDir, env.FISHER_OOD_DATA, join(homedir(), '.cache', 'fisher-ood', 'data')];
  const folders = bases.flatMap((base) => (base ? [join(base, name), base] : []));
  for (const folder of [...folders, ...(known.folders ?? [])]) {
    // A data directory itself is searched for files that carry the set's name only.
    const here = bases.includes(folder) ? files.filter((f) => f.startsWith(name)) : files;
    for (const file of here) {
      if (existsSync(join(folder, file))) return openPath(join(folder, file), `${name}:${split}`);
    }
  }
  throw new DataError(
    `${name}:${split}: found none of ${files.join(', ')} in ${[...folders, ...(known.folders ?? [])].join(', ')}; get it from ${known.source} and say where it is with --data-dir or FISHER_OOD_DATA`,
  );
}
