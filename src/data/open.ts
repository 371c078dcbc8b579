// A DATA argument of the command line to a data set: a file, a folder, or the name of a known set.

import { basename } from 'node:path';
import { DataError } from '../errors.ts';
import { openRecordings } from './audio.ts';
import { openCifar10 } from './cifar.ts';
import type { Dataset } from './dataset.ts';
import { pathKind } from './files.ts';
import { openFolder } from './folder.ts';
import { openIdx } from './idx.ts';
import { type DataDirs, findKnown, knownNames, knownSets, locate, samplePath } from './known.ts';
import { labelPaths, withLabels } from './labels.ts';
import { openMat } from './matlab.ts';
import { openNpy, openNpz } from './npz.ts';
import { openParquet } from './parquet.ts';
import { syntheticDataset } from './synthetic.ts';
import { openText } from './text.ts';
import { take } from './transforms.ts';

/** `dataDir`: where known sets are looked for first. Then: the environment variable FISHER_OOD_DATA, ~/.cache/fisher-ood/data. */
export interface OpenOptions extends DataDirs {
  /** Shape of an example where the data leave the choice: of synthetic sets (default [1, 28, 28]), [bytes] of text (default [128]). */
  readonly like?: readonly number[];
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
    return openIdx(sample, name);
  }
  if (!Object.hasOwn(knownSets, name)) return openPath(spec, spec, options);
  const split = detail ?? 'test';
  const files = await findKnown(name, split, options);
  return files.length === 1 ? openPath(files[0]!, `${name}:${split}`, options) : openCifar10(files, `${name}:${split}`);
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
  return withLabels(await openData(spec, options), path!, wanted);
}

type Open = (path: string, name: string, options: OpenOptions) => Promise<Dataset>;

/** By the end of the file name; for anything else see `openOther`. */
const formats: readonly (readonly [ending: RegExp, open: Open])[] = [
  [/\.parquet$/i, openParquet],
  [/\.npz$/i, openNpz],
  [/\.npy$/i, openNpy],
  [/\.mat$/i, openMat],
  [/\.wav$/i, (path, name) => openRecordings([path], name)],
  [/\.(txt|text|md)$/i, (path, name, { like }) => openText(path, name, like?.length === 1 ? like[0] : undefined)],
  [/^(data_batch_\d|test_batch)\.bin$/i, (path, name) => openCifar10([path], name)],
];

async function openPath(path: string, name: string, options: OpenOptions): Promise<Dataset> {
  const kind = await pathKind(path);
  if (kind === 'folder') return openFolder(path, name);
  if (kind === 'nothing') {
    throw new DataError(
      `${path}: no such file or folder, and no known data set; known are ${knownNames.join(', ')} (see --data-dir)`,
    );
  }
  const open = formats.find(([ending]) => ending.test(basename(path)))?.[1] ?? openOther;
  return open(path, name, options);
}

/** A file whose name tells nothing: text for those who want sequences, else taken for an idx file, which has no usual ending. */
async function openOther(path: string, name: string, { like }: OpenOptions): Promise<Dataset> {
  if (like?.length === 1) return openText(path, name, like[0]);
  try {
    return await openIdx(path, name);
  } catch (error) {
    // A file that cannot be read at all is not of another format.
    if (!(error instanceof DataError) || /idx|ubyte/i.test(basename(path)) || / cannot read: /.test(error.message))
      throw error;
    const known = '.parquet, .npz, .npy, .mat, .wav and .txt';
    throw new DataError(`${error.message}. By its name it was taken for an IDX file; other formats end in ${known}`);
  }
}
