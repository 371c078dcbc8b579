// A folder of PNG, JPEG or WebP pictures, or of WAV recordings -> data set, in the order of the file names.

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import { openRecordings } from './audio.ts';
import type { Dataset } from './dataset.ts';
import { readFileBytes, reasonOf } from './files.ts';
import { type ImageGroup, imageDataset } from './images.ts';

const PICTURE = /\.(png|jpe?g|webp)$/i;
const RECORDING = /\.wav$/i;
/** Files that a user would take for a part of the data; leaving them out without a word would change the result. */
const UNREADABLE_PICTURE = /\.(gif|bmp|tiff?|avif|heic|heif|jxl|jp2|ppm|pgm|pnm|svg|exr|hdr|ico)$/i;
/** Files loaded together when iterating. */
const GROUP = 256;

/**
 * Opens a folder of pictures under the input name 'x', sorted by name (by code unit, so `10.png` is before `2.png`); or one of
 * recordings, as spectrograms. Hidden files and files that are neither (lists, licences) are ignored. Throws a DataError when there is
 * none, both, one of a format we do not read, or a sub-folder: which of its pictures belong to the set is not ours to guess.
 */
export async function openFolder(path: string, name: string = path): Promise<Dataset> {
  let entries: { readonly name: string; readonly folder: boolean }[];
  try {
    const found = await readdir(path, { withFileTypes: true });
    entries = found.map((entry) => ({ name: entry.name, folder: entry.isDirectory() }));
  } catch (error) {
    throw new DataError(`${path}: cannot read the folder: ${reasonOf(error, path)}`, { cause: error });
  }
  const visible = entries.filter((entry) => !entry.name.startsWith('.'));
  const folder = visible.find((entry) => entry.folder);
  const sorted = (kind: RegExp) =>
    visible
      .filter((entry) => !entry.folder && kind.test(entry.name))
      .map((entry) => entry.name)
      .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const [pictures, recordings] = [sorted(PICTURE), sorted(RECORDING)];
  if (folder !== undefined) {
    throw new DataError(
      `${path}: holds the folder '${folder.name}', expected only files; give one folder of pictures or recordings`,
    );
  }
  const other = visible.find((entry) => UNREADABLE_PICTURE.test(entry.name));
  if (other !== undefined) throw new DataError(`${join(path, other.name)}: expected PNG, JPEG or WebP pictures`);
  if (pictures.length > 0 && recordings.length > 0) {
    throw new DataError(
      `${path}: holds pictures (${pictures[0]}) and recordings (${recordings[0]}), expected one kind`,
    );
  }
  if (recordings.length > 0)
    return openRecordings(
      recordings.map((file) => join(path, file)),
      name,
    );
  if (pictures.length === 0) throw new DataError(`${path}: holds no .png, .jpg, .jpeg, .webp or .wav file`);

  const hash = createHash('sha256');
  for (const file of pictures) {
    const bytes = await readFileBytes(join(path, file));
    hash.update(`${file}\n${bytes.length}\n`);
    hash.update(bytes);
  }
  const groups: ImageGroup[] = [];
  for (let i = 0; i < pictures.length; i += GROUP) {
    const files = pictures.slice(i, i + GROUP).map((file) => join(path, file));
    groups.push({
      length: files.length,
      async load() {
        const images = [];
        for (const where of files) images.push({ where, bytes: await readFileBytes(where) });
        return images;
      },
    });
  }
  return imageDataset(name, hash.digest('hex'), groups, path);
}
