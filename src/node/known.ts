// The data sets known by name: which files hold them, where those are looked for, and where they are to be had.

import { constants, existsSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DataError } from '../errors.ts';
import type { Download } from './download.ts';
import { reasonOf } from './files.ts';

interface KnownSet {
  /**
   * By split: alternatives in order of preference, each a file or the files that make up the split together. Names that
   * start with the set's name are looked for in the data directory itself as well.
   */
  readonly files: Readonly<Record<string, readonly (string | readonly string[])[]>>;
  /** Folders within a data directory besides the one of the set's name, such as other tools make; or absolute ones. */
  readonly folders?: readonly string[];
  /** Where the files are to be had, for people. */
  readonly source: string;
  /** The files themselves, where they lie at an address that lasts and their checksums are published. */
  readonly downloads?: readonly Download[];
}

/** Files of one split on the Hugging Face hub. */
const hub = (split: string) => `${split}-00000-of-00001.parquet`;

/** The names of the MNIST database, which its successors took over; some copies of the test set call it so. */
const idxFiles = {
  train: ['train-images-idx3-ubyte.gz', 'train-images-idx3-ubyte', hub('train')],
  test: [
    't10k-images-idx3-ubyte.gz',
    't10k-images-idx3-ubyte',
    'test-images-idx3-ubyte.gz',
    'test-images-idx3-ubyte',
    hub('test'),
  ],
};

/** The four files of a set in MNIST's layout. MD5: training images and labels, test images and labels. */
function idxDownloads(name: string, base: string, md5: readonly [string, string, string, string]): Download[] {
  const files = ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'];
  return files.map((file, i) => ({
    url: `${base}/${file}-ubyte.gz`,
    checksum: { md5: md5[i]! },
    files: [`${name}/${file}-ubyte.gz`],
  }));
}

const parquetFiles = (name: string) => ({
  train: [`${name}-train.parquet`, 'train.parquet', hub('train')],
  test: [`${name}-test.parquet`, 'test.parquet', hub('test')],
});

const hubSource = 'a Parquet file with a column of images, such as the Hugging Face hub has';

const textFile = (name: string, source: string): KnownSet => ({
  files: { test: [`${name}.txt`] },
  folders: ['text'],
  source: `${source}, as ${name}.txt`,
});

