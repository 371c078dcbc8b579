// What every data set looks like to the rest of the program: examples in batches or by index. Readers turn files into a
// `Source`; `makeDataset` adds the checks and the batching, so that all of them behave alike.

import { checkArguments, objectWith, type Rules, recordOf, sizes, text, wholeFrom } from '../arguments.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { type Origin, wholeOf } from './origin.ts';
import type { Preparation } from './prepare.ts';
import type { ByteSource } from './source.ts';

/** The values of one model input for n examples. `shape` is [n, ...shape of one example]; `data` is in C order. */
export interface DataArray {
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  readonly shape: readonly number[];
}

/** One run of consecutive examples. arrays: one per model input name; images under 'x', leading axis n. */
export interface Batch {
  /** Index of the first example; 0 for examples picked by `gather`, which knows its own indices. */
  readonly start: number;
  readonly n: number;
  readonly arrays: Readonly<Record<string, DataArray>>;
}

/** Part of a data set: examples start..end-1. Left out: from the first, to the last. */
export interface Range {
  readonly start?: number;
  readonly end?: number;
}

/**
 * A finite sequence of examples. Images are Float32Array of raw pixel values 0..255, channels first ([c, h, w]) under
 * the name 'x'; models dequantise and scale themselves. A data set is never empty.
 */
export interface Dataset {
  /** For messages and reports. */
  readonly name: string;
  readonly length: number;
  /** The shape of one example for each model input, such as { x: [1, 28, 28] }. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /**
   * Identifies the content: SHA-256 (hex) of files' bytes, or of whatever the examples are computed from; then what
   * every transform has done to them, with its parameters. Only whole fingerprints compare: the beginning is the same
   * for all slices of a file.
   */
  readonly fingerprint: string;
  /** Which examples of which source these are, whatever was done to them since. */
  readonly origin: Origin;
  /** Whether 'x' holds pixels, values 0..255 as 8-bit pictures have them; other numbers may mean anything. */
  readonly pixels: boolean;
  /**
   * Whether `asPixels` holds 'x' to 0..255 already; it then judges nothing twice. Slices and what is made of the images
   * keep it.
   */
  readonly judged?: boolean;
  /** What `prepare` has done to the images; slices and selections keep it. Left out: nothing, or not known. */
  readonly prepared?: Preparation;
  /** What examples are called, such as the names of their files, by index; left out where they have no names. */
  readonly ids?: (indices: ArrayLike<number>) => Promise<readonly string[]>;
  /**
   * What users should know of the examples that were read so far, a sentence each: files that are left out, pictures
   * that others would show otherwise. Grows while the set is read.
   */
  readonly notes: () => readonly string[];
  /**
   * The examples of `range` in order, in batches of `size` (the last may be smaller). A batch's arrays are the caller's
   * to keep or change. Throws a DataError for a size or range that does not fit, and for corrupt data where it is met.
   */
  batches(size: number, range?: Range): AsyncIterable<Batch>;
  /** Examples by index, in the order asked (indices may repeat). Throws a DataError for an index outside the set. */
  gather(indices: ArrayLike<number>): Promise<Batch>;
}

/** What a reader provides; indices are already checked. Arrays returned must be fresh. */
export interface Source {
  readonly name: string;
  readonly length: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly fingerprint: string;
  /** Left out: it is a source of its own. */
  readonly origin?: Origin;
  /** See `Dataset`; false where it is left out. */
  readonly pixels?: boolean;
  readonly judged?: boolean | undefined;
  readonly prepared?: Preparation | undefined;
  /** See `Dataset`. */
  readonly ids?: ((indices: ArrayLike<number>) => Promise<readonly string[]>) | undefined;
  readonly notes?: () => readonly string[];
  /** Examples start..end-1, with 0 <= start < end <= length. */
  read(start: number, end: number): Promise<Readonly<Record<string, DataArray>>>;
  /** Examples by index, each 0 <= index < length. */
  pick(indices: ArrayLike<number>): Promise<Readonly<Record<string, DataArray>>>;
}

/** A Dataset over a Source. Throws a DataError when the source has no examples. */
export function makeDataset(source: Source): Dataset {
  const { name, length, shapes, fingerprint, pixels = false, judged, prepared, ids, notes = () => [] } = source;
  const origin = source.origin ?? wholeOf(fingerprint, length);
  if (length === 0) throw new DataError(`${name}: holds no examples`);

  async function* batches(size: number, range: Range = {}): AsyncIterable<Batch> {
    if (!Number.isInteger(size) || size < 1)
      throw new DataError(`${name}: batch size is ${size}, expected an integer >= 1`);
    const { start, end } = checkRange(name, length, range);
    for (let first = start; first < end; first += size) {
      const last = Math.min(first + size, end);
      yield { start: first, n: last - first, arrays: await source.read(first, last) };
    }
  }

  async function gather(indices: ArrayLike<number>): Promise<Batch> {
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i]!;
      if (!Number.isInteger(index) || index < 0 || index >= length) {
        throw new DataError(`${name}: example ${index} asked for, the data set has examples 0..${length - 1}`);
      }
    }
    return { start: 0, n: indices.length, arrays: await source.pick(indices) };
  }

  const known = {
    ...defined({ prepared, judged, ids }),
  };
  return { name, length, shapes, fingerprint, origin, pixels, ...known, notes, batches, gather };
}

