// MATLAB's .mat files of version 5 (of MATLAB 5 to 7.2): the images in them -> data set.
//
// A header of 128 bytes, then elements: type and size, 32 bits each, and the data, padded to 8 bytes. A matrix is an element made of
// elements: flags with the class, sizes, name, values, the first axis fastest. A compressed element holds another one as zlib data.
// (MathWorks, MAT-File Format, "Level 5 MAT-File Format")

import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, sizeOf } from './dataset.ts';
import { decodingError } from './decoding.ts';
import { MAX_DEFLATE_RATIO } from './deflate.ts';
import { type ByteSource, readAll } from './source.ts';

/** Codes of element types. */
const [UINT8, INT32, UINT32, MATRIX, COMPRESSED] = [2, 5, 6, 14, 15] as const;
/** Class codes of matrices, by position: the first has code 1. */
const classes = 'cell struct object char sparse double single int8 uint8 int16 uint16 int32 uint32 int64 uint64'.split(
  ' ',
);
const MAX_BYTES = 2 ** 31 - 1;

/** A variable of a .mat file. `values` is there for bytes: the first axis fastest. */
interface Matrix {
  readonly name: string;
  readonly kind: string;
  readonly shape: readonly number[];
  readonly values?: Uint8Array;
}

/**
 * The images of a .mat file, as SVHN's `train_32x32.mat` has them: the one array of bytes [height, width, channels, n], with 1 or 3
 * channels, as 'x' of [channels, height, width]. Other variables, such as labels, are not read.
 *
 * Throws a DataError that names the file for no such array or two of them, another version of the format, and damage.
 */
export async function openMat(source: ByteSource, name: string = source.name): Promise<Dataset> {
  const path = source.name;
  const matrices = readMat(await readAll(source), path);
  const images = matrices.filter(({ kind, shape }) => kind === 'uint8' && shape.length === 4);
  const [first] = images;
  if (first?.values === undefined || images.length > 1) {
    const found = matrices.map((m) => `${m.name} (${m.kind} ${shapeText(m.shape)})`).join(', ') || 'nothing';
    throw new DataError(`${path}: holds ${found}; expected one array of bytes [height, width, channels, n]`);
  }
  const [height, width, channels, n] = first.shape as readonly [number, number, number, number];
  if ((channels !== 1 && channels !== 3) || height * width === 0) {
    throw new DataError(
      `${path}: ${first.name} has shape ${shapeText(first.shape)}, expected 1 or 3 channels of pixels`,
    );
  }
  const data = channelsFirst(first.values, height, width, channels * n);
  const shape = [channels, height, width];
  return memoryDataset(name, n, fingerprintOf('mat', shapeText(first.shape), data), {
    x: { data, shape, pixels: true },
  });
}

/** [height, width, planes] with the first axis fastest -> [planes, height, width] in C order. */
function channelsFirst(values: Uint8Array, height: number, width: number, planes: number): Uint8Array {
  const out = new Uint8Array(values.length);
  const size = height * width;
  for (let at = 0; at < planes * size; at += size) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++)
        out[at + row * width + column] = values[at + column * height + row]!;
    }
  }
  return out;
}

function readMat(bytes: Uint8Array, path: string): readonly Matrix[] {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 116));
  if (text.startsWith('MATLAB 7.3')) {
    throw new DataError(`${path}: is a MATLAB 7.3 file (HDF5), expected version 5; in MATLAB, save it with '-v7'`);
  }
  if (bytes.length < 128 || !text.startsWith('MATLAB 5.0') || bytes[126] !== 0x49 || bytes[127] !== 0x4d) {
    throw new DataError(`${path}: is no little-endian MATLAB 5 file: expected it to begin with 'MATLAB 5.0 MAT-file'`);
  }
  const matrices: Matrix[] = [];
  for (const element of elements(bytes.subarray(128), path)) {
    const [inner = element] = element.type === COMPRESSED ? [...elements(inflate(element.data, path), path)] : [];
    if (inner.type !== MATRIX)
      throw new DataError(`${path}: holds an element of type ${inner.type}, expected a matrix`);
    matrices.push(readMatrix(inner.data, path));
  }
  return matrices;
}

interface Element {
  readonly type: number;
  readonly data: Uint8Array;
}

function* elements(bytes: Uint8Array, path: string): Generator<Element> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw new DataError(`${path}: ends within the tag of an element`);
    const word = view.getUint32(at, true);
    // Up to four bytes of data may share the tag's second word; then the first one has their number as its upper half.
    const small = word >>> 16;
    const size = small || view.getUint32(at + 4, true);
    const type = small ? word & 0xffff : word;
    const start = at + (small ? 4 : 8);
    if (start + size > (small ? at + 8 : bytes.length)) {
      throw new DataError(`${path}: an element of type ${type} has ${size} bytes, ${bytes.length - start} are there`);
    }
    yield { type, data: bytes.subarray(start, start + size) };
    at = small ? at + 8 : start + (type === COMPRESSED ? size : Math.ceil(size / 8) * 8);
  }
}

function inflate(data: Uint8Array, path: string): Uint8Array {
  try {
    const limit = Math.min(MAX_BYTES, data.length * MAX_DEFLATE_RATIO + 64);
    return host().inflate(data, { most: limit }).bytes;
  } catch (error) {
    throw decodingError(error, path, 'damaged compressed data');
  }
}

function readMatrix(bytes: Uint8Array, path: string): Matrix {
  const [flags, sizes, label, values] = elements(bytes, path);
  if (flags?.type !== UINT32 || flags.data.length !== 8 || sizes?.type !== INT32 || label === undefined) {
    throw new DataError(`${path}: holds a matrix without flags, sizes and a name`);
  }
  const code = flags.data[0]!;
  const name = new TextDecoder('latin1').decode(label.data);
  const kind = classes[code - 1] ?? `class ${code}`;
  const dims = new DataView(sizes.data.buffer, sizes.data.byteOffset, sizes.data.byteLength);
  const shape = Array.from({ length: sizes.data.length >> 2 }, (_, axis) => dims.getInt32(4 * axis, true));
  if (kind !== 'uint8') return { name, kind, shape };
  if (values?.type !== UINT8 || shape.some((d) => d < 0) || sizeOf(shape) !== values.data.length) {
    const found = values ? `${values.data.length} bytes of type ${values.type}` : 'nothing';
    throw new DataError(`${path}: ${name} has shape ${shapeText(shape)}, its data are ${found}`);
  }
  return { name, kind, shape, values: values.data };
}
