// A file's bytes in, a data set out, by the reader that its name asks for.

import { DataError, UsageError } from '../errors.ts';
import { openRecordings } from './audio.ts';
import { openCifar10 } from './cifar.ts';
import type { Dataset } from './dataset.ts';
import { openIdx } from './idx.ts';
import type { DecodeImage } from './images.ts';
import { join } from './join.ts';
import { adviceFor, otherKinds, seemsToBe } from './kinds.ts';
import { openMat } from './matlab.ts';
import { openNpy, openNpz } from './npz.ts';
import { openParquet } from './parquet.ts';
import { type ByteSource, readAll } from './source.ts';
import { openTable } from './tabular.ts';
import { openTar } from './tar.ts';
import { openText } from './text.ts';

/**
 * What a file of data does not say of itself: which of its columns hold the examples, of what shape they are, how
 * pictures are decoded.
 */
export interface ReaderOptions {
  /** Of the data set; left out: that of the file. */
  readonly name?: string | undefined;
  /** Shape of an example where the file leaves the choice, [bytes] of text. */
  readonly like?: readonly number[] | undefined;
  /** For files of pictures. */
  readonly decodeImage?: DecodeImage | undefined;
  /** The column, variable or array that holds the examples, where a file has several. */
  readonly column?: string | undefined;
  /** The column that says what examples are called. */
  readonly id?: string | undefined;
}

/** One format of files. */
export interface Reader {
  /** One or two words, for messages. */
  readonly format: string;
  /** Tells by a file's name, without its folders, whether it is one of these. */
  readonly names: RegExp;
  /** Throws a DataError that names the file, what was found and what was expected, for whatever is wrong with it. */
  open(source: ByteSource, options: ReaderOptions): Promise<Dataset>;
  /** Files that together are one set, in their order. Left out: each is opened by itself, and they are joined. */
  readonly openAll?: (sources: readonly ByteSource[], options: ReaderOptions) => Promise<Dataset>;
  /** Which of the options that choose among several columns mean something here. */
  readonly chooses?: readonly ('column' | 'id')[];
}

/**
 * A reader of your own, to be given to `readData` or `openData` (`readers`); it comes before ours. Throws a UsageError
 * for a pattern with the flag g or y, which would begin where it last ended.
 */
export function defineReader(reader: Reader): Reader {
  const { names, format } = reader;
  if (names.global || names.sticky) throw new UsageError(`reader '${format}': the pattern ${names} has a flag g or y`);
  return reader;
}

const openParquetFiles = (
  sources: readonly ByteSource[],
  { name, column, id, like, decodeImage = noDecoder }: ReaderOptions,
) => openParquet(sources, { name, column, id, decode: decodeImage, like });

/**
 * In the order in which they are asked; what none of them knows is taken for an idx file, which has no usual ending.
 */
export const readers: readonly Reader[] = [
  {
    format: 'Parquet',
    names: /\.(parquet|pq)$/i,
    chooses: ['column', 'id'],
    open: (source, options) => openParquetFiles([source], options),
    openAll: openParquetFiles,
  },
  {
    format: 'npz',
    names: /\.npz$/i,
    chooses: ['column', 'id'],
    open: (source, { name, ...options }) => openNpz(source, name, options),
  },
  { format: 'npy', names: /\.npy$/i, open: (source, { name }) => openNpy(source, name) },
  {
    format: 'MATLAB',
    names: /\.mat$/i,
    chooses: ['column'],
    open: (source, { name, column }) => openMat(source, name, column),
  },
  {
    format: 'table',
    names: /\.(csv|tsv|jsonl|ndjson)$/i,
    chooses: ['column', 'id'],
    open: openTable,
  },
  {
    format: 'tar',
    names: /\.tar$/i,
    open: (source, { name, decodeImage = noDecoder }) => openTar([source], decodeImage, name),
    openAll: (sources, { name, decodeImage = noDecoder }) => openTar(sources, decodeImage, name),
  },
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
    openAll: (sources, { name = sources[0]!.name }) => openCifar10(sources, name),
  },
];

const baseOf = (path: string) => path.replace(/^.*[/\\]/s, '');

const ours: Reader = { format: 'IDX', names: /./s, open: openByContent };

/**
 * The data set in a file, by the first of `others` and then of our own readers that knows its name. Throws a DataError
 * for a file that none can read.
 */
export async function readData(
  source: ByteSource,
  options: ReaderOptions = {},
  others: readonly Reader[] = [],
): Promise<Dataset> {
  return readShards([source], options, others);
}

