// MATLAB's .mat files of version 5 (of MATLAB 5 to 7.2): one of the arrays in them -> data set.
//
// A header of 128 bytes, then elements: type and size, 32 bits each, and the data, padded to 8 bytes. A matrix is an
// element made of elements: flags with the class, sizes, name, values, the first axis fastest. A compressed element
// holds another one as zlib data. (MathWorks, MAT-File Format, "Level 5 MAT-File Format")

import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, sizeOf } from './dataset.ts';
import { decodingError } from './decoding.ts';
import { MAX_DEFLATE_RATIO } from './deflate.ts';
import { adviceFor, matlabAdvice, seemsToBe } from './kinds.ts';
import { type ByteSource, readAll } from './source.ts';
import { type Numbers, storedNumbers } from './table.ts';

/** Codes of element types. */
const [INT32, UINT32, MATRIX, COMPRESSED] = [5, 6, 14, 15] as const;
/** Those of numbers: MATLAB stores them as narrowly as their values allow, whatever the class. */
const numberTypes: Readonly<Record<number, { readonly size: number; make(buffer: ArrayBuffer): Numbers }>> = {
  1: { size: 1, make: (buffer) => new Int8Array(buffer) },
  2: { size: 1, make: (buffer) => new Uint8Array(buffer) },
  3: { size: 2, make: (buffer) => new Int16Array(buffer) },
  4: { size: 2, make: (buffer) => new Uint16Array(buffer) },
  5: { size: 4, make: (buffer) => new Int32Array(buffer) },
  6: { size: 4, make: (buffer) => new Uint32Array(buffer) },
  7: { size: 4, make: (buffer) => new Float32Array(buffer) },
  9: { size: 8, make: (buffer) => new Float64Array(buffer) },
  12: { size: 8, make: (buffer) => new BigInt64Array(buffer) },
  13: { size: 8, make: (buffer) => new BigUint64Array(buffer) },
};
const NUMBER_CLASSES = new Set('double single int8 uint8 int16 uint16 int32 uint32 int64 uint64'.split(' '));
/** Class codes of matrices, by position: the first has code 1. */
const classes = 'cell struct object char sparse double single int8 uint8 int16 uint16 int32 uint32 int64 uint64'.split(
  ' ',
);
const MAX_BYTES = 2 ** 31 - 1;

/** A variable of a .mat file. */
interface Matrix {
  readonly name: string;
  readonly kind: string;
  readonly isLogical: boolean;
  readonly shape: readonly number[];
  /** The first axis fastest. Throws a DataError for what is no array of numbers. */
  values(): Numbers;
}

/**
 * A variable of a .mat file as 'x': `column` says which. Left out: the one array of bytes [height, width, channels, n],
 * as SVHN's `train_32x32.mat` has it, or else the only matrix of numbers that has more than one row and column; labels
 * are not read.
 *
 * Of four axes, [height, width, channels, n] are images, as are [n, channels, height, width] and [n, height, width,
 * channels] where no other axis can be that of 1 or 3 channels; of three, [height, width, n] or [n, height, width], by
 * the two that are equal; a matrix [n, d] has its examples in rows. Bytes are pixels; everything else is taken as NPY
 * files are.
 *
 * Throws a DataError that names the file where that is not to be told, for another version of the format, and damage.
 */
export async function openMat(source: ByteSource, name: string = source.name, column?: string): Promise<Dataset> {
  const path = source.name;
  const matrices = readMat(await readAll(source), path);
  const found = matrices.map((m) => `${m.name} (${m.isLogical ? 'logical' : m.kind} ${shapeText(m.shape)})`).join(', ');
  const matrix = choose(matrices, column);
  if (!matrix) {
    const what =
      column === undefined ? `holds ${found || 'nothing'}` : `has no variable '${column}'; it holds ${found}`;
    throw new DataError(
      `${path}: ${what}; expected one array of bytes [height, width, channels, n], or say which, such as ${path}:${matrices[0]?.name ?? 'x'}`,
    );
  }
  const where = `${path}: ${matrix.name}`;
  const { n, shape, order } = layoutOf(matrix.shape, where);
  const values = matrix.values();
  const numbers = matrix.isLogical ? Float32Array.from(values as Uint8Array) : widened(values, matrix.kind);
  const moved = reordered(numbers, matrix.shape, order);
  const x = storedNumbers(moved, shape, where);
  const bytes = new Uint8Array(x.data.buffer, x.data.byteOffset, x.data.byteLength);
  return memoryDataset(name, n, fingerprintOf('mat', shapeText(matrix.shape), bytes), { x });
}

function choose(matrices: readonly Matrix[], column: string | undefined): Matrix | undefined {
  if (column !== undefined) return matrices.find((matrix) => matrix.name === column);
  const numbers = matrices.filter(({ kind }) => NUMBER_CLASSES.has(kind));
  const candidates = [
    numbers.filter(({ kind, shape }) => kind === 'uint8' && shape.length === 4),
    numbers.filter(({ shape }) => shape.length > 2 || shape.every((d) => d > 1)),
  ].find((list) => list.length > 0);
  return candidates?.length === 1 ? candidates[0] : undefined;
}

