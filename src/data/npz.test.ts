import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { type NpyArray, writeNpy, writeNpz } from './npy.ts';
import { openNpy, openNpz } from './npz.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'npz-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function put(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

const open = async (arrays: Readonly<Record<string, NpyArray>>, name = 'a.npz') =>
  openNpz(await put(name, writeNpz(arrays)));
const ramp = (n: number) => Array.from({ length: n }, (_, i) => (i * 7) % 256);
const bytes = (...shape: number[]): NpyArray => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { dtype: 'uint8', shape, data: Uint8Array.from(ramp(size)) };
};
const floats = (shape: readonly number[], values: readonly number[]): NpyArray => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

describe('openNpz', () => {
  // By NumPy 2.4.6: np.savez_compressed(x=np.arange(12).reshape(2, 2, 3) as uint8, labels=[7, -1] as int64,
  // w=[[0.5], [-2]] as float32).
  it('reads a compressed file of NumPy', async () => {
    const base64 =
      'UEsDBC0AAAAIAAAAIQDFIoSg//////////8FABQAeC5ucHkBABAAjAAAAAAAAABUAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loF5Taqiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CkBkrKmjUKtAHuBiYGRiZmFlY+fg5OIGAFBLAwQtAAAACAAAACEA4JLOvP//////////CgAUAGxhYmVscy5ucHkBABAAkAAAAAAAAABKAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAC52Bgj4DwUAUEsDBC0AAAAIAAAAIQBSbbPv//////////8FABQAdy5ucHkBABAAiAAAAAAAAABNAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CoaaOgq1CmQDLgYGBnsgPgAAUEsBAi0DLQAAAAgAAAAhAMUihKBUAAAAjAAAAAUAAAAAAAAAAAAAAIABAAAAAHgubnB5UEsBAi0DLQAAAAgAAAAhAOCSzrxKAAAAkAAAAAoAAAAAAAAAAAAAAIABiwAAAGxhYmVscy5ucHlQSwECLQMtAAAACAAAACEAUm2z700AAACIAAAABQAAAAAAAAAAAAAAgAERAQAAdy5ucHlQSwUGAAAAAAMAAwCeAAAAlQEAAAAA';
    const data = await openNpz(await put('numpy.npz', Buffer.from(base64, 'base64')), 'mine');
    expect([data.name, data.length]).toEqual(['mine', 2]);
    expect(data.shapes).toEqual({ x: [1, 2, 3], labels: [], w: [1] });
    expect((await data.gather([1])).arrays).toEqual({
      x: { data: Float32Array.of(6, 7, 8, 9, 10, 11), shape: [1, 1, 2, 3] },
      labels: { data: BigInt64Array.of(-1n), shape: [1] },
      w: { data: Float32Array.of(-2), shape: [1, 1] },
    });
  });

  it('gives the same examples in batches of every size', async () => {
    const data = await open({ x: bytes(5, 3, 2, 2), extra: bytes(5, 2) });
    const all = (await data.gather([0, 1, 2, 3, 4])).arrays;
    expect(all.x!.data).toEqual(Float32Array.from(ramp(60)));
    expect(all.extra!.data).toEqual(Float32Array.from(ramp(10)));
    for (const size of [1, 2, 3, 5, 8]) {
      const [x, extra]: [number[], number[]] = [[], []];
      for await (const { n, arrays } of data.batches(size)) {
        expect([arrays.x!.shape, arrays.extra!.shape]).toEqual([
          [n, 3, 2, 2],
          [n, 2],
        ]);
        x.push(...(arrays.x!.data as Float32Array));
        extra.push(...(arrays.extra!.data as Float32Array));
      }
      expect([x, extra]).toEqual([ramp(60), ramp(10)]);
    }
  });

  it('takes float32 pixels, also between whole numbers, and the only array whatever its name', async () => {
    const data = await open({ arr_0: floats([2, 1, 2], [0, 0.5, 254.5, 255]) });
    expect(data.shapes).toEqual({ x: [1, 1, 2] });
    expect((await data.gather([0, 1])).arrays.x!.data).toEqual(Float32Array.of(0, 0.5, 254.5, 255));
    const dark = await open({ x: floats([1, 1, 2], [0, 1]) });
    expect(dark.length).toBe(1);
  });

  it('has one fingerprint for the same arrays, however they are packed', async () => {
    const print = async (arrays: Readonly<Record<string, NpyArray>>) => (await open(arrays)).fingerprint;
    const [x, y] = [bytes(2, 3, 3), bytes(2, 4)];
    const first = await print({ x, y });
    expect(await print({ y, x })).toBe(first);
    const others = [await print({ x }), await print({ x, z: y }), await print({ x: y.shape ? bytes(2, 1, 9) : x, y })];
    expect(new Set([first, ...others]).size).toBe(4);
    const alone = await openNpy(await put('a.npy', writeNpy(x)));
    expect(alone.fingerprint).toBe(others[0]);
  });

  const int32: NpyArray = { dtype: 'int32', shape: [1, 2, 2], data: new Int32Array(4) };
  const float64: NpyArray = { dtype: 'float64', shape: [2], data: new Float64Array(2) };
  const texts: NpyArray = { dtype: 'string', shape: [2], data: ['a', 'b'] };
  it.each<[string, Record<string, NpyArray>, string]>([
    ['no arrays', {}, ': holds the arrays (none); expected one named x, or only one'],
    ['no x', { a: bytes(2, 2, 2), b: bytes(2) }, ': holds the arrays a, b; expected one named x, or only one'],
    ['a matrix', { x: bytes(4, 4) }, ": array 'x': has shape [4,4], expected images [n, c, h, w] or [n, h, w]"],
    ['five axes', { x: bytes(1, 1, 1, 1, 1) }, ": array 'x': has shape [1,1,1,1,1], expected images"],
    ['no examples', { x: bytes(0, 2, 2) }, ": array 'x': holds no pixels: its shape is [0,2,2]"],
    ['no pixels', { x: bytes(2, 0, 2) }, ": array 'x': holds no pixels: its shape is [2,0,2]"],
    [
      'channels last',
      { x: bytes(2, 8, 8, 3) },
      ": array 'x': has shape [2,8,8,3], the channels last; expected [n, c, h, w]",
    ],
    ['int32 pixels', { x: int32 }, ": array 'x': has elements of type int32, expected uint8 or float32 pixels"],
    [
      'NaN',
      { x: floats([3, 1, 2], [1, 2, 3, Number.NaN, 5, 6]) },
      ": array 'x': example 1 holds NaN, expected numbers",
    ],
    [
      'infinity',
      { x: floats([3, 1, 2], [1, 2, 3, 4, 5, -Infinity]) },
      ": array 'x': example 2 holds -Infinity, expected numbers",
    ],
    [
      'a negative pixel',
      { x: floats([2, 1, 1], [1, -0.5]) },
      ": array 'x': example 1 holds -0.5, expected pixel values 0..255",
    ],
    [
      'a pixel of 256',
      { x: floats([2, 1, 1], [256, 0]) },
      ": array 'x': example 0 holds 256, expected pixel values 0..255",
    ],
    [
      'pixels of 0..1',
      { x: floats([1, 1, 3], [0, 0.25, 1]) },
      ": array 'x': holds values from 0 to 1, expected pixel values 0..255",
    ],
    ['another n', { x: bytes(2, 2, 2), y: bytes(3) }, ": array 'y': has shape [3], expected 2 examples as in 'x'"],
    ['a single value', { x: bytes(2, 2, 2), y: bytes() }, ": array 'y': has shape [], expected 2 examples as in 'x'"],
    [
      'float64',
      { x: bytes(2, 2, 2), y: float64 },
      ": array 'y': has elements of type float64, expected float32, uint8 or int64",
    ],
    [
      'strings',
      { x: bytes(2, 2, 2), y: texts },
      ": array 'y': has elements of type string, expected float32, uint8 or int64",
    ],
    [
      'NaN beside x',
      { x: bytes(2, 2, 2), y: floats([2, 2], [0, 1, 2, Number.NaN]) },
      ": array 'y': example 1 holds NaN",
    ],
  ])('refuses %s', async (_, arrays, expected) => {
    const path = join(folder, 'a.npz');
    const opened = open(arrays);
    await expect(opened).rejects.toThrow(DataError);
    await expect(opened).rejects.toThrow(path + expected);
  });
});

describe('openNpy', () => {
  it('is an .npz file of one array', async () => {
    const data = await openNpy(await put('b.npy', writeNpy(bytes(3, 2, 2))), 'b');
    expect([data.name, data.length, data.shapes]).toEqual(['b', 3, { x: [1, 2, 2] }]);
    expect((await data.gather([2])).arrays.x!.data).toEqual(Float32Array.from(ramp(12).slice(8)));
    const labels = await put('labels.npy', writeNpy(bytes(3)));
    await expect(openNpy(labels)).rejects.toThrow(`${labels}: array 'x': has shape [3], expected images`);
  });
});