/** The data sets known by name: their files, by split, and where they are looked for and had from. */
export const knownSets: Readonly<Record<string, KnownSet>> = {
  'fashion-mnist': {
    files: idxFiles,
    folders: ['fashion_mnist', 'FashionMNIST/raw', '/usr/share/datasets/fashion-mnist'],
    source: "Debian's package dataset-fashion-mnist or github.com/zalandoresearch/fashion-mnist",
    downloads: idxDownloads('fashion-mnist', 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com', [
      '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
      '25c81989df183df01b3e8a0aad5dffbe',
      'bef4ecab320f06d8554ea6380940ec79',
      'bb300cfdad3c16e7a12a480ee83cd310',
    ]),
  },
  mnist: {
    files: idxFiles,
    folders: ['MNIST/raw'],
    source: 'the MNIST database (yann.lecun.com/exdb/mnist)',
    downloads: idxDownloads('mnist', 'https://ossci-datasets.s3.amazonaws.com/mnist', [
      'f68b3c2dcbeaaa9fbdd348bbdeb94873',
      'd53e105ee54ea40749a09fcbcd1e9432',
      '9fb629c4189551a2d022fa330f9573f3',
      'ec29112dd5afa0611ce80d1b7f02629c',
    ]),
  },
  kmnist: {
    files: {
      train: [...idxFiles.train, 'kmnist-train-imgs.npz'],
      test: [...idxFiles.test, 'kmnist-test-imgs.npz'],
    },
    folders: ['KMNIST/raw'],
    source: 'codh.rois.ac.jp/kmnist',
    downloads: idxDownloads('kmnist', 'http://codh.rois.ac.jp/kmnist/dataset/kmnist', [
      'bdb82020997e1d708af4cf47b453dcf7',
      'e144d726b3acfaa3e44228e80efcd344',
      '5c965bf0a639b31b8f53240b1b52f4d7',
      '7320c461ea6c1c855c0b718fb2a4b134',
    ]),
  },
  omniglot: { files: { test: idxFiles.test }, source: 'github.com/brendenlake/omniglot, made an idx file of 28×28' },
  cifar10: {
    files: {
      train: [
        'cifar10-train.parquet',
        [1, 2, 3, 4, 5].map((k) => `data_batch_${k}.bin`),
        'train.parquet',
        hub('train'),
      ],
      test: ['cifar10-test.parquet', 'test_batch.bin', 'test.parquet', hub('test')],
    },
    folders: ['cifar-10-batches-bin', 'cifar10/cifar-10-batches-bin', 'cifar10/plain_text'],
    source: 'cs.toronto.edu/~kriz/cifar.html (the binary version)',
    downloads: [
      {
        url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
        checksum: { md5: 'c32a1d4ab5d03f1284b67883e8d87530' },
        files: [...[1, 2, 3, 4, 5].map((k) => `data_batch_${k}.bin`), 'test_batch.bin'].map(
          (file) => `cifar-10-batches-bin/${file}`,
        ),
        unpack: 'tar',
      },
    ],
  },
  svhn: {
    files: {
      train: [...parquetFiles('svhn').train, 'train_32x32.mat'],
      test: [...parquetFiles('svhn').test, 'test_32x32.mat'],
    },
    folders: ['svhn/cropped_digits', 'SVHN'],
    source: 'ufldl.stanford.edu/housenumbers (format 2)',
    downloads: (
      [
        ['train', 'e26dedcc434d2e4c54c9b2d4a06d8373'],
        ['test', 'eb5a983be6a315427106f1b164d9cef3'],
      ] as const
    ).map(([split, md5]) => ({
      url: `http://ufldl.stanford.edu/housenumbers/${split}_32x32.mat`,
      checksum: { md5 },
      files: [`svhn/${split}_32x32.mat`],
    })),
  },
  gtsrb: { files: parquetFiles('gtsrb'), source: hubSource },
  celeba: { files: parquetFiles('celeba'), source: hubSource },
  imagenet32: {
    files: { train: parquetFiles('imagenet32').train, test: [...parquetFiles('imagenet32').test, hub('validation')] },
    source: `${hubSource}, made from the archives of 32×32 images at image-net.org (for registered users)`,
  },
  fsdd: {
    files: { train: ['train-logmel32-images-idx3-ubyte.gz'], test: ['test-logmel32-images-idx3-ubyte.gz'] },
    source: 'github.com/Jakobovski/free-spoken-digit-dataset, made idx files of log-mel spectrograms of 32×32',
  },
  tinyshakespeare: {
    files: {
      train: ['tinyshakespeare-train.txt', 'train.txt'],
      val: ['tinyshakespeare-val.txt', 'val.txt'],
      test: ['tinyshakespeare-test.txt', 'test.txt'],
    },
    folders: ['text'],
    source: 'github.com/karpathy/char-rnn, cut into three',
    downloads: [
      {
        url: 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt',
        checksum: { sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed' },
        files: ['train', 'val', 'test'].map((split) => `tinyshakespeare/tinyshakespeare-${split}.txt`),
        unpack: 'parts',
        parts: [0.9, 0.05, 0.05],
      },
    ],
  },
  'german-quotes': textFile('german-quotes', "a text in German, such as Debian's package fortunes-de"),
  'italian-quotes': textFile('italian-quotes', "a text in Italian, such as Debian's package fortunes-it"),
  'python-stdlib': textFile('python-stdlib', 'Python source, such as that of the standard library'),
};

/** The names of those whose files can be downloaded. */
export const downloadable = Object.keys(knownSets).filter((name) => knownSets[name]!.downloads);

const samples: Readonly<Record<string, string>> = {
  'sample/fashion-mnist': 'fashion-mnist-test-2000-idx3-ubyte.gz',
  'sample/mnist': 'mnist-test-1000-idx3-ubyte.gz',
};

