// IDX files (the format of MNIST), plain or gzipped: bytes -> unsigned-byte array -> data set of grey images.
//
// Layout, all big-endian: 00 00 TYPE RANK, then RANK sizes of 32 bits, then the data. TYPE 8 is unsigned byte.

import { gzipSync } from 'fflate';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { type Dataset, fingerprintOf, memoryDataset, sizeOf } from './dataset.ts';
import { decodingError } from './decoding.ts';
import { MAX_DEFLATE_RATIO } from './deflate.ts';
import { type ByteSource, readAll } from './source.ts';

/** The content of an IDX file of unsigned bytes. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What Node reads from a file at once; a larger declared size is a corrupt or hostile header. */
const MAX_BYTES = 2 ** 31;

/**
 * Reads an IDX file, gzipped or not (told by the content, not the name). `name` is for messages. Throws a DataError for
 * a wrong magic number or type, truncated or trailing data, a damaged gzip stream, or a declared size beyond all
 * reason.
 */
export function readIdx(bytes: Uint8Array, name: string): IdxArray {
  return isGzip(bytes) ? readGzipped(bytes, name) : readPlain(bytes, name);
}

/** An IDX file of grey images (rank 3: n×h×w) as a data set under the input name 'x', shape [1, h, w]. */
export async function openIdx(source: ByteSource, name: string = source.name): Promise<Dataset> {
  return idxDataset(readIdx(await readAll(source), source.name), name, source.name);
}

/**
 * The data set of an IDX array of grey images. The fingerprint is of the content, the same for plain and gzipped.
 * `where` (the file) is for messages.
 */
export function idxDataset(idx: IdxArray, name: string, where: string = name): Dataset {
  const [n, h, w] = idx.shape;
  if (n === undefined || h === undefined || w === undefined || idx.shape.length !== 3) {
    const hint = idx.shape.length === 1 ? ' (is this a label file?)' : '';
    throw new DataError(
      `${where}: has ${describe(idx.shape)} values, rank ${idx.shape.length}; expected images n×h×w${hint}`,
    );
  }
  if (sizeOf(idx.shape) === 0) throw new DataError(`${where}: holds no pixels: the header says ${describe(idx.shape)}`);
  const fingerprint = fingerprintOf('idx', describe(idx.shape), idx.data);
  return memoryDataset(name, n, fingerprint, { x: { data: idx.data, shape: [1, h, w], pixels: true } });
}

/** The bytes of an IDX file, gzipped if asked: the same bytes for the same input, with any version of Node. */
export function writeIdx(idx: IdxArray, options: { readonly gzip?: boolean } = {}): Uint8Array {
  const header = 4 + 4 * idx.shape.length;
  const out = new Uint8Array(header + idx.data.length);
  const view = new DataView(out.buffer);
  out[2] = 8;
  out[3] = idx.shape.length;
  idx.shape.forEach((d, i) => {
    view.setUint32(4 + 4 * i, d);
  });
  out.set(idx.data, header);
  // Not Node's zlib, whose output depends on its version and the processor.
  return options.gzip === true ? gzipSync(out, { level: 9, mtime: 0 }) : out;
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function readPlain(bytes: Uint8Array, name: string): IdxArray {
  const { shape, offset, size } = readHeader(bytes, name);
  const found = bytes.length - offset;
  if (found !== size) throw sizeMismatch(name, shape, found);
  return { shape, data: bytes.subarray(offset) };
}

function readGzipped(bytes: Uint8Array, name: string): IdxArray {
  // The header first, from a short prefix, so that nothing of the declared size is allocated before it is checked.
  let prefix: Uint8Array;
  try {
    prefix = host().inflate(bytes.subarray(0, 4096), { most: 4096 * MAX_DEFLATE_RATIO + 64, cut: true }).bytes;
  } catch (error) {
    throw decodingError(error, name, 'damaged gzip data');
  }
  const { shape, offset, size } = readHeader(prefix, name);
  if (size > bytes.length * MAX_DEFLATE_RATIO)
    throw tooLarge(name, shape, `a gzip file of ${bytes.length} bytes can hold`);
  let plain: Uint8Array;
  let read: number;
  try {
    // One byte more than expected, to notice trailing ones.
    ({ bytes: plain, read } = host().inflate(bytes, { most: offset + size + 1 }));
  } catch (error) {
    if (error instanceof RangeError)
      throw new DataError(`${name}: has more image data than the ${describe(shape)} = ${size} bytes the header says`, {
        cause: error,
      });
    throw decodingError(error, name, 'damaged gzip data');
  }
  if (plain.length - offset !== size) throw sizeMismatch(name, shape, plain.length - offset);
  if (read !== bytes.length) throw new DataError(`${name}: ${bytes.length - read} bytes follow the gzip data`);
  return { shape, data: plain.subarray(offset) };
}

function readHeader(bytes: Uint8Array, name: string): { shape: readonly number[]; offset: number; size: number } {
  if (bytes.length < 4) throw new DataError(`${name}: has ${bytes.length} bytes, an IDX file starts with 4`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (magic >>> 16 !== 0) {
    throw new DataError(`${name}: starts with 0x${hex(magic, 8)}, an IDX file of bytes starts with 0x000008`);
  }
  const type = (magic >>> 8) & 0xff;
  if (type !== 8) throw new DataError(`${name}: IDX type is 0x${hex(type, 2)}, expected 0x08 (unsigned byte)`);
  const rank = magic & 0xff;
  if (rank < 1 || rank > 4) throw new DataError(`${name}: IDX rank is ${rank}, expected 1 to 4`);
  const offset = 4 + 4 * rank;
  if (bytes.length < offset) {
    throw new DataError(`${name}: the header ends after ${bytes.length} bytes, rank ${rank} needs ${offset}`);
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = sizeOf(shape); // exact below 2^53; beyond, the comparison below holds all the same
  if (size > MAX_BYTES) throw tooLarge(name, shape, 'we accept');
  return { shape, offset, size };
}

function sizeMismatch(name: string, shape: readonly number[], found: number): DataError {
  return new DataError(`${name}: image data has ${found} bytes, header says ${describe(shape)} = ${sizeOf(shape)}`);
}

function tooLarge(name: string, shape: readonly number[], limit: string): DataError {
  return new DataError(`${name}: header says ${describe(shape)} = ${sizeOf(shape)} bytes, more than ${limit}`);
}

function describe(shape: readonly number[]): string {
  return shape.join('×');
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
