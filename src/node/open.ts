// A DATA argument of the command line to a data set: a file, a folder, or the name of a known set.

import { checkArguments, checkOptions, optional, text, wholeFrom } from '../arguments.ts';
import type { Dataset } from '../data/dataset.ts';
import { openIdx } from '../data/idx.ts';
import type { Background } from '../data/images.ts';
import { withLabels } from '../data/labels.ts';
import { type Reader, readShards, shardsIn } from '../data/readers.ts';
import { shapedAs } from '../data/shaped.ts';
import type { ByteSource } from '../data/source.ts';
import { syntheticDataset } from '../data/synthetic.ts';
import { take } from '../data/transforms.ts';
import { DataError } from '../errors.ts';
import { fileSource, readFileBytes } from './files.ts';
import { openFolder, openLoose } from './folder.ts';
import { type DataDirs, findKnown, knownNames, knownSets, locate, samplePath } from './known.ts';
import { labelPaths } from './labels.ts';
import { decodeImage, decodeOn } from './picture.ts';
import { isPattern, type Places, placeOf, placesOf, suffixOf } from './spec.ts';

/**
 * `dataDir`: where known sets are looked for first. Then: the environment variable FISHER_OOD_DATA,
 * ~/.cache/fisher-ood/data.
 */
export interface OpenOptions extends DataDirs {
  /**
   * Shape of an example where the data leave the choice: of synthetic sets (default [1, 28, 28]), [bytes] of text
   * (default [128]).
   */
  readonly like?: readonly number[];
  /** Readers of other formats, see `defineReader`; asked before ours. */
  readonly readers?: readonly Reader[];
  /** What transparent pictures are put on; they are refused where it is left out. */
  readonly background?: Background | undefined;
  /** The column, variable or array that holds the examples, where a file has several. */
  readonly column?: string | undefined;
  /** What images rows of numbers are: [height, width], [channels, height, width] or [height, width, channels]. */
  readonly shape?: readonly number[] | undefined;
  /** The column that says what examples are called. */
  readonly id?: string | undefined;
  /** Seed of the synthetic sets; default 0. */
  readonly seed?: number;
}

/**
 * Opens `spec`: `NAME` or `NAME:split` (default test) of a known set; `sample/fashion-mnist`, `sample/mnist` (shipped);
 * `constant` or `noise` (`:COUNT`, default 1000); or a path (`./mnist` for a folder that is called like a known set),
 * or a pattern such as `train-*.parquet` for files that together are one set, with `:NAME` behind it for one of several
 * arrays or columns. Idx files that have their labels beside them, with `{0-4,7}` behind it: the examples with these
 * labels. Any of them with `[start:end]` behind it for a slice, as in Python but never clamped. What has the very name
 * that is given comes first.
 *
 * Throws DataError that says where it looked and where the files are to be had.
 */
export async function openData(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  checkArguments('openData', { spec }, { spec: text });
  checkOptions('openData', options, { seed: optional(wholeFrom(0)) });
  const suffix = await suffixOf(spec);
  if (suffix?.kind === 'slice') {
    const data = await openData(suffix.inner, options);
    return take(data, ...placeOf(suffix.slice, data.length, data.name));
  }
  if (suffix?.kind === 'labels') return openLabelled(suffix.inner, suffix.labels, options);
  const colon = spec.indexOf(':');
  const name = colon < 0 ? spec : spec.slice(0, colon);
  const detail = colon < 0 ? undefined : spec.slice(colon + 1);
  if (name === 'constant' || name === 'noise') {
    if (detail !== undefined && !/^\d+$/.test(detail)) {
      throw new DataError(`${spec}: '${detail}' is not a number of examples, such as ${name}:1000`);
    }
    const { like = [1, 28, 28], seed = 0 } = options;
    return syntheticDataset(name, { length: Number(detail ?? 1000), shape: like, seed });
  }
  const sample = samplePath(name);
  if (sample !== undefined) {
    if (detail !== undefined) throw new DataError(`${spec}: ${name} has no splits, expected ${name} alone`);
    return openIdx(await fileSource(sample), name);
  }
  if (Object.hasOwn(knownSets, name)) {
    const split = detail ?? 'test';
    const { column: _, id: __, ...rest } = options; // of what the user has, not of what we know
    return openPlaces({ files: await findKnown(name, split, options) }, `${name}:${split}`, rest);
  }
  const places = await placesOf(spec);
  if (places === undefined) {
    const slice = spec.endsWith(']') ? ' (a slice is [start:end])' : '';
    const what = isPattern(spec) ? `no file matches this pattern${slice}` : 'no such file or folder';
    throw new DataError(
      `${spec}: ${what}, and no known data set; known are ${knownNames.join(', ')} (see \`dataDir\`)`,
    );
  }
  const { member } = places;
  if (member !== undefined && options.column !== undefined && options.column !== member) {
    throw new DataError(`${spec}: names '${member}', \`column\` names '${options.column}', expected one of them`);
  }
  const data = await openPlaces(places, spec, member === undefined ? options : { ...options, column: member });
  return options.shape === undefined ? data : shapedAs(data, options.shape);
}

