// A folder of PNG, JPEG or WebP pictures, of WAV recordings, or of the parts of one set -> data set, in the natural
// order of the file names.

import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { openRecordings } from '../data/audio.ts';
import type { Dataset } from '../data/dataset.ts';
import { type DecodeImage, type ImageRun, imageDataset, PICTURES, UNREADABLE_PICTURES } from '../data/images.ts';
import { naturally } from '../data/natural.ts';
import { DataError } from '../errors.ts';
import { encodedFile, pathKind, readFileBytes, reasonOf } from './files.ts';
import { decodeImage } from './picture.ts';

const RECORDINGS = new Set(['.wav']);
const UNREADABLE_RECORDINGS = new Set(
  '.mp3 .flac .ogg .oga .opus .m4a .aac .wma .aif .aiff .aifc .au .snd .amr .caf .ape .wv .mka .sph .w64 .rf64'.split(
    ' ',
  ),
);
/** What a download that is not done, or was broken off, ends in. */
const UNFINISHED = new Set('.crdownload .part .partial .download .opdownload .aria2 .!ut .tmp'.split(' '));
/** Files loaded together when iterating. */
const RUN = 256;
/** How many of the files that are left out are named. */
const NAMED = 3;

/** What a folder holds besides pictures and recordings: files that are each a part of one set, in their order. */
export interface FolderOptions {
  readonly decode?: DecodeImage;
  /**
   * Opens files of another kind that are the parts of one set, if their names say that they are; left out: nothing
   * does.
   */
  readonly shards?: (files: readonly string[]) => Promise<Dataset | undefined>;
}

/**
 * Opens a folder of pictures under the input name 'x', in the natural order of their names (`2.png` before `10.png`),
 * which are their ids; or one of recordings, as spectrograms; or one of files that together are one set. Links to files
 * are followed. Files that are neither (lists, licences), and hidden ones, are left out; the set's notes say how many,
 * but for hidden files that are no pictures or recordings. Throws a DataError when there is none, both, one of a format
 * we do not read, or a sub-folder or a link to one: which of its pictures belong to the set is not ours to guess.
 */
export async function openFolder(path: string, name: string = path, options: FolderOptions = {}): Promise<Dataset> {
  const { files, folder } = await list(path);
  if (folder !== undefined) {
    throw new DataError(
      `${path}: holds the folder '${folder}', expected only files; give one folder of pictures or recordings, or a pattern such as '${join(path, '*', '*.png')}'`,
    );
  }
  const isVisible = (file: string) => !file.startsWith('.');
  const of = (endings: ReadonlySet<string>) => files.filter((file) => isVisible(file) && endings.has(ending(file)));
  const [pictures, recordings] = [of(PICTURES), of(RECORDINGS)];
  const [oddPicture, oddRecording] = [of(UNREADABLE_PICTURES)[0], of(UNREADABLE_RECORDINGS)[0]];
  if (oddPicture !== undefined) {
    throw new DataError(`${join(path, oddPicture)}: expected PNG, JPEG or WebP pictures; convert it, or take it out`);
  }
  if (oddRecording !== undefined) {
    throw new DataError(`${join(path, oddRecording)}: expected WAV recordings; convert it, or take it out`);
  }
  if (pictures.length > 0 && recordings.length > 0) {
    throw new DataError(
      `${path}: holds pictures (${pictures[0]}) and recordings (${recordings[0]}), expected one kind`,
    );
  }
  if (pictures.length === 0 && recordings.length === 0) {
    const shards = await options.shards?.(files.filter(isVisible).map((file) => join(path, file)));
    if (shards) return shards;
  }
  const data = new Set([...pictures, ...recordings]);
  const isOfInterest = (file: string) => isVisible(file) || PICTURES.has(ending(file)) || RECORDINGS.has(ending(file));
  const left = files.filter((file) => !data.has(file) && isOfInterest(file));
  const notes = notesOn(path, left);
  if (pictures.length === 0 && recordings.length === 0) {
    const found = left.length > 0 ? `, but ${left.slice(0, NAMED).join(', ')}${left.length > NAMED ? ', …' : ''}` : '';
    throw new DataError(`${path}: holds no ${[...PICTURES].join(', ')} or .wav file${found}`);
  }
  const paths = [...data].map((file) => join(path, file));
  return openLoose(paths, name, { ...options, where: path, notes }) as Promise<Dataset>;
}

