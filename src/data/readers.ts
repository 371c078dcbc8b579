// A file's bytes in, a data set out, by the reader that its name asks for.

import { DataError, UsageError } from '../errors.ts';
import { openRecordings } from './audio.ts';
import { openCifar10 } from './cifar.ts';
import type { Dataset } from './dataset.ts';
import { openIdx } from './idx.ts';
import type { DecodeImage } from './images.ts';
import { openMat } from './matlab.ts';
import { openNpy, openNpz } from './npz.ts';
import { openParquet } from './parquet.ts';
import { type ByteSource, readAll } from './source.ts';
import { openText } from './text.ts';

export interface ReaderOptions {
  /** Of the data set; left out: that of the file. */
  readonly name?: string | undefined;
  /** Shape of an example where the file leaves the choice, [bytes] of text. */
  readonly like?: readonly number[] | undefined;
  /** For files of pictures. */
  readonly decodeImage?: DecodeImage | undefined;
}

/** One format of files. */
export interface Reader {
  /** One or two words, for messages. */
  readonly format: string;
  /** Tells by a file's name, without its folders, whether it is one of these. */
  readonly names: RegExp;
  /** Throws a DataError that names the file, what was found and what was expected, for whatever is wrong with it. */
  open(source: ByteSource, options: ReaderOptions): Promise<Dataset>;
}

/**
 * A reader of your own, to be given to `readData` or `openData` (`readers`); it comes before ours. Throws a UsageError for a pattern with the flag
 * g or y, which would begin where it last ended.
 */
export function defineReader(reader: Reader): Reader {
  const { names, format } = reader;
  if (names.global || names.sticky) throw new UsageError(`reader '${format}': the pattern ${names} has a flag g or y`);
  return reader;
}

/** In the order in which they are asked; what none of them knows is taken for an idx file, which has no usual ending. */
export const readers: readonly Reader[] = [
  {
    format: 'Parquet',
    names: /\.parquet$/i,
    open: (source, { name, decodeImage = noDecoder }) => openParquet(source, decodeImage, name),
  },
  { format: 'npz', names: /\.npz$/i, open: (source, { name }) => openNpz(source, name) },
  { format: 'npy', names: /\.npy$/i, open: (source, { name }) => openNpy(source, name) },
  { format: 'MATLAB', names: /\.mat$/i, open: (source, { name }) => openMat(source, name) },
  {
    format: 'WAV',
    names: /\.wav$/i,
    open: (source, { name = source.name }) =>
      openRecordings([async () => ({ bytes: await readAll(source), where: source.name })], name),
  },
  { format: 'text', names: /\.(txt|text|md)$/i, open: openAsText },
  {
    format: 'CIFAR-10',
    names: /^(data_batch_\d|test_batch)\.bin$/i,
    open: (source, { name = source.name }) => openCifar10([source], name),
  },
];

/**
 * The data set in a file, by the first of `others` and then of our own readers that knows its name. Throws a DataError for a file that none can
 * read.
 */
export async function readData(
  source: ByteSource,
  options: ReaderOptions = {},
  others: readonly Reader[] = [],
): Promise<Dataset> {
  const base = source.name.replace(/^.*[/\\]/s, '');
  const reader = [...others, ...readers].find(({ names }) => names.test(base));
  if (reader) return reader.open(source, options);
  if (options.like?.length === 1) return openAsText(source, options);
  try {
    return await openIdx(source, options.name);
  } catch (error) {
    // A file that cannot be read at all is not of another format.
    if (!(error instanceof DataError) || /idx|ubyte/i.test(base) || / cannot read: /.test(error.message)) throw error;
    const known = '.parquet, .npz, .npy, .mat, .wav and .txt';
    throw new DataError(`${error.message}. By its name it was taken for an IDX file; other formats end in ${known}`);
  }
}

function openAsText(source: ByteSource, { name, like }: ReaderOptions): Promise<Dataset> {
  return openText(source, name, like?.length === 1 ? like[0] : undefined);
}

const noDecoder: DecodeImage = async ({ where }) => {
  throw new DataError(`${where}: is a picture, and nothing was given that decodes pictures (decodeImage)`);
};
