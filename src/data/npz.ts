// NumPy arrays as data: the bytes of an .npz or .npy file -> data set with one input for each array.

import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, type StoredArray } from './dataset.ts';
import { type NpyArray, readNpy, readNpz } from './npy.ts';
import { type ByteSource, readAll } from './source.ts';

/**
 * Takes an .npz file. Every array [n, ...] is an input by its name (a lone one is `x`, whatever its name): float32, float64
 * (made float32), uint8 (made float32), or int64, int32. `x` of [n, h, w] is taken as images of one channel; values are taken as
 * they are.
 *
 * Throws a DataError that names the file, and the array, for: no arrays, numbers of examples that disagree, another element
 * type, and values that are not finite (with the example they are in).
 */
export async function openNpz(source: ByteSource, name: string = source.name): Promise<Dataset> {
  const path = source.name;
  const arrays = readNpz(await readAll(source), path);
  const names = Object.keys(arrays);
  if (names.length === 0) throw new DataError(`${path}: holds no arrays`);
  return arraysDataset(names.length === 1 ? { x: arrays[names[0]!]! } : arrays, name, path);
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
  if (array.dtype === 'uint8') return { data: array.data, shape, pixels: true };
  if (array.dtype !== 'float32' && array.dtype !== 'float64') {
    throw new DataError(
      `${where}: has elements of type ${array.dtype}, expected float32, float64, uint8, int32 or int64`,
    );
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
