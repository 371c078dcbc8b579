// The entries of a zip file, every byte of it accounted for. The library that unpacks them believes the directory at
// the end, so a damaged directory would lose an entry without a word.
//
// Local headers, each with its data, follow one another; then the directory, one record for each of them; then the end
// record, which says where the directory is and how many entries it has. (PKWARE, APPNOTE.TXT)

import { inflateSync } from 'fflate';
import { DataError } from '../errors.ts';
import { crc32 } from './crc32.ts';
import { decodingError } from './decoding.ts';
import { MAX_DEFLATE_RATIO } from './deflate.ts';

/** A file in the archive, unpacked, its checksum verified. */
export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const [LOCAL, DIRECTORY, END, END64, LOCATOR64] = [0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50] as const;
/** Bits of an entry's flags: sizes and checksum follow the data once more; the name is UTF-8. */
const [DESCRIPTOR, UTF8] = [8, 2048] as const;
const [STORED, DEFLATED] = [0, 8] as const;
/** Sizes of what may follow an entry's data: checksum and two sizes, of 32 or 64 bits, with or without a signature. */
const descriptorSizes: readonly number[] = [12, 16, 20, 24];
/** Says that the value is in a longer field elsewhere. */
const ELSEWHERE = 0xffffffff;

/** What the directory says of an entry. */
interface Record {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly checksum: number;
  readonly unpacked: number;
  /** Of the local header; then of the data and of their end. */
  readonly offset: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The entries in the order of the directory. `check` is called for each before it is unpacked, with a name for
 * messages. Throws a DataError that names the file for damage anywhere: counts and sizes that disagree, bytes that
 * belong to no entry, wrong checksums.
 */
export function readZip(bytes: Uint8Array, name: string, check: (entry: string, place: string) => void): ZipEntry[] {
  const records = readDirectory(bytes, name);
  const place = (record: Record) => `${name}: entry '${shortened(record.name)}'`;
  for (const record of records) check(record.name, place(record));
  return records.map((record) => ({ name: record.name, bytes: unpack(bytes, record, place(record)) }));
}

/** A damaged length makes a name anything up to 64 kB of the file. */
function shortened(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}…` : name;
}

function unpack(bytes: Uint8Array, { start, end, method, unpacked, checksum }: Record, place: string): Uint8Array {
  const packed = bytes.subarray(start, end);
  if (method !== STORED && method !== DEFLATED) {
    throw new DataError(`${place} is compressed by method ${method}, expected none or deflate`);
  }
  let out: Uint8Array;
  try {
    out = method === STORED ? new Uint8Array(packed) : inflateSync(packed, { out: new Uint8Array(unpacked) });
  } catch (error) {
    throw decodingError(error, place, 'is damaged');
  }
  if (out.length !== unpacked) throw new DataError(`${place} has ${out.length} bytes, expected ${unpacked}`);
  if (crc32(out) !== checksum) throw new DataError(`${place} is damaged: its checksum does not match`);
  return out;
}

function readDirectory(bytes: Uint8Array, name: string): Record[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const damaged = (what: string) => new DataError(`${name}: damaged zip file: ${what}`);
  const long = (at: number) => Number(view.getBigUint64(at, true));

  const end = findEnd(view);
  if (end === undefined) throw damaged('it has no end record');
  const disks = [view.getUint16(end + 4, true), view.getUint16(end + 6, true)];
  let [here, count] = [view.getUint16(end + 8, true), view.getUint16(end + 10, true)];
  let [size, start] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  let stop = end; // where the directory must end
  if (end >= 20 && view.getUint32(end - 20, true) === LOCATOR64) {
    stop = long(end - 12);
    if (stop + 56 > end - 20 || view.getUint32(stop, true) !== END64) throw damaged('it has no second end record');
    [here, count] = [long(stop + 24), long(stop + 32)];
    [size, start] = [long(stop + 40), long(stop + 48)];
  }
  if (disks[0] !== 0 || disks[1] !== 0 || here !== count) throw damaged('it says that it is one part of several');
  if (start + size !== stop) {
    throw damaged(`its directory is at bytes ${start} to ${start + size}, expected to end at ${stop}`);
  }

  const records: Record[] = [];
  let at = start;
  while (at < stop) {
    if (at + 46 > stop || view.getUint32(at, true) !== DIRECTORY) throw damaged(`byte ${at} begins no entry`);
    const [nameSize, extraSize] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true)];
    const next = at + 46 + nameSize + extraSize + view.getUint16(at + 32, true);
    if (next > stop) throw damaged(`the entry at byte ${at} ends at ${next}, the directory at ${stop}`);
    const flags = view.getUint16(at + 8, true);
    const title = bytes.subarray(at + 46, at + 46 + nameSize);
    const text = new TextDecoder(flags & UTF8 ? 'utf-8' : 'latin1').decode(title);
    const fields = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
    const [unpacked, packed, offset] = withLong(fields, bytes.subarray(at + 46 + nameSize, next)) as [
      number,
      number,
      number,
    ];
    const where = `entry '${shortened(text)}'`;
    if (offset + 30 > start || view.getUint32(offset, true) !== LOCAL)
      throw damaged(`${where} is not at byte ${offset}`);
    const [ownName, ownExtra] = [view.getUint16(offset + 26, true), view.getUint16(offset + 28, true)];
    const data = offset + 30 + ownName + ownExtra;
    const again = bytes.subarray(offset + 30, offset + 30 + ownName);
    if (again.length !== title.length || again.some((byte, i) => byte !== title[i])) {
      throw damaged(`${where} has another name where it lies, at byte ${offset}`);
    }
    if (data + packed > start || unpacked > packed * MAX_DEFLATE_RATIO + 64) {
      const sizes = `${packed} bytes packed, ${unpacked} unpacked`;
      throw new DataError(`${name}: ${where} has impossible sizes: ${sizes}, in a file of ${bytes.length}`);
    }
    records.push({
      name: text,
      flags,
      method: view.getUint16(at + 10, true),
      checksum: view.getUint32(at + 16, true),
      unpacked,
      offset,
      start: data,
      end: data + packed,
    });
    at = next;
  }
  if (records.length !== count) throw damaged(`it says ${count} entries, its directory has ${records.length}`);

  let covered = 0;
  for (const { offset, end: stop, flags } of records.toSorted((a, b) => a.offset - b.offset)) {
    if (offset !== covered) throw damaged(`bytes ${covered} to ${offset} belong to no entry, or to two`);
    const begins = (at: number) => at === start || (at + 4 <= start && view.getUint32(at, true) === LOCAL);
    covered = stop + ((flags & DESCRIPTOR && descriptorSizes.find((size) => begins(stop + size))) || 0);
  }
  if (covered !== start) throw damaged(`bytes ${covered} to ${start} belong to no entry`);
  return records;
}

/** The last end record whose comment ends with the file; a comment has at most 65,535 bytes. */
function findEnd(view: DataView): number | undefined {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 0xffff); at--) {
    if (view.getUint32(at, true) === END && at + 22 + view.getUint16(at + 20, true) === view.byteLength) return at;
  }
  return undefined;
}

/** Fields that are too long for 32 bits are in the extra field of type 1, in this order. */
function withLong(fields: readonly number[], extra: Uint8Array): readonly number[] {
  if (!fields.includes(ELSEWHERE)) return fields;
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    return fields.map((value) => {
      if (value !== ELSEWHERE || next + 8 > extra.length) return value;
      next += 8;
      return Number(view.getBigUint64(next - 8, true));
    });
  }
  return fields;
}
