// NumPy arrays as data: the bytes of an .npz or .npy file -> data set of images with whatever further inputs lie beside them.

import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, type StoredArray } from './dataset.ts';
import { readFileBytes } from './files.ts';
import { type NpyArray, readNpy, readNpz } from './npy.ts';

/**
 * Opens an .npz file. Its array `x` (or its only one, whatever the name) holds the images: [n, c, h, w], or [n, h, w] for
 * one channel, uint8 or float32 with pixel values 0..255. Every other array [n, ...] becomes a further input by its name,
 * float32 (uint8 is made so) or int64.
 *
 * Throws a DataError that names the file, and the array, for: no `x`, numbers of examples that disagree, another element
 * type, and values that are not finite or no pixel values (with the example they are in).
 */
export async function openNpz(path: string, name: string = path): Promise<Dataset> {
  const arrays = readNpz(await readFileBytes(path), path);
  const names = Object.keys(arrays);
  const [only] = names;
  if (Object.hasOwn(arrays, 'x')) return arraysDataset(arrays, name, path);
  if (only === undefined || names.length > 1) {
    throw new DataError(`${path}: holds the arrays ${names.join(', ') || '(none)'}; expected one named x, or only one`);
  }
  return arraysDataset({ x: arrays[only]! }, name, path);
}

/** Opens a .npy file: as an .npz file with this one array. */
export async function openNpy(path: string, name: string = path): Promise<Dataset> {
  return arraysDataset({ x: readNpy(await readFileBytes(path), path) }, name, path);
}

/** The data set of arrays by input name, with the images under `x`. */
function arraysDataset(arrays: Readonly<Record<string, NpyArray>>, name: string, path: string): Dataset {
  const { x, ...others } = arrays;
  const images = imagesOf(x!, `${path}: array 'x'`);
  const n = x!.shape[0]!;
  const stored: Record<string, StoredArray> = { x: images };
  for (const [key, array] of Object.entries(others)) {
    const where = `${path}: array '${key}'`;
    if (array.shape[0] !== n) {
      throw new DataError(`${where}: has shape ${shapeText(array.shape)}, expected ${n} examples as in 'x'`);
    }
    stored[key] = inputOf(array, where);
  }
  const parts = Object.keys(stored)
    .sort()
    .flatMap((key) => [key, `${arrays[key]!.dtype} ${shapeText(arrays[key]!.shape)}`, bytesOf(stored[key]!.data)]);
  return memoryDataset(name, n, fingerprintOf('npz', ...parts), stored);
}

function imagesOf(array: NpyArray, where: string): StoredArray {
  const { shape } = array;
  if (shape.length !== 3 && shape.length !== 4) {
    throw new DataError(`${where}: has shape ${shapeText(shape)}, expected images [n, c, h, w] or [n, h, w]`);
  }
  const example = shape.length === 3 ? [1, ...shape.slice(1)] : shape.slice(1);
  if (shape.includes(0)) throw new DataError(`${where}: holds no pixels: its shape is ${shapeText(shape)}`);
  // Tens of channels and a width of three is how images with the channels last look when read as [c, h, w].
  if (example[0]! > 4 && example[2]! <= 4) {
    throw new DataError(`${where}: has shape ${shapeText(shape)}, the channels last; expected [n, c, h, w]`);
  }
  if (array.dtype !== 'uint8' && array.dtype !== 'float32') {
    throw new DataError(`${where}: has elements of type ${array.dtype}, expected uint8 or float32 pixels`);
  }
  if (array.dtype === 'uint8') return { data: array.data, shape: example, pixels: true };
  checkPixels(array.data, array.data.length / shape[0]!, where);
  return { data: array.data, shape: example };
}

function inputOf(array: NpyArray, where: string): StoredArray {
  const shape = array.shape.slice(1);
  if (array.dtype === 'int64') return { data: array.data, shape };
  if (array.dtype === 'uint8') return { data: Float32Array.from(array.data), shape };
  if (array.dtype !== 'float32') {
    throw new DataError(`${where}: has elements of type ${array.dtype}, expected float32, uint8 or int64`);
  }
  checkFinite(array.data, array.data.length / array.shape[0]!, where);
  return { data: array.data, shape };
}

function checkFinite(data: Float32Array, stride: number, where: string): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new DataError(`${where}: example ${Math.floor(at / stride)} holds ${data[at]}, expected numbers`);
}

/** Raw pixel values: within 0..255, and not scaled to 0..1, which would pass for nearly black images. */
function checkPixels(data: Float32Array, stride: number, where: string): void {
  checkFinite(data, stride, where);
  const at = data.findIndex((value) => value < 0 || value > 255);
  if (at >= 0) {
    throw new DataError(`${where}: example ${Math.floor(at / stride)} holds ${data[at]}, expected pixel values 0..255`);
  }
  if (data.every((value) => value <= 1) && data.some((value) => value > 0 && value < 1)) {
    throw new DataError(`${where}: holds values from 0 to 1, expected pixel values 0..255; multiply them by 255`);
  }
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
