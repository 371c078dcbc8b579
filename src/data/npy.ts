// NumPy's .npy and .npz: bytes -> typed arrays in C order, and back. Works in the browser too: no file access here.
//
// .npy: \x93NUMPY, version (major, minor), header length (2 bytes in version 1, 4 in 2 and 3), a Python dictionary with
// descr, fortran_order and shape, then the data. .npz: a zip file of them. (numpy.lib.format)

import { getFloat16 } from '@petamoriken/float16';
import { zipSync } from 'fflate';
import { DataError } from '../errors.ts';
import { readZip } from './zip.ts';

/**
 * The types of elements we write, and read others as. `bool` is kept as bytes 0 and 1, `string` as NumPy's fixed-width
 * `<U`.
 */
type NpyDtype = NpyArray['dtype'];

/** An array in C order; `shape` is [] for a single value. */
export type NpyArray =
  | { readonly dtype: 'float32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'float64'; readonly shape: readonly number[]; readonly data: Float64Array }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: 'int64'; readonly shape: readonly number[]; readonly data: BigInt64Array }
  | { readonly dtype: 'uint8'; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: 'bool'; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: 'string'; readonly shape: readonly number[]; readonly data: readonly string[] };

/** NumPy's type letters for each of our types; a string's width follows the `U`. */
const codes = {
  float32: 'f4',
  float64: 'f8',
  int32: 'i4',
  int64: 'i8',
  uint8: 'u1',
  bool: 'b1',
  string: 'U',
} as const satisfies Record<NpyDtype, string>;

/** Types that are read as one of ours that holds all their values. */
const narrower = {
  f2: { size: 2, as: 'float32', get: (view, at) => getFloat16(view, at, true) },
  i1: { size: 1, as: 'float32', get: (view, at) => view.getInt8(at) },
  i2: { size: 2, as: 'float32', get: (view, at) => view.getInt16(at, true) },
  u2: { size: 2, as: 'float32', get: (view, at) => view.getUint16(at, true) },
  u4: { size: 4, as: 'int64', get: (view, at) => BigInt(view.getUint32(at, true)) },
  u8: { size: 8, as: 'int64', get: (view, at) => view.getBigUint64(at, true) },
} as const satisfies Record<string, Narrower>;
interface Narrower {
  readonly size: number;
  readonly as: 'float32' | 'int64';
  get(view: DataView, at: number): number | bigint;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const; // \x93NUMPY
/** NumPy's own limit. */
const MAX_RANK = 64;

/**
 * Reads a .npy file (versions 1 to 3, C or Fortran order, either byte order). The result may share memory with `bytes`.
 * Throws a DataError for a wrong magic or header, a type we do not know, or data that is not as long as the header
 * says.
 */
export function readNpy(bytes: Uint8Array, name: string): NpyArray {
  const { descr, fortran, shape, offset } = readHeader(bytes, name);
  const { dtype, itemSize, bigEndian, from } = readDescr(descr, name);
  const count = shape.reduce((product, d) => product * d, 1);
  const body = bytes.subarray(offset);
  if (!Number.isSafeInteger(count) || body.length !== count * itemSize) {
    const size = `(${shape.join(', ')}) of ${descr} = ${count * itemSize}`;
    throw new DataError(`${name}: data has ${body.length} bytes, header says ${size}`);
  }
  const native = bigEndian ? swapped(body, dtype === 'string' ? 4 : itemSize) : body;
  const array = from ? widened(from, shape, native, name) : decodeElements(dtype, itemSize, shape, native, name);
  return fortran && shape.length > 1 ? toCOrder(array) : array;
}

/**
 * Reads an .npz file: the arrays by name, without the `.npy`; of `only`, where it is given, those that are there.
 * Throws a DataError as `readNpy` does, and for a damaged zip file (checksums are verified), an entry that is no array,
 * or two of one name.
 */
export function readNpz(bytes: Uint8Array, name: string, only?: readonly string[]): Record<string, NpyArray> {
  if (bytes.length < 22) throw new DataError(`${name}: has ${bytes.length} bytes, the smallest .npz file has 22`);
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b)
    throw new DataError(`${name}: is not an .npz file: expected it to start with PK`);
  const seen = new Set<string>();
  const entries = readZip(bytes, name, (entry, place) => {
    if (!entry.endsWith('.npy')) throw new DataError(`${place} is no .npy array`);
    if (seen.has(entry)) throw new DataError(`${place} is there twice`);
    seen.add(entry);
  });
  // Not by assignment: an array may be named __proto__.
  return Object.fromEntries(
    entries.flatMap(({ name: entry, bytes: content }): [string, NpyArray][] => {
      const key = entry.slice(0, -'.npy'.length);
      return only && !only.includes(key) ? [] : [[key, readNpy(content, `${name}: array '${key}'`)]];
    }),
  );
}

/** The bytes of a .npy file (version 1, or 3 when needed). Throws a DataError when data and shape disagree. */
export function writeNpy(array: NpyArray, name = 'array'): Uint8Array {
  const count = array.shape.reduce((product, d) => product * d, 1);
  if (array.data.length !== count) {
    throw new DataError(`${name}: has ${array.data.length} values, shape (${array.shape.join(', ')}) says ${count}`);
  }
  const body = array.dtype === 'string' ? encodeStrings(array.data) : asBytes(array.data);
  const width = array.dtype === 'string' ? String(body.length / 4 / Math.max(1, count)) : '';
  const descr = `${array.dtype === 'uint8' || array.dtype === 'bool' ? '|' : '<'}${codes[array.dtype]}${width}`;
  const shape = array.shape.length === 1 ? `(${array.shape[0]},)` : `(${array.shape.join(', ')})`;
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  // Padded with blanks so that the data starts at a multiple of 64, and ended by a newline, as NumPy does.
  const padded = `${dictionary.padEnd(Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 11)}\n`;
  const out = new Uint8Array(10 + padded.length + body.length);
  out.set(MAGIC);
  out[6] = 1;
  new DataView(out.buffer).setUint16(8, padded.length, true);
  out.set(new TextEncoder().encode(padded), 10);
  out.set(body, 10 + padded.length);
  return out;
}

/** The bytes of an .npz file, not compressed, with a fixed time stamp: the same arrays give the same bytes. */
export function writeNpz(arrays: Readonly<Record<string, NpyArray>>): Uint8Array {
  const files = Object.entries(arrays).map(
    ([key, array]) => [`${key}.npy`, writeNpy(array, `array '${key}'`)] as const,
  );
  // Zip times are local times without a zone; this is the first one there is.
  return zipSync(Object.fromEntries(files), { level: 0, mtime: new Date(1980, 0, 1) });
}

interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  readonly offset: number;
}