/** Pictures, or recordings, each a file of its own, in this order; undefined where not all are one or the other. */
export async function openLoose(
  paths: readonly string[],
  name: string,
  {
    decode = decodeImage,
    where = name,
    notes = [],
  }: FolderOptions & { where?: string; notes?: readonly string[] } = {},
): Promise<Dataset | undefined> {
  const ids = paths.map((path) => basename(path));
  if (paths.every((path) => RECORDINGS.has(ending(path)))) {
    const files = paths.map((path) => () => encodedFile(path));
    return withIds(await openRecordings(files, name, notes), ids);
  }
  if (!paths.every((path) => PICTURES.has(ending(path)))) return undefined;
  return imageDataset(name, await hashOf(paths), runsOf(paths), { decode, where, notes });
}

const withIds = (data: Dataset, ids: readonly string[]): Dataset => ({
  ...data,
  ids: async (indices) => Array.from(indices, (i) => ids[i]!),
});

const ending = (file: string) => {
  const name = basename(file);
  return extname(name.startsWith('.') ? `x${name}` : name).toLowerCase();
};

/** The files, sorted; and one of the folders, if there is any. */
async function list(path: string): Promise<{ readonly files: readonly string[]; readonly folder: string | undefined }> {
  let entries: Dirent[];
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (error) {
    throw new DataError(`${path}: cannot read the folder: ${reasonOf(error, path)}`, { cause: error });
  }
  const [files, folders]: [string[], string[]] = [[], []];
  for (const entry of entries) {
    const isFolder = entry.isSymbolicLink()
      ? (await pathKind(join(path, entry.name))) === 'folder'
      : entry.isDirectory();
    if (!isFolder) files.push(entry.name);
    else if (!entry.name.startsWith('.')) folders.push(entry.name);
  }
  files.sort(naturally);
  return { files, folder: folders.sort()[0] };
}

/** What is left out; broken-off downloads apart and each by its name, as the data are then not complete. */
function notesOn(path: string, files: readonly string[]): readonly string[] {
  const unfinished = files.filter((file) => UNFINISHED.has(ending(file)));
  const others = files.filter((file) => !unfinished.includes(file));
  return [
    ...(others.length > 0 ? [leftOut(path, others)] : []),
    ...(unfinished.length > 0
      ? [`${path}: left out are what seem to be downloads that were not finished: ${unfinished.join(', ')}`]
      : []),
  ];
}

function leftOut(path: string, files: readonly string[]): string {
  const some = files.slice(0, NAMED).join(', ');
  const more = files.length > NAMED ? ', …' : '';
  const [count, are] = files.length === 1 ? ['1 file', 'is'] : [`${files.length} files`, 'are'];
  return `${path}: ${count} that ${are} no picture or recording of the set ${are} left out: ${some}${more}`;
}

async function hashOf(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const bytes = await readFileBytes(path);
    hash.update(`${basename(path)}\n${bytes.length}\n`);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

function runsOf(paths: readonly string[]): ImageRun[] {
  const runs: ImageRun[] = [];
  for (let i = 0; i < paths.length; i += RUN) {
    const files = paths.slice(i, i + RUN);
    runs.push({
      length: files.length,
      ids: async () => files.map((path) => basename(path)),
      async load() {
        const images = [];
        for (const where of files) images.push(await encodedFile(where));
        return images;
      },
    });
  }
  return runs;
}
