// A DATA argument of the command line to a data set: a file, a folder, or the name of a known set.

import { openCifar10 } from '../data/cifar.ts';
import type { Dataset } from '../data/dataset.ts';
import { openIdx } from '../data/idx.ts';
import type { Background } from '../data/images.ts';
import { withLabels } from '../data/labels.ts';
import { type Reader, readData } from '../data/readers.ts';
import { syntheticDataset } from '../data/synthetic.ts';
import { take } from '../data/transforms.ts';
import { DataError } from '../errors.ts';
import { fileSource, pathKind, readFileBytes } from './files.ts';
import { openFolder } from './folder.ts';
import { type DataDirs, findKnown, knownNames, knownSets, locate, samplePath } from './known.ts';
import { labelPaths } from './labels.ts';
import { decodeImage, decodeOn } from './picture.ts';

/** `dataDir`: where known sets are looked for first. Then: the environment variable FISHER_OOD_DATA, ~/.cache/fisher-ood/data. */
export interface OpenOptions extends DataDirs {
  /** Shape of an example where the data leave the choice: of synthetic sets (default [1, 28, 28]), [bytes] of text (default [128]). */
  readonly like?: readonly number[];
  /** Readers of other formats, see `defineReader`; asked before ours. */
  readonly readers?: readonly Reader[];
  /** What transparent pictures are put on; they are refused where it is left out. */
  readonly background?: Background | undefined;
  /** Seed of the synthetic sets; default 0. */
  readonly seed?: number;
}

/**
 * Opens `spec`: `NAME` or `NAME:split` (default test) of a known set; `sample/fashion-mnist`, `sample/mnist` (shipped);
 * `constant` or `noise` (`:COUNT`, default 1000); or a path (`./mnist` for a folder that is called like a known set). Idx
 * files that have their labels beside them, with `{0-4,7}` behind it: the examples with these labels. Any of them with
 * `[start:end]` behind it for a slice.
 *
 * Throws DataError that says where it looked and where the files are to be had.
 */
export async function openData(spec: string, options: OpenOptions = {}): Promise<Dataset> {
  const sliced = /^(.*)\[(\d+):(\d+)\]$/s.exec(spec);
  if (sliced) return take(await openData(sliced[1]!, options), Number(sliced[2]), Number(sliced[3]));
  const labelled = /^(.*)\{([\d,-]+)\}$/s.exec(spec);
  if (labelled) return openLabelled(labelled[1]!, labelled[2]!, options);
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
  if (!Object.hasOwn(knownSets, name)) return openPath(spec, spec, options);
  const split = detail ?? 'test';
  const files = await findKnown(name, split, options);
  if (files.length === 1) return openPath(files[0]!, `${name}:${split}`, options);
  return openCifar10(await Promise.all(files.map(fileSource)), `${name}:${split}`);
}

/** The files or folders that `openData` reads for this; none for sets that are made. */
export async function pathsOf(spec: string, options: DataDirs = {}): Promise<readonly string[]> {
  const [, inner = spec] = /^(.*)(?:\[\d+:\d+\]|\{[\d,-]+\})$/s.exec(spec) ?? [];
  if (inner !== spec) {
    const paths = await pathsOf(inner, options);
    return spec.endsWith('}') ? [...paths, ...paths.flatMap(labelPaths)] : paths;
  }
  const [name = '', split = 'test'] = spec.split(':');
  if (/^(constant|noise)(:|$)/.test(spec)) return [];
  const sample = samplePath(name);
  if (sample !== undefined) return [sample];
  if (!Object.hasOwn(knownSets, name)) return [spec];
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

async function openPath(path: string, name: string, options: OpenOptions): Promise<Dataset> {
  const kind = await pathKind(path);
  const { like, background } = options;
  const decode = background ? decodeOn(background) : decodeImage;
  if (kind === 'folder') return openFolder(path, name, decode);
  if (kind === 'nothing') {
    throw new DataError(
      `${path}: no such file or folder, and no known data set; known are ${knownNames.join(', ')} (see --data-dir)`,
    );
  }
  return readData(await fileSource(path), { name, like, decodeImage: decode }, options.readers);
}
