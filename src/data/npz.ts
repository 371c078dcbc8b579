// NumPy arrays as data: the bytes of an .npz or .npy file -> data set with one input for each array.

import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, type StoredArray } from './dataset.ts';
import { type NpyArray, readNpy, readNpz } from './npy.ts';
import { type ByteSource, readAll } from './source.ts';

/**
 * Takes an .npz file. Every array [n, ...] is an input by its name (a lone one is `x`, whatever its name): floats (made
 * float32), uint8 (made float32), truth values and integers of up to 16 bits (made float32), or int64, int32. `x` of
 * [n, h, w] is taken as images of one channel; values are taken as they are. `column`: only the array of this name, as
 * 'x'. `id`: the array that says what examples are called.
 *
 * Throws a DataError that names the file, and the array, for: no arrays, numbers of examples that disagree, another
 * element type, and values that are not finite (with the example they are in).
 */
export async function openNpz(
  source: ByteSource,
  name: string = source.name,
  { column, id }: { readonly column?: string | undefined; readonly id?: string | undefined } = {},
): Promise<Dataset> {
  const path = source.name;
  const bytes = await readAll(source);
  // Others may be what nobody can read, such as lists of names as Python objects.
  const chosen = column === undefined ? undefined : readNpz(bytes, path, [column, ...(id === undefined ? [] : [id])]);
  const isThere =
    chosen !== undefined && Object.hasOwn(chosen, column!) && (id === undefined || Object.hasOwn(chosen, id));
  const { [id ?? '']: named, ...arrays } = isThere ? chosen : readNpz(bytes, path);
  const names = Object.keys(arrays);
  if (names.length === 0) throw new DataError(`${path}: holds no arrays`);
  const has = () => names.map((key) => `${key} ${shapeText(arrays[key]!.shape)}`).join(', ');
  if (id !== undefined && !named) throw new DataError(`${path}: has no array '${id}' for \`id\`; it has ${has()}`);
  if (column !== undefined && !names.includes(column)) {
    throw new DataError(`${path}: has no array '${column}'; it has ${has()}`);
  }
  const only = column ?? (names.length === 1 ? names[0]! : undefined);
  if (only === undefined && new Set(names.map((key) => arrays[key]!.shape[0])).size > 1) {
    throw new DataError(
      `${path}: holds arrays of different numbers of examples: ${has()}; say which holds the examples, such as ${path}:${names[0]}`,
    );
  }
  const data = arraysDataset(only === undefined ? arrays : { x: arrays[only]! }, name, path);
  return named ? withIds(data, named, `${path}: array '${id}'`) : data;
}

function withIds(data: Dataset, array: NpyArray, where: string): Dataset {
  if (array.shape.length !== 1 || array.shape[0] !== data.length) {
    throw new DataError(`${where}: has shape ${shapeText(array.shape)}, expected a name for each of ${data.length}`);
  }
  return { ...data, ids: async (indices) => Array.from(indices, (i) => String(array.data[i])) };
}

/** Takes a .npy file: as an .npz file with this one array. */
export async function openNpy(source: ByteSource, name: string = source.name): Promise<Dataset> {
  return arraysDataset({ x: readNpy(await readAll(source), source.name) }, name, source.name);
}

function arraysDataset(arrays: Readonly<Record<string, NpyArray>>, name: string, path: string): Dataset {
  const entries = Object.entries(arrays);
  const [first, n] = [entries[0]![0], entries[0]![1].shape[0]];
  const inputs = entries.map(([key, array]): [string, StoredArray] => {
    const where = `${path}: array '${key}'`;
    if (n === undefined || array.shape[0] !== n) {
      const expected = n === undefined ? 'an axis of examples' : `${n} examples as in '${first}'`;
      throw new DataError(`${where}: has shape ${shapeText(array.shape)}, expected ${expected}`);
    }
    const input = inputOf(array, where);
    const grey = key === 'x' && input.shape.length === 2;
    return [key, grey ? { ...input, shape: [1, ...input.shape] } : input];
  });
  const stored = Object.fromEntries(inputs); // not by assignment: an array may be named __proto__
  const parts = Object.keys(stored)
    .sort()
    .flatMap((key) => [key, `${arrays[key]!.dtype} ${shapeText(arrays[key]!.shape)}`, bytesOf(stored[key]!.data)]);
  return memoryDataset(name, n!, fingerprintOf('npz', ...parts), stored);
}

function inputOf(array: NpyArray, where: string): StoredArray {
  const shape = array.shape.slice(1);
  if (array.shape.includes(0)) throw new DataError(`${where}: holds no values: its shape is ${shapeText(array.shape)}`);
  if (array.dtype === 'int64') return { data: array.data, shape };
  if (array.dtype === 'int32') return { data: BigInt64Array.from(array.data, BigInt), shape };
  if (array.dtype === 'bool') return { data: Float32Array.from(array.data), shape };
  if (array.dtype === 'uint8') return { data: array.data, shape, pixels: true };
  if (array.dtype !== 'float32' && array.dtype !== 'float64') {
    throw new DataError(`${where}: has elements of type ${array.dtype}, expected numbers`);
  }
  const data = array.dtype === 'float32' ? array.data : Float32Array.from(array.data);
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    const example = Math.floor(at / (data.length / array.shape[0]!));
    throw new DataError(`${where}: example ${example} holds ${array.data[at]}, expected numbers`);
  }
  return { data, shape };
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