/** What a DATA argument may name besides a path, for messages. */
export const knownNames = [...Object.keys(knownSets), ...Object.keys(samples), 'constant', 'noise'];

/** The file of a sample set that is shipped with the program; undefined where there is none of this name. */
export function samplePath(name: string): string | undefined {
  if (!Object.hasOwn(samples, name)) return undefined;
  return fileURLToPath(new URL(`../../samples/${samples[name]}`, import.meta.url));
}

/** Where known sets are looked for. */
export interface DataDirs {
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The folders that are looked through, in this order; downloads go to the first. */
export function dataDirs({ dataDir, env = process.env }: DataDirs): readonly string[] {
  const all = [dataDir, env.FISHER_OOD_DATA, join(homedir(), '.cache', 'fisher-ood', 'data')];
  return all.filter((base): base is string => !!base);
}

/**
 * The files of a split of a known set, which exist. Looks in `dataDir`, the environment variable FISHER_OOD_DATA and
 * ~/.cache/fisher-ood/data, in this order. Throws a DataError for a split the set does not have, a `dataDir` that is
 * not there, and where nothing is found: then it says where it looked for which files, and where they are to be had.
 */
export async function findKnown(name: string, split: string, options: DataDirs): Promise<readonly string[]> {
  const known = knownSets[name]!;
  const alternatives = Object.hasOwn(known.files, split) ? known.files[split] : undefined;
  if (!alternatives) {
    throw new DataError(`${name} has no split '${split}'; it has ${Object.keys(known.files).join(' and ')}`);
  }
  const { dataDir } = options;
  if (dataDir !== undefined && !(await isFolder(dataDir))) {
    throw new DataError(`\`dataDir: ${dataDir}\`: is not a folder, expected one with data sets`);
  }
  if (dataDir !== undefined) {
    await access(dataDir, constants.R_OK | constants.X_OK).catch((error: unknown) => {
      throw new DataError(`\`dataDir: ${dataDir}\`: cannot look into it: ${reasonOf(error, dataDir)}`, {
        cause: error,
      });
    });
  }
  const { found, looked } = search(name, alternatives, options);
  if (found) return found;
  const wanted = alternatives.map((a) => (typeof a === 'string' ? a : a.join(' + '))).join(', ');
  throw new DataError(
    `${name}:${split}: found none of ${wanted} in ${looked.join(', ')}; ${known.downloads ? `fisher-ood data get ${name} downloads it, or ` : ''}get it from ${known.source} and say where it is with \`dataDir\` or FISHER_OOD_DATA`,
  );
}

/** The files of a split of a known set; undefined where they are not all there, see `findKnown`. */
export function locate(name: string, split: string, options: DataDirs): readonly string[] | undefined {
  return search(name, knownSets[name]!.files[split]!, options).found;
}

function search(
  name: string,
  alternatives: KnownSet['files'][string],
  options: DataDirs,
): { readonly found?: readonly string[]; readonly looked: readonly string[] } {
  const bases = dataDirs(options);
  const folders = [name, ...(knownSets[name]!.folders ?? [])];
  const looked: string[] = [];
  for (const base of bases) {
    for (const folder of folders.filter((f) => !isAbsolute(f))) looked.push(join(base, folder));
    looked.push(base);
  }
  looked.push(...folders.filter((f) => isAbsolute(f)));
  for (const folder of looked) {
    // A data directory may hold many sets, so files in it must carry the name; unless it is the folder of this one.
    const shared = bases.includes(folder) && !folders.some((f) => resolve(folder) === resolve(folder, climb(f), f));
    for (const alternative of alternatives) {
      const files = typeof alternative === 'string' ? [alternative] : alternative;
      if (shared && files.some((file) => !file.startsWith(name))) continue;
      const paths = files.map((file) => join(folder, file));
      if (paths.every((path) => existsSync(path))) return { found: paths, looked };
    }
  }
  return { looked };
}

/** As many steps up as `folder` has steps down. */
function climb(folder: string): string {
  return folder.replace(/[^/]+/g, '..');
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