/** The files or folders that `openData` reads for this; none for sets that are made. */
export async function pathsOf(spec: string, options: DataDirs = {}): Promise<readonly string[]> {
  const suffix = await suffixOf(spec);
  if (suffix) {
    const paths = await pathsOf(suffix.inner, options);
    return suffix.kind === 'labels' ? [...paths, ...paths.flatMap(labelPaths)] : paths;
  }
  const [name = '', split = 'test'] = spec.split(':');
  if (/^(constant|noise)(:|$)/.test(spec)) return [];
  const sample = samplePath(name);
  if (sample !== undefined) return [sample];
  if (!Object.hasOwn(knownSets, name)) {
    const places = await placesOf(spec);
    return places ? [...(places.folder === undefined ? [] : [places.folder]), ...places.files] : [spec];
  }
  return Object.hasOwn(knownSets[name]!.files, split) ? (locate(name, split, options) ?? []) : [];
}

/** The examples whose label is among `wanted`. */
async function openLabelled(spec: string, wanted: string, options: OpenOptions): Promise<Dataset> {
  const [name, split = 'test'] = spec.split(':') as [string, string?];
  const [path] = Object.hasOwn(knownSets, name) ? await findKnown(name, split, options) : [spec];
  const data = await openData(spec, options);
  const [where] = labelPaths(path!);
  return withLabels(data, where === undefined ? undefined : { where, bytes: await readFileBytes(where) }, wanted);
}

async function openPlaces({ folder, files }: Places, name: string, options: OpenOptions): Promise<Dataset> {
  const { like, background, column, id, readers } = options;
  const decode = background ? decodeOn(background) : decodeImage;
  const own = { name, like, decodeImage: decode, column, id };
  const shards = async (paths: readonly string[]): Promise<Dataset | undefined> => {
    const parts = shardsIn(paths, name);
    return parts.length === 0 ? undefined : readShards(await sourcesOf(parts), own, readers);
  };
  if (folder !== undefined) {
    const data = await openFolder(folder, name, { decode, shards });
    if (data.shapes.x && id === undefined && column === undefined) return data;
    if (files.length > 0) return data; // of shards, which have seen to it
    throw noChoice(name, column === undefined ? 'id' : 'column');
  }
  const loose = await openLoose(files, name, { decode });
  if (!loose) return readShards(await sourcesOf(files), own, readers);
  if (column !== undefined || id !== undefined) throw noChoice(name, column === undefined ? 'id' : 'column');
  return loose;
}

const noChoice = (name: string, option: 'column' | 'id') =>
  new DataError(`${name}: holds pictures or recordings in files of their own, which have no columns for \`${option}\``);

async function sourcesOf(paths: readonly string[]): Promise<readonly ByteSource[]> {
  const sources: ByteSource[] = [];
  for (const path of paths) sources.push(await fileSource(path));
  return sources;
}
