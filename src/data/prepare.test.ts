// Preparing images: values computed by hand, and the order of the steps.

import { describe, expect, it } from 'vitest';
import { memoryDataset } from './dataset.ts';
import { asPixels } from './pixels.ts';
import { prepare } from './prepare.ts';
import { kernels } from './resample.ts';

const images = (shape: readonly number[], values: readonly number[]) =>
  memoryDataset('images', values.length / shape.reduce((a, b) => a * b, 1), 'hash', {
    x: { data: Uint8Array.from(values), shape, pixels: true },
  });

async function pixels(data: ReturnType<typeof images>) {
  const all = (await data.gather(Array.from({ length: data.length }, (_, i) => i))).arrays.x!;
  for await (const batch of data.batches(data.length)) expect(batch.arrays.x).toEqual(all);
  expect(all.shape).toEqual([data.length, ...data.shapes.x!]);
  return [...all.data].map(Number);
}

it('makes grey by luma and RGB by copies', async () => {
  const colours = images([3, 1, 2], [255, 0, 0, 0, 0, 255, 10, 20, 10, 20, 10, 20]);
  expect(await pixels(prepare(colours, { channels: 1 }))).toEqual([76, 29, 10, 20]);
  expect(await pixels(prepare(images([1, 1, 2], [7, 9]), { channels: 3 }))).toEqual([7, 9, 7, 9, 7, 9]);
  expect(prepare(colours, { channels: 3 })).toBe(colours);
});

it('crops the centre, the odd row off the end', async () => {
  const counted = images([1, 4, 3], [...Array(12).keys()]);
  expect(await pixels(prepare(counted, { crop: [2, 1] }))).toEqual([4, 7]);
  expect(await pixels(prepare(counted, { crop: [1, 3] }))).toEqual([3, 4, 5]);
});

it('resamples: what is constant stays so, halves of a picture stay halves', async () => {
  expect(await pixels(prepare(images([1, 3, 5], Array(15).fill(200)), { resize: [2, 2] }))).toEqual([
    200, 200, 200, 200,
  ]);
  const halves = Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 255));
  const small = await pixels(prepare(images([1, 8, 8], halves), { resize: [4, 4] }));
  const [left, right] = [small.filter((_, i) => i % 4 === 0), small.filter((_, i) => i % 4 === 3)];
  expect(Math.max(...left)).toBeLessThan(20);
  expect(Math.min(...right)).toBeGreaterThan(235);
  // Each channel by itself, each image by itself.
  const two = images([3, 1, 1], [1, 2, 3, 4, 5, 6]);
  expect(await pixels(prepare(two, { resize: [1, 2] }))).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
});

it('takes channels, size, crop and border in this order, and says so in the fingerprint', async () => {
  const colours = images([3, 2, 2], [...Array(12).keys()]);
  const steps = prepare(colours, { pad: [3, 3], crop: [2, 1], resize: [4, 3], channels: 1 });
  expect(steps.shapes.x).toEqual([1, 3, 3]);
  expect((await pixels(steps)).slice(0, 1)).toEqual([0]);
  expect(steps.fingerprint).toBe('hash in 1 channels resized 4×3 by lanczos cropped 2×1 padded 3×3');
});

