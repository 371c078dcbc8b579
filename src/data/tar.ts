// Tar files of pictures, as WebDataset has its shards: where the pictures lie in them -> data set, decoded lazily in
// runs.
//
// Blocks of 512 bytes: a header with name, size (octal) and type, then the content, filled up. A long name stands
// before in an entry of its own: GNU's type L, or the record `path` of POSIX's type x. (POSIX.1-2017, pax, "ustar
// Interchange Format")

import { DataError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { fingerprintOf, hashOf } from './dataset.ts';
import { type DecodeImage, type ImageRun, imageDataset, PICTURES, UNREADABLE_PICTURES } from './images.ts';
import { seemsToBe } from './kinds.ts';
import type { ByteSource, EncodedFile } from './source.ts';

const BLOCK = 512;
/** Pictures that are loaded together. */
const RUN = 256;
/** A name, or records of metadata, of more bytes is damage. */
const MAX_NAME = 2 ** 20;

interface Entry {
  readonly name: string;
  readonly at: number;
  readonly size: number;
}

interface Directory {
  readonly entries: readonly Entry[];
  /** Whether it ends as tar files do, with a block of zeros; otherwise it may have been cut short. */
  readonly ended: boolean;
}

/**
 * The pictures of tar files, in the order in which they lie there, one file after the other; an example's id is its
 * name. Files of other kinds, such as labels, are left out, and the set's notes say how many. Throws a DataError for
 * damage, pictures of a format that is not read, and where there are no pictures.
 */
export async function openTar(
  sources: readonly ByteSource[],
  decode: DecodeImage,
  name: string = sources[0]!.name,
): Promise<Dataset> {
  const runs: ImageRun[] = [];
  const hashes: string[] = [];
  let left: string[] = [];
  const cut: string[] = [];
  for (const source of sources) {
    hashes.push(await hashOf(source));
    const { entries, ended } = await directoryOf(source);
    if (!ended) cut.push(`${source.name}: has no mark at its end, as tar files have; it may have been cut short`);
    const odd = entries.find((entry) => UNREADABLE_PICTURES.has(kindOf(entry.name)));
    if (odd) throw new DataError(`${source.name}: ${odd.name}: expected PNG, JPEG or WebP pictures`);
    const isHidden = (entry: Entry) => /(^|\/)\.[^/]*$/.test(entry.name);
    const pictures = entries.filter((entry) => PICTURES.has(kindOf(entry.name)) && !isHidden(entry));
    left = [...left, ...entries.filter((entry) => !pictures.includes(entry)).map((entry) => entry.name)];
    for (let i = 0; i < pictures.length; i += RUN) runs.push(runOf(source, pictures.slice(i, i + RUN)));
  }
  if (runs.length === 0) {
    throw new DataError(`${name}: holds no PNG, JPEG or WebP pictures${left.length > 0 ? `, but ${left[0]}` : ''}`);
  }
  const some = `${left.slice(0, 3).join(', ')}${left.length > 3 ? ', …' : ''}`;
  const others =
    left.length > 0 ? [`${name}: files that are no pictures are left out, ${left.length} of them: ${some}`] : [];
  const notes = [...cut, ...others];
  const fingerprint = fingerprintOf('tar', ...hashes);
  return imageDataset(name, fingerprint, runs, { decode, notes });
}

function runOf(source: ByteSource, entries: readonly Entry[]): ImageRun {
  return {
    length: entries.length,
    ids: async () => entries.map((entry) => entry.name),
    async load() {
      const files: EncodedFile[] = [];
      for (const { name, at, size } of entries) {
        const bytes = await source.read(at, size);
        if (bytes.length !== size) throw new DataError(`${source.name}: ends within ${name}; has the file changed?`);
        files.push({ bytes, where: `${source.name}: ${name}` });
      }
      return files;
    },
  };
}

/** The regular files, links to them included. */
async function directoryOf(source: ByteSource): Promise<Directory> {
  const entries: Entry[] = [];
  let longName: string | undefined;
  let longLink: string | undefined;
  const other = seemsToBe(await source.read(0, Math.min(16, source.size)));
  if (other) throw new DataError(`${source.name}: is no tar file, but seems to be ${other.what}`);
  for (let at = 0; at + BLOCK <= source.size; ) {
    const header = await source.read(at, BLOCK);
    if (header.every((byte) => byte === 0)) return { entries, ended: true };
    const damaged = (what: string) =>
      new DataError(`${source.name}: is no tar file, or damaged: ${what} at byte ${at}`);
    const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    if (sum !== octal(header, 148, 8)) throw damaged('a header with another checksum');
    const size = octal(header, 124, 12);
    const start = at + BLOCK;
    if (size === undefined || start + size > source.size) {
      throw damaged(`an entry of ${size} bytes, where ${source.size - start} are left,`);
    }
    const type = String.fromCharCode(header[156]!);
    if (type === 'L' || type === 'K' || type === 'x') {
      if (size > MAX_NAME) throw damaged(`a name of ${size} bytes`);
      const text = new TextDecoder().decode(await source.read(start, size));
      const plain = text.replace(/\0.*$/s, '');
      if (type === 'L') longName = plain;
      else if (type === 'K') longLink = plain;
      else {
        longName = /(?:^|\n)\d+ path=([^\n]*)/.exec(text)?.[1] ?? longName;
        longLink = /(?:^|\n)\d+ linkpath=([^\n]*)/.exec(text)?.[1] ?? longLink;
        const [, thin] = /(?:^|\n)\d+ GNU\.sparse\.name=([^\n]*)/.exec(text) ?? [];
        if (thin !== undefined && PICTURES.has(kindOf(thin))) throw sparse(source, thin);
      }
    } else {
      const prefix = textOf(header, 257, 5) === 'ustar' && header[262] === 0 ? textOf(header, 345, 155) : '';
      const own = `${prefix === '' ? '' : `${prefix}/`}${textOf(header, 0, 100)}`;
      const name = longName ?? own;
      if (type === '0' || type === '\0' || type === '7') entries.push({ name, at: start, size });
      else if (type === '1' || type === '2') {
        const linked = linkedBy(entries, name, longLink ?? textOf(header, 157, 100), type === '1');
        if (linked) entries.push({ ...linked, name });
        else if (PICTURES.has(kindOf(name))) {
          throw new DataError(
            `${source.name}: ${name}: is a link to what is not before it in the file, expected a picture`,
          );
        }
      } else if (type === 'S' && PICTURES.has(kindOf(name))) throw sparse(source, name);
      longName = undefined;
      longLink = undefined;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (entries.length === 0 && source.size < 2 * BLOCK) {
    throw new DataError(`${source.name}: has ${source.size} bytes, the smallest tar file has ${2 * BLOCK}`);
  }
  return { entries, ended: false };
}

const kindOf = (name: string) => /\.[^./]*$/.exec(name)?.[0].toLowerCase() ?? '';

/**
 * The last file before a link that has the name it gives: a hard link gives it from the root, a symbolic one from its
 * own folder.
 */
function linkedBy(entries: readonly Entry[], name: string, link: string, isHard: boolean): Entry | undefined {
  const parts = isHard ? [] : name.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  const wanted = parts.join('/').replace(/^\.\//, '');
  return entries.findLast((entry) => entry.name === link || entry.name.replace(/^\.\//, '') === wanted);
}

const sparse = (source: ByteSource, name: string) =>
  new DataError(`${source.name}: ${name}: is stored as a sparse file, which is not read; pack it as a plain one`);

function textOf(header: Uint8Array, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** A number in octal digits, or, from 8 GiB on, in binary behind a first bit of 1. */
function octal(header: Uint8Array, from: number, length: number): number | undefined {
  if (header[from]! & 128) {
    const value = header.subarray(from + 1, from + length).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const [, digits] = /^\s*([0-7]+)\s*$/.exec(textOf(header, from, length)) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}
