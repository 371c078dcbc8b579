// Tar files of pictures, as WebDataset has its shards: where the pictures lie in them -> data set, decoded lazily in groups.
//
// Blocks of 512 bytes: a header with name, size (octal) and type, then the content, filled up. A long name stands before in an entry of its own:
// GNU's type L, or the record `path` of POSIX's type x. (POSIX.1-2017, pax, "ustar Interchange Format")

import { DataError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { fingerprintOf, hashOf } from './dataset.ts';
import { type DecodeImage, type ImageGroup, imageDataset, PICTURES, UNREADABLE_PICTURES } from './images.ts';
import type { ByteSource, EncodedFile } from './source.ts';

const BLOCK = 512;
/** Pictures that are loaded together. */
const GROUP = 256;
/** A name, or records of metadata, of more bytes is damage. */
const MAX_NAME = 2 ** 20;

interface Entry {
  readonly name: string;
  readonly at: number;
  readonly size: number;
}

/**
 * The pictures of tar files, in the order in which they lie there, one file after the other; an example's id is its name. Files of other
 * kinds, such as labels, are left out, and the set's notes say how many. Throws a DataError for damage, pictures of a format that is not
 * read, and where there are no pictures.
 */
export async function openTar(
  sources: readonly ByteSource[],
  decode: DecodeImage,
  name: string = sources[0]!.name,
): Promise<Dataset> {
  const groups: ImageGroup[] = [];
  const hashes: string[] = [];
  let left: string[] = [];
  for (const source of sources) {
    hashes.push(await hashOf(source));
    const entries = await entriesOf(source);
    const kindOf = (entry: Entry) => /\.[^./]*$/.exec(entry.name)?.[0].toLowerCase() ?? '';
    const odd = entries.find((entry) => UNREADABLE_PICTURES.has(kindOf(entry)));
    if (odd) throw new DataError(`${source.name}: ${odd.name}: expected PNG, JPEG or WebP pictures`);
    const isHidden = (entry: Entry) => /(^|\/)\.[^/]*$/.test(entry.name);
    const pictures = entries.filter((entry) => PICTURES.has(kindOf(entry)) && !isHidden(entry));
    left = [...left, ...entries.filter((entry) => !pictures.includes(entry)).map((entry) => entry.name)];
    for (let i = 0; i < pictures.length; i += GROUP) groups.push(groupOf(source, pictures.slice(i, i + GROUP)));
  }
  if (groups.length === 0) {
    throw new DataError(`${name}: holds no PNG, JPEG or WebP pictures${left.length > 0 ? `, but ${left[0]}` : ''}`);
  }
  const some = `${left.slice(0, 3).join(', ')}${left.length > 3 ? ', …' : ''}`;
  const notes =
    left.length > 0 ? [`${name}: files that are no pictures are left out, ${left.length} of them: ${some}`] : [];
  const fingerprint = fingerprintOf('tar', ...hashes);
  return imageDataset(name, fingerprint, groups, { decode, notes });
}

function groupOf(source: ByteSource, entries: readonly Entry[]): ImageGroup {
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

/** The regular files. */
async function entriesOf(source: ByteSource): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= source.size; ) {
    const header = await source.read(at, BLOCK);
    if (header.every((byte) => byte === 0)) return entries;
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
    if (type === 'L' || type === 'x') {
      if (size > MAX_NAME) throw damaged(`a name of ${size} bytes`);
      const text = new TextDecoder().decode(await source.read(start, size));
      longName = type === 'L' ? text.replace(/\0.*$/s, '') : (/(?:^|\n)\d+ path=([^\n]*)/.exec(text)?.[1] ?? longName);
    } else {
      if (type === '0' || type === '\0') {
        const prefix = textOf(header, 257, 5) === 'ustar' && header[262] === 0 ? textOf(header, 345, 155) : '';
        const own = `${prefix === '' ? '' : `${prefix}/`}${textOf(header, 0, 100)}`;
        entries.push({ name: longName ?? own, at: start, size });
      }
      longName = undefined;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (entries.length === 0 && source.size < 2 * BLOCK) {
    throw new DataError(`${source.name}: has ${source.size} bytes, the smallest tar file has ${2 * BLOCK}`);
  }
  return entries;
}

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