describe('numbers that are no pixels', () => {
  const floats = (shape: readonly number[], values: readonly number[]) =>
    memoryDataset('floats', values.length / shape.reduce((a, b) => a * b, 1), 'hash', {
      x: { data: Float32Array.from(values), shape },
    });

  it.each([
    ['from −1 to 1', -1, 0.125],
    ['from 0 to 1', 0, 0.0625],
    ['beyond 255', 1000, 3],
  ])('%s are resampled as they are, neither rounded nor wrapped', async (_, first, step) => {
    const values = Array.from({ length: 16 }, (_, i) => first + step * i);
    const out = await pixels(prepare(floats([1, 4, 4], values), { resize: [2, 2], filter: 'bilinear' }));
    // Means of a plane lie on the plane: by symmetry the four are at ±d around its middle.
    const middle = first + 7.5 * step;
    expect(out.reduce((a, b) => a + b, 0) / 4).toBeCloseTo(middle, 3);
    const [a, b, c, d] = out as [number, number, number, number];
    expect(b - a).toBeCloseTo(d - c, 3);
    expect((c - a) / (b - a)).toBeCloseTo(4, 2);
    expect(b - a).toBeGreaterThan(step);
    for (const filter of kernels) {
      const same = await pixels(prepare(floats([1, 2, 3], Array(6).fill(first)), { resize: [5, 4], filter }));
      for (const value of same) expect(value).toBeCloseTo(first, 3);
    }
  });

  it('keep fractions when they become grey, and their sign', async () => {
    const grey = await pixels(prepare(floats([3, 1, 1], [-1, 0.5, 0.25]), { channels: 1 }));
    expect(grey[0]).toBeCloseTo(-0.299 + 0.587 * 0.5 + 0.114 * 0.25, 6);
  });

  it('pixels with fractions stay floats within 0..255, whole ones come out whole, whatever is read with them', async () => {
    const edge = [0, 0, 0, 255, 255, 255];
    const both = [...edge, ...edge.map((v) => v / 2)];
    const data = prepare(asPixels(floats([1, 1, 6], both)), { resize: [1, 11] });
    const out = await pixels(data);
    const [whole, half] = [out.slice(0, 11), out.slice(11)];
    expect(whole.every(Number.isInteger)).toBe(true);
    expect(half.every(Number.isInteger)).toBe(false);
    expect([Math.min(...out), Math.max(...whole)]).toEqual([0, 255]);
    expect(await pixels(prepare(images([1, 1, 6], edge), { resize: [1, 11] }))).toEqual(whole);
    for await (const { arrays, start } of data.batches(1)) {
      expect([...arrays.x!.data].map(Number)).toEqual(start === 0 ? whole : half);
    }
    // Not known to be pixels, the same numbers overshoot at the edge.
    expect(Math.min(...(await pixels(prepare(floats([1, 1, 6], edge), { resize: [1, 11] }))))).toBeLessThan(-1);
  });

  it('as int64 are moved, not averaged, and other arrays are left alone', async () => {
    const labels = { data: BigInt64Array.of(5n, 6n), shape: [] };
    const whole = { data: BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i) + 2n ** 60n), shape: [1, 2, 2] };
    const data = memoryDataset('whole', 2, 'hash', { x: whole, labels });
    const prepared = prepare(data, { channels: 3, crop: [2, 1], pad: [2, 2] });
    const { arrays } = await prepared.gather([1]);
    expect(arrays.labels!.data).toEqual(BigInt64Array.of(6n));
    const [a, b] = [2n ** 60n + 4n, 2n ** 60n + 6n];
    expect(arrays.x!.data).toEqual(BigInt64Array.of(a, 0n, b, 0n, a, 0n, b, 0n, a, 0n, b, 0n));
    for (const steps of [{ resize: [3, 3] }, { channels: 1 }] as const) {
      const source = 'channels' in steps ? prepare(data, { channels: 3 }) : data;
      await expect(prepare(source, steps).gather([0])).rejects.toThrow(
        /^whole: holds whole numbers \(int64\), which cannot be averaged to be (resized|in 1)/,
      );
    }
  });

  it('that leave float32 are refused, naming the example', async () => {
    const data = floats([1, 1, 4], [0, 0, 0, 0, 3.4e38, -3.4e38, 3.4e38, 3.4e38]);
    await expect(prepare(data, { resize: [1, 7] }).gather([0, 1])).rejects.toThrow(
      /^floats: example 1, resized 1×7 by lanczos, holds -?Infinity, expected finite numbers/,
    );
  });
});

it.each([
  { resize: [60000, 60000] },
  { resize: [1, 2 ** 25] },
  { pad: [60000, 60000] },
  { pad: [99999, 99999] },
  { crop: [2 ** 40, 1] },
  { resize: [1.5, 2] },
  { pad: [-1, 4] },
] as const)('refuses %o before anything of that size is made', (steps) => {
  expect(() => prepare(images([1, 2, 2], [1, 2, 3, 4]), steps)).toThrow(
    /^images: (resize|pad|crop) is \S+×\S+, expected whole numbers with at most 16,777,216 pixels in all$/,
  );
});

it('refuses a filter without a size', () => {
  expect(() => prepare(images([1, 2, 2], [1, 2, 3, 4]), { filter: 'nearest' })).toThrow(
    "the filter 'nearest' is given",
  );
});

it.each([
  [{ crop: [3, 1] }, 'images: images are [1,2,2], smaller than the 3×1 to crop'],
  [{ pad: [1, 3] }, 'images: images are [1,2,2], larger than the 1×3 to pad to'],
] as const)('refuses %o', (steps, message) => {
  expect(() => prepare(images([1, 2, 2], [1, 2, 3, 4]), steps)).toThrow(message);
});

it.each([{ channels: 1 }, { resize: [2, 2] }, { crop: [1, 1] }, { pad: [4, 4] }] as const)(
  'refuses %o of what is no image',
  (steps) => {
    expect(() => prepare(images([4], [1, 2, 3, 4]), steps)).toThrow('images: holds no images');
  },
);