/** The data set that several files hold together, in their order, all of one format; see `readData`. */
export async function readShards(
  sources: readonly ByteSource[],
  options: ReaderOptions = {},
  others: readonly Reader[] = [],
): Promise<Dataset> {
  const known = sources.map(
    ({ name }) => [...others, ...readers].find(({ names }) => names.test(baseOf(name))) ?? ours,
  );
  const [first] = sources as [ByteSource, ...ByteSource[]];
  const [reader] = known as [Reader, ...Reader[]];
  const odd = known.findIndex((one) => one !== reader);
  if (odd >= 0) {
    throw new DataError(
      `${options.name ?? first.name}: holds files of several formats, ${first.name} (${reader.format}) and ${sources[odd]!.name} (${known[odd]!.format}), expected one`,
    );
  }
  for (const option of ['column', 'id'] as const) {
    if (options[option] !== undefined && !others.includes(reader) && !reader.chooses?.includes(option)) {
      throw new DataError(
        `${first.name}: is ${reader.format}, which has no columns: \`${option}: ${options[option]}\``,
      );
    }
  }
  if (sources.length === 1) return reader.open(first, options);
  if (reader.openAll) return withNotes(await reader.openAll(sources, options), missingShards(sources));
  const sets: Dataset[] = [];
  for (const source of sources) sets.push(await reader.open(source, { ...options, name: source.name }));
  return withNotes(join(sets, options.name ?? first.name), missingShards(sources));
}

function withNotes(data: Dataset, more: readonly string[]): Dataset {
  return more.length === 0 ? data : { ...data, notes: () => [...more, ...data.notes()] };
}

/** Of names such as train-00003-of-00020, which numbers are not there. */
function missingShards(sources: readonly ByteSource[]): readonly string[] {
  const found = sources.map(({ name }) => /^(.*?)(\d+)-of-(\d+)/.exec(baseOf(name)));
  const [first] = found;
  if (!first || !found.every((match) => match?.[1] === first[1] && match?.[3] === first[3])) return [];
  const [there, of] = [new Set(found.map((match) => Number(match![2]))), Number(first[3])];
  if (there.size >= of || of > 1e6) return [];
  return [`${first[1]}…-of-${first[3]}: ${there.size} of ${of} files are there, the data may not be complete`];
}

/**
 * Of the files in a folder, those that are parts of one set: all that one of our formats has by its name; files of
 * labels, lists and descriptions are none. Throws a DataError where there are several formats, or splits such as train
 * and test.
 */
export function shardsIn(paths: readonly string[], where: string): readonly string[] {
  const isLabels = (base: string) => /labels?[-._]?idx1/i.test(base);
  const byFormat = new Map<string, string[]>();
  for (const path of paths) {
    const base = baseOf(path);
    const format = /\.(txt|text|md)$/i.test(base) || isLabels(base) ? undefined : formatOf(base);
    if (format) byFormat.set(format, [...(byFormat.get(format) ?? []), path]);
  }
  // Lists beside the data, which say something about them.
  if (byFormat.size > 1) byFormat.delete('table');
  const [found, ...others] = byFormat.values();
  if (!found) return [];
  if (others.length > 0) {
    const some = [...byFormat].map(([format, [one]]) => `${format} (${baseOf(one!)})`).join(', ');
    throw new DataError(
      `${where}: holds files of several formats, ${some}, expected one; a pattern such as '${where}/*.parquet' says which`,
    );
  }
  const splits = new Set(found.map((path) => splitOf(baseOf(path))));
  if (splits.size > 1) {
    const some = [...splits].map((split) => baseOf(found.find((path) => splitOf(baseOf(path)) === split)!)).join(', ');
    throw new DataError(
      `${where}: holds several sets, such as ${some}; a pattern such as '${where}/train*' says which`,
    );
  }
  return found;
}

const formatOf = (base: string): string | undefined =>
  readers.find(({ names }) => names.test(base))?.format ??
  (/idx\d.ubyte|ubyte(\.gz)?$|\.idx(\.gz)?$/i.test(base) ? 'IDX' : undefined);

/** The word for a part of a data set in a file's name, if there is one. */
const splitOf = (base: string): string =>
  /(?:^|[^a-z])(train(?:ing)?|tests?|val(?:id(?:ation)?)?|dev|eval|t10k|extra)(?![a-z])/i
    .exec(base)?.[1]
    ?.toLowerCase() ?? '';

/** A file whose name says nothing, or that nobody reads. */
async function openByContent(source: ByteSource, options: ReaderOptions): Promise<Dataset> {
  const base = baseOf(source.name);
  const other = otherKinds.find(({ names }) => names.test(base));
  if (other && !/idx|ubyte/i.test(base))
    throw new DataError(`${source.name}: is ${other.what}, which is not read; ${adviceFor(other.advice, source.name)}`);
  if (options.like?.length === 1) return openAsText(source, options);
  try {
    return await openIdx(source, options.name);
  } catch (error) {
    // A file that cannot be read at all is not of another format.
    if (!(error instanceof DataError) || /idx|ubyte/i.test(base) || / cannot read: /.test(error.message)) throw error;
    const seems = seemsToBe(await source.read(0, Math.min(16, source.size)));
    if (seems) {
      throw new DataError(
        `${source.name}: seems to be ${seems.what}, which its name does not say; call it something${seems.ending}`,
      );
    }
    const known = '.parquet, .npz, .npy, .csv, .tsv, .jsonl, .mat, .tar, .wav and .txt';
    throw new DataError(`${error.message}. By its name it was taken for an IDX file; other formats end in ${known}`);
  }
}

function openAsText(source: ByteSource, { name, like }: ReaderOptions): Promise<Dataset> {
  return openText(source, name, like?.length === 1 ? like[0] : undefined);
}

const noDecoder: DecodeImage = async ({ where }) => {
  throw new DataError(`${where}: is a picture, and nothing was given that decodes pictures (decodeImage)`);
};
