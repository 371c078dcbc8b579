// Preparing images: values computed by hand, and the order of the steps.

import { expect, it } from 'vitest';
import { memoryDataset } from './dataset.ts';
import { prepare } from './prepare.ts';

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
  expect(steps.fingerprint).toBe('hash in 1 channels resized 4×3 cropped 2×1 padded 3×3');
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