function readHeader(bytes: Uint8Array, name: string): Header {
  if (bytes.length < 10) throw new DataError(`${name}: has ${bytes.length} bytes, a .npy file starts with 10`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw new DataError(`${name}: does not start with \\x93NUMPY`);
  const major = bytes[6]!;
  if (major < 1 || major > 3) throw new DataError(`${name}: .npy version is ${major}, expected 1, 2 or 3`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) throw new DataError(`${name}: has ${bytes.length} bytes, a .npy file starts with ${start}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const offset = start + length;
  if (offset > bytes.length) {
    throw new DataError(`${name}: the header says it ends at byte ${offset}, the data has ${bytes.length}`);
  }
  const text = new TextDecoder().decode(bytes.subarray(start, offset));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)\b/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\dL,\s]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shape === undefined) {
    const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text;
    throw new DataError(`${name}: header is ${JSON.stringify(shown.trim())}, expected descr, fortran_order and shape`);
  }
  // Python 2 wrote long integers as 3L.
  const sizes = shape.split(',').map((d) => d.trim().replace(/L$/, ''));
  if (sizes.at(-1) === '') sizes.pop(); // (3,) and ()
  const dims = sizes.map((d) => (d === '' ? Number.NaN : Number(d)));
  if (dims.some((d) => !Number.isSafeInteger(d) || d < 0)) {
    throw new DataError(`${name}: shape is (${shape}), expected integers >= 0`);
  }
  if (dims.length > MAX_RANK) throw new DataError(`${name}: has ${dims.length} axes, expected at most ${MAX_RANK}`);
  return { descr, fortran: order === 'True', shape: dims, offset };
}

interface ElementType {
  readonly dtype: NpyDtype;
  readonly itemSize: number;
  readonly bigEndian: boolean;
  /** Where `dtype` is only what it is read as. */
  readonly from?: Narrower;
}

function readDescr(descr: string, name: string): ElementType {
  const match = /^([<>|=]?)([a-zA-Z])(\d*)$/.exec(descr);
  const code = match === null ? '' : match[2] === 'U' ? 'U' : `${match[2]}${match[3]}`;
  const from: Narrower | undefined = Object.hasOwn(narrower, code)
    ? narrower[code as keyof typeof narrower]
    : undefined;
  if (from) return { dtype: from.as, itemSize: from.size, bigEndian: match![1] === '>', from };
  if (match?.[2] === 'O') {
    throw new DataError(
      `${name}: holds Python objects ('${descr}'), such as lists of several lengths, expected numbers; save it as an array of numbers`,
    );
  }
  const dtype = (Object.keys(codes) as NpyDtype[]).find((key) => codes[key] === code);
  const width = Number(match?.[3]);
  if (match === null || dtype === undefined || !Number.isSafeInteger(width) || width < 1) {
    const known = [...Object.values(codes), ...Object.keys(narrower)].join(', ');
    throw new DataError(`${name}: element type is '${descr}', expected one of ${known} with a width`);
  }
  return { dtype, itemSize: dtype === 'string' ? 4 * width : width, bigEndian: match[1] === '>' };
}

/** A copy with the bytes of each element reversed. */
function swapped(bytes: Uint8Array, itemSize: number): Uint8Array {
  const out = new Uint8Array(bytes); // not `slice`, which does not copy a Node Buffer
  for (let i = 0; i < out.length; i += itemSize) out.subarray(i, i + itemSize).reverse();
  return out;
}

function decodeElements(
  dtype: NpyDtype,
  itemSize: number,
  shape: readonly number[],
  body: Uint8Array,
  name: string,
): NpyArray {
  if (dtype === 'uint8') return { dtype, shape, data: body };
  if (dtype === 'bool') {
    const wrong = body.findIndex((value) => value > 1);
    if (wrong >= 0) throw new DataError(`${name}: value ${wrong} is byte ${body[wrong]}, a bool is 0 or 1`);
    return { dtype, shape, data: body };
  }
  // Typed arrays need an aligned start; in a zip file that is luck.
  const unit = dtype === 'string' ? 4 : itemSize;
  const { buffer, byteOffset } = body.byteOffset % unit === 0 ? body : new Uint8Array(body);
  const n = body.length / unit;
  if (dtype === 'float32') return { dtype, shape, data: new Float32Array(buffer, byteOffset, n) };
  if (dtype === 'float64') return { dtype, shape, data: new Float64Array(buffer, byteOffset, n) };
  if (dtype === 'int32') return { dtype, shape, data: new Int32Array(buffer, byteOffset, n) };
  if (dtype === 'int64') return { dtype, shape, data: new BigInt64Array(buffer, byteOffset, n) };
  return { dtype, shape, data: decodeStrings(new Uint32Array(buffer, byteOffset, n), itemSize / 4, name) };
}

/** Elements of a narrower type, little-endian. */
function widened({ size, as, get }: Narrower, shape: readonly number[], body: Uint8Array, name: string): NpyArray {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const n = body.length / size;
  if (as === 'float32') {
    return { dtype: as, shape, data: Float32Array.from({ length: n }, (_, i) => Number(get(view, i * size))) };
  }
  const data = new BigInt64Array(n);
  for (let i = 0; i < n; i++) {
    const value = BigInt(get(view, i * size));
    if (value >= 2n ** 63n) throw new DataError(`${name}: value ${i} is ${value}, expected less than 2^63`);
    data[i] = value;
  }
  return { dtype: as, shape, data };
}

/** UTF-32 in fields of `width` code points, padded with zeros. */
function decodeStrings(points: Uint32Array, width: number, name: string): string[] {
  const out: string[] = [];
  for (let i = 0; i < points.length; i += width) {
    let end = i + width;
    while (end > i && points[end - 1] === 0) end--;
    let text = '';
    for (let k = i; k < end; k++) {
      if (points[k]! > 0x10ffff)
        throw new DataError(`${name}: string ${i / width} holds ${points[k]}, no Unicode code point`);
      text += String.fromCodePoint(points[k]!);
    }
    out.push(text);
  }
  return out;
}

function encodeStrings(texts: readonly string[]): Uint8Array {
  const points = texts.map((text) => Array.from(text, (character) => character.codePointAt(0)!));
  const width = points.reduce((longest, text) => Math.max(longest, text.length), 1);
  const out = new Uint32Array(texts.length * width);
  points.forEach((text, i) => {
    out.set(text, i * width);
  });
  return asBytes(out);
}

/** The bytes of a typed array. Typed arrays are little-endian on every machine that runs JavaScript engines today. */
function asBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The same array with its elements, which lie with the first axis fastest, moved to C order. */
function toCOrder(array: NpyArray): NpyArray {
  const { shape } = array;
  // strides[a]: how far apart neighbours along axis a lie in the source.
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, d) => product * d, 1));
  const count = array.data.length;
  const index = new Int32Array(shape.length);
  const order = new Float64Array(count); // C position -> source position; float64 holds every index exactly
  let source = 0;
  for (let i = 0; i < count; i++) {
    order[i] = source;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis]!;
      index[axis] = index[axis]! + 1;
      if (index[axis]! < shape[axis]!) break;
      source -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  if (array.dtype === 'string') return { ...array, data: Array.from(order, (from) => array.data[from]!) };
  if (array.dtype === 'int64') return { ...array, data: array.data.map((_, i) => array.data[order[i]!]!) };
  return { ...array, data: array.data.map((_, i) => array.data[order[i]!]!) } as NpyArray;
}