/** What `count` examples from `start` on are called; undefined where they have no names. */
export async function namesIn(data: Dataset, start: number, count: number): Promise<readonly string[] | undefined> {
  return data.ids?.(Array.from({ length: count }, (_, k) => start + k));
}

/** `range` with its ends filled in. Throws a DataError unless 0 <= start < end <= length: a slice is never clamped. */
export function checkRange(name: string, length: number, range: Range): { start: number; end: number } {
  const { start = 0, end = length } = range;
  const ordered = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= length;
  if (!ordered) {
    throw new DataError(`${name}: range [${start}:${end}] does not fit, expected 0 <= start < end <= ${length}`);
  }
  return { start, end };
}

/** Values held in memory for all examples of one model input. */
export interface StoredArray {
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  /** The shape of one example. */
  readonly shape: readonly number[];
  /** Bytes that are pixel values: handed out as Float32Array. */
  readonly pixels?: boolean;
}

const memoryRules: Rules = {
  name: text,
  length: wholeFrom(1),
  fingerprint: text,
  arrays: recordOf(
    objectWith(
      { data: { holds: (value) => ArrayBuffer.isView(value), expected: '' }, shape: sizes },
      '{ data, shape } with a typed array and the shape of one example',
    ),
  ),
};

/** A data set over arrays in memory, all with `length` examples. Throws a DataError where they have others. */
export function memoryDataset(
  name: string,
  length: number,
  fingerprint: string,
  arrays: Readonly<Record<string, StoredArray>>,
): Dataset {
  checkArguments('memoryDataset', { name, length, fingerprint, arrays }, memoryRules);
  const entries = Object.entries(arrays);
  for (const [key, { data, shape }] of entries) {
    const wanted = length * sizeOf(shape);
    if (data.length !== wanted) {
      throw new DataError(
        `${name}: '${key}' has ${data.length} values, expected ${length} examples of [${shape}]: ${wanted}`,
      );
    }
  }
  return makeDataset({
    name,
    length,
    fingerprint,
    shapes: Object.fromEntries(entries.map(([key, array]) => [key, array.shape])),
    pixels: entries.some(([key, array]) => key === 'x' && array.pixels === true),
    read: async (start, end) =>
      mapEntries(entries, (array) => {
        const stride = sizeOf(array.shape);
        const rows = array.data.subarray(start * stride, end * stride);
        return { data: copyOf(rows, array.pixels === true), shape: [end - start, ...array.shape] };
      }),
    pick: async (indices) =>
      mapEntries(entries, (array) => {
        const stride = sizeOf(array.shape);
        return { data: pickRows(array, indices, stride), shape: [indices.length, ...array.shape] };
      }),
  });
}

function copyOf(rows: DataArray['data'], pixels: boolean): DataArray['data'] {
  if (!(rows instanceof Uint8Array)) return rows.slice();
  return pixels ? new Float32Array(rows) : new Uint8Array(rows); // not `slice`, which does not copy a Node Buffer
}

function pickRows(array: StoredArray, indices: ArrayLike<number>, stride: number): DataArray['data'] {
  const { data } = array;
  const total = indices.length * stride;
  if (data instanceof BigInt64Array) {
    const out = new BigInt64Array(total);
    for (let i = 0; i < indices.length; i++) {
      out.set(data.subarray(indices[i]! * stride, (indices[i]! + 1) * stride), i * stride);
    }
    return out;
  }
  const bytes = data instanceof Uint8Array && array.pixels !== true;
  const out = bytes ? new Uint8Array(total) : new Float32Array(total);
  for (let i = 0; i < indices.length; i++) {
    out.set(data.subarray(indices[i]! * stride, (indices[i]! + 1) * stride), i * stride);
  }
  return out;
}

function mapEntries(
  entries: readonly (readonly [string, StoredArray])[],
  f: (array: StoredArray) => DataArray,
): Record<string, DataArray> {
  return Object.fromEntries(entries.map(([key, array]) => [key, f(array)]));
}

/** The number of values of one example of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, d) => product * d, 1);
}

/** SHA-256 (hex) of the parts in order; each part's length goes in too, so that moving a boundary changes the hash. */
export function fingerprintOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = host().sha256();
  for (const part of parts) {
    const bytes = typeof part === 'string' ? new TextEncoder().encode(part) : part;
    hash.update(`${bytes.length}:`);
    hash.update(bytes);
  }
  return hash.digest();
}

/** Bytes that are hashed at a time. */
const PIECE = 2 ** 20;

/** SHA-256 (hex) of all that a source holds. */
export async function hashOf(source: ByteSource): Promise<string> {
  const hash = host().sha256();
  for (let at = 0; at < source.size; at += PIECE) {
    hash.update(await source.read(at, Math.min(PIECE, source.size - at)));
  }
  return hash.digest();
}

/** SHA-256 (hex) of an origin: short for any number of runs. */
export const originHash = ({ fingerprint, runs }: Origin): string => fingerprintOf(JSON.stringify([fingerprint, runs]));