/** Narrowly stored numbers as their class says: a double that was stored in bytes is no pixel. */
function widened(values: Numbers, kind: string): Numbers {
  if (kind === 'uint8' || !(values instanceof Uint8Array)) return values;
  return Int16Array.from(values);
}

interface Layout {
  readonly n: number;
  /** Of one example. */
  readonly shape: readonly number[];
  /** Axes of the matrix in the order [n, ...shape]. */
  readonly order: readonly number[];
}

function layoutOf(shape: readonly number[], where: string): Layout {
  const as = (...order: number[]): Layout => {
    const [n, ...example] = order.map((axis) => shape[axis]!);
    return { n: n!, shape: example, order };
  };
  const isCount = (axis: number) => shape[axis] === 1 || shape[axis] === 3;
  if (shape.length === 2) return as(0, 1);
  if (shape.length === 3) {
    const [a, b, c] = shape as [number, number, number];
    if ((a === b) === (b === c)) {
      throw new DataError(
        `${where} is ${shapeText(shape)}: whether its examples are along the first or the last axis cannot be told; save it as NPY`,
      );
    }
    const last = a === b ? as(2, 0, 1) : as(0, 1, 2);
    return { ...last, shape: [1, ...last.shape] };
  }
  if (shape.length === 4) {
    if (isCount(2)) return as(3, 2, 0, 1);
    if (isCount(1)) return as(0, 1, 2, 3);
    if (isCount(3)) return as(0, 3, 1, 2);
    throw new DataError(`${where} has shape ${shapeText(shape)}, expected 1 or 3 channels of pixels`);
  }
  throw new DataError(`${where} has shape ${shapeText(shape)}, expected 2 to 4 axes`);
}

/** Values with the first axis fastest in C order of other axes. */
function reordered(values: Numbers, shape: readonly number[], order: readonly number[]): Numbers {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  const sizes = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const out = new (values.constructor as Float32ArrayConstructor)(values.length);
  const from = values as Float32Array;
  const index = new Int32Array(sizes.length);
  let source = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = from[source]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      index[axis] = index[axis]! + 1;
      if (index[axis]! < sizes[axis]!) break;
      source -= steps[axis]! * sizes[axis]!;
      index[axis] = 0;
    }
  }
  return out as Numbers;
}

/**
 * Those begin with a number of up to four digits, MOPT: machine, 0, precision, kind of matrix; then a count of rows, of
 * columns and 0 or 1.
 */
function isVersion4(bytes: Uint8Array): boolean {
  if (bytes.length < 20) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [true, false].some((little) => {
    const [type, rows, columns, imaginary, letters] = [0, 4, 8, 12, 16].map((at) => view.getUint32(at, little)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const isNamed = letters > 1 && letters < 256 && bytes[20 + letters - 1] === 0;
    return type < 5000 && Math.floor(type / 100) % 10 === 0 && rows > 0 && columns > 0 && imaginary <= 1 && isNamed;
  });
}

function readMat(bytes: Uint8Array, path: string): readonly Matrix[] {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 116));
  if (text.startsWith('MATLAB 7.3')) {
    throw new DataError(
      `${path}: is a MATLAB 7.3 file (HDF5), expected version 5; ${adviceFor(matlabAdvice.v73, path)}`,
    );
  }
  const isHdf5 = seemsToBe(bytes)?.ending === '.h5';
  if (isHdf5) throw new DataError(`${path}: is an HDF5 file, expected version 5; ${adviceFor(matlabAdvice.v73, path)}`);
  if (isVersion4(bytes)) {
    throw new DataError(`${path}: is a MATLAB 4 file, expected version 5; ${adviceFor(matlabAdvice.v4, path)}`);
  }
  if (text.startsWith('MATLAB 5.0') && bytes[126] === 0x4d && bytes[127] === 0x49) {
    throw new DataError(
      `${path}: has its numbers the other way round (big-endian); ${adviceFor(matlabAdvice.v4, path)}`,
    );
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
  const isLogical = (flags.data[1]! & 2) !== 0;
  const isComplex = (flags.data[1]! & 8) !== 0;
  return {
    name,
    kind,
    isLogical,
    shape,
    values() {
      if (!NUMBER_CLASSES.has(kind) || isComplex) {
        throw new DataError(`${path}: ${name} is ${isComplex ? 'complex' : `a ${kind} array`}, expected numbers`);
      }
      const type = values && numberTypes[values.type];
      if (!values || !type || shape.some((d) => d < 0) || sizeOf(shape) * type.size !== values.data.length) {
        const found = values ? `${values.data.length} bytes of type ${values.type}` : 'nothing';
        throw new DataError(`${path}: ${name} has shape ${shapeText(shape)}, its data are ${found}`);
      }
      if (values.data.length === 0)
        throw new DataError(`${path}: ${name} holds nothing: its shape is ${shapeText(shape)}`);
      return type.make(values.data.slice().buffer);
    },
  };
}
