import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { type Dataset, memoryDataset } from './dataset.ts';
import { asPixels, type PixelOptions } from './pixels.ts';
import { prepare } from './prepare.ts';
import { syntheticDataset } from './synthetic.ts';
import { take } from './transforms.ts';

const noise = (length: number, shape: readonly number[]) => syntheticDataset('noise', { length, shape, seed: 3 });
const setOf = (values: readonly number[], shape: readonly number[] = [1]) =>
  memoryDataset('d', values.length / shape.reduce((a, b) => a * b, 1), 'f', {
    x: { data: Float32Array.from(values), shape },
  });
const of = (values: readonly number[], options?: PixelOptions) => asPixels(setOf(values), options);

async function read(data: Dataset, size: number): Promise<number[]> {
  const values: number[] = [];
  for await (const { arrays } of data.batches(size)) values.push(...(arrays.x!.data as Float32Array));
  return values;
}

describe('asPixels', () => {
  it('refuses images with their channels last, and takes others for what they say', () => {
    expect(() => asPixels(noise(2, [32, 32, 3]))).toThrowErrorMatchingInlineSnapshot(
      `[DataError: noise:2: images are [32,32,3], channels last it seems, expected [channels, height, width]; transpose them]`,
    );
    for (const shape of [[3, 5, 3], [1, 4, 1], [3, 32, 32], [3]]) {
      expect(asPixels(noise(2, shape)).shapes.x).toEqual(shape);
    }
  });

  it('lets raw pixels through, also dark, black and fractional ones', async () => {
    for (const values of [
      [0, 255, 3],
      [0, 1, 1, 2],
      [0, 0],
      [0.5, 200],
    ]) {
      expect(await read(of(values), 4)).toEqual(values);
    }
  });

  it.each([
    [
      [1, 3, -0.5],
      /d: example 2 holds -0.5, expected pixels 0..255; pixels from -1 to 1 are said so by `pixels: \[-1, 1\]`/,
    ],
    [[3, 7, 256], /example 2 holds 256/],
    [[3, Number.NaN], /example 1 holds NaN/],
    [
      [0, 0.25, 1],
      /d: holds values from 0 to 1, expected pixels 0..255; say `pixels: \[0, 1\]` where 1 is white, or `pixels: \[0, 255\]`/,
    ],
    [[0, 1, 1], /d: holds only the values 0 and 1, expected pixels 0..255; say `pixels: \[0, 1\]`/],
  ] as const)('refuses %j', async (values, message) => {
    await expect(read(of(values), 8)).rejects.toThrow(message);
    await expect(of(values).gather([...values.keys()])).rejects.toThrow(DataError);
  });

  it('judges the set, whatever is read of it first', async () => {
    const dark = [0.5, 0, 1, 0, 200, 0.25];
    for (const size of [1, 2, 6]) expect(await read(of(dark), size)).toEqual(dark);
    const data = asPixels(setOf(dark));
    expect((await data.gather([0])).arrays.x!.data).toEqual(Float32Array.of(0.5));
    expect(await read(take(data, 0, 2), 1)).toEqual([0.5, 0]);
    const bits = asPixels(setOf([0, 0, 0, 1]));
    await expect(bits.gather([0])).rejects.toThrow(/only the values 0 and 1/);
  });

  it('looks all over a large set', async () => {
    const values = Array.from({ length: 5000 }, (_, i) => (i < 4000 ? 1 : 255));
    expect((await read(of(values), 5000)).length).toBe(5000);
    const bits = of(new Array<number>(5000).fill(1));
    await expect(read(bits, 10)).rejects.toThrow(/0 and 1 in the 1000 examples looked at/);
  });

  it('brings other ranges to 0..255, whole where they were made of whole pixels', async () => {
    const levels = Array.from({ length: 256 }, (_, k) => k);
    const scaled = (f: (k: number) => number) => levels.map((k) => Math.fround(f(k)));
    for (const [range, values] of [
      [[0, 1], scaled((k) => k / 255)],
      [[-1, 1], scaled((k) => k / 127.5 - 1)],
      [[-0.5, 0.5], scaled((k) => k / 255 - 0.5)],
      [[0, 65535], scaled((k) => k * 257)],
    ] as const) {
      expect(await read(of(values, { range }), 100)).toEqual(levels);
    }
    expect(await read(of([0, 0.5], { range: [0, 1] }), 2)).toEqual([0, 127.5]);
    expect(await read(of([0, 1, 1], { range: [0, 255] }), 3)).toEqual([0, 1, 1]);
    await expect(read(of([0, 3], { range: [0, 1] }), 2)).rejects.toThrow(
      /example 1 holds 3, expected pixels 0..1 as `pixels: \[0, 1\]` says/,
    );
  });

  it('is done once: what was judged is not judged again, also by what is made of it', async () => {
    const nearlyBlack = of([0, 1, 1, 1], { range: [0, 255] });
    expect(asPixels(nearlyBlack)).toBe(nearlyBlack);
    const images = asPixels(setOf([0, 1, 1, 1], [1, 2, 2]), { range: [0, 255] });
    expect(await read(asPixels(take(prepare(images, { channels: 3 }), 0, 1)), 1)).toEqual([
      0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1,
    ]);
  });

  it('has another fingerprint where it changes numbers', () => {
    const data = setOf([0, 1, 1]);
    expect(asPixels(data).fingerprint).toBe('f');
    expect(asPixels(data, { range: [0, 1] }).fingerprint).toBe('f pixels 0,1');
  });
});
