// A folder of PNG, JPEG or WebP pictures, or of WAV recordings -> data set, in the order of the file names.

import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { openRecordings } from '../data/audio.ts';
import type { Dataset } from '../data/dataset.ts';
import { type ImageGroup, imageDataset } from '../data/images.ts';
import { DataError } from '../errors.ts';
import { encodedFile, pathKind, readFileBytes, reasonOf } from './files.ts';
import { decodeImage } from './picture.ts';

/** Endings, in lower case. */
const PICTURES = new Set('.png .jpg .jpeg .jpe .jfif .webp'.split(' '));
const RECORDINGS = new Set(['.wav']);
/** Files that a user would take for a part of the data; leaving them out would change the result. */
const UNREADABLE_PICTURES = new Set(
  (
    '.apng .gif .bmp .dib .tif .tiff .avif .heic .heif .jxl .jp2 .j2k .jpx .jpf .jxr .ppm .pgm .pbm .pnm .pam .pfm .svg .svgz .exr .hdr .ico ' +
    '.cur .icns .tga .psd .psb .xcf .pcx .dds .qoi .ras .sgi .xbm .xpm .eps .dng .cr2 .cr3 .nef .arw .orf .raf .rw2 .dcm .mpo .fits'
  ).split(' '),
);
const UNREADABLE_RECORDINGS = new Set(
  '.mp3 .flac .ogg .oga .opus .m4a .aac .wma .aif .aiff .aifc .au .snd .amr .caf .ape .wv .mka .sph .w64 .rf64'.split(
    ' ',
  ),
);
/** Files loaded together when iterating. */
const GROUP = 256;
/** How many of the files that are left out are named. */
const NAMED = 3;

/**
 * Opens a folder of pictures under the input name 'x', sorted by name (by code unit, so `10.png` is before `2.png`); or one of
 * recordings, as spectrograms. Links to files are followed. Files that are neither (lists, licences), and hidden ones, are left out; the set's
 * notes say how many, but for hidden files that are no pictures or recordings. Throws a DataError when there is none, both, one of a format we do
 * not read, or a sub-folder or a link to one: which of its pictures belong to the set is not ours to guess.
 */
export async function openFolder(path: string, name: string = path, decode = decodeImage): Promise<Dataset> {
  const { files, folder } = await list(path);
  if (folder !== undefined) {
    throw new DataError(
      `${path}: holds the folder '${folder}', expected only files; give one folder of pictures or recordings`,
    );
  }
  const isVisible = (file: string) => !file.startsWith('.');
  const ending = (file: string) => extname(isVisible(file) ? file : `x${file}`).toLowerCase();
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
  const data = new Set([...pictures, ...recordings]);
  const isOfInterest = (file: string) => isVisible(file) || PICTURES.has(ending(file)) || RECORDINGS.has(ending(file));
  const left = files.filter((file) => !data.has(file) && isOfInterest(file));
  const notes = left.length > 0 ? [leftOut(path, left)] : [];
  if (recordings.length > 0) {
    return openRecordings(
      recordings.map((file) => () => encodedFile(join(path, file))),
      name,
      notes,
    );
  }
  if (pictures.length === 0) {
    const found = left.length > 0 ? `, but ${left.slice(0, NAMED).join(', ')}${left.length > NAMED ? ', …' : ''}` : '';
    throw new DataError(`${path}: holds no ${[...PICTURES].join(', ')} or .wav file${found}`);
  }
  return imageDataset(name, await hashOf(path, pictures), groupsOf(path, pictures), {
    decode,
    where: path,
    notes,
  });
}

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
  files.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return { files, folder: folders.sort()[0] };
}

function leftOut(path: string, files: readonly string[]): string {
  const some = files.slice(0, NAMED).join(', ');
  const more = files.length > NAMED ? ', …' : '';
  const [count, are] = files.length === 1 ? ['1 file', 'is'] : [`${files.length} files`, 'are'];
  return `${path}: ${count} that ${are} no picture or recording of the set ${are} left out: ${some}${more}`;
}

async function hashOf(path: string, pictures: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of pictures) {
    const bytes = await readFileBytes(join(path, file));
    hash.update(`${file}\n${bytes.length}\n`);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

function groupsOf(path: string, pictures: readonly string[]): ImageGroup[] {
  const groups: ImageGroup[] = [];
  for (let i = 0; i < pictures.length; i += GROUP) {
    const files = pictures.slice(i, i + GROUP).map((file) => join(path, file));
    groups.push({
      length: files.length,
      async load() {
        const images = [];
        for (const where of files) images.push(await encodedFile(where));
        return images;
      },
    });
  }
  return groups;
}
