import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNpy, openNpz } from '../../test/support/readers.ts';
import { DataError } from '../errors.ts';
import { type NpyArray, writeNpy, writeNpz } from './npy.ts';

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

  it('takes arrays of any rank, whole numbers as int64 and doubles as float32', async () => {
    const int32: NpyArray = { dtype: 'int32', shape: [2, 2], data: Int32Array.of(1, 2, 3, -4) };
    const float64: NpyArray = { dtype: 'float64', shape: [2], data: Float64Array.of(0.5, -3) };
    const data = await open({ ids: int32, t: float64, z: floats([2, 1, 1, 1, 2], [1, 2, 3, -4]) });
    expect(data.shapes).toEqual({ ids: [2], t: [], z: [1, 1, 1, 2] });
    const { ids, t } = (await data.gather([1])).arrays;
    expect([ids!.data, t!.data]).toEqual([BigInt64Array.of(3n, -4n), Float32Array.of(-3)]);
  });

  const texts: NpyArray = { dtype: 'string', shape: [2], data: ['a', 'b'] };
  it.each<[string, Record<string, NpyArray>, string]>([
    ['no arrays', {}, ': holds no arrays'],
    ['no examples', { x: bytes(0, 2, 2) }, ": array 'x': holds no values: its shape is [0,2,2]"],
    ['no pixels', { x: bytes(2, 0, 2) }, ": array 'x': holds no values: its shape is [2,0,2]"],
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
      'another n',
      { x: bytes(2, 2, 2), y: bytes(3) },
      ': holds arrays of different numbers of examples: x [2,2,2], y [3]; say which',
    ],
    [
      'a single value',
      { x: bytes(2, 2, 2), y: bytes() },
      ': holds arrays of different numbers of examples: x [2,2,2], y []; say which',
    ],
    ['strings', { x: bytes(2, 2, 2), y: texts }, ": array 'y': has elements of type string, expected numbers"],
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
  });
});
