// Images made again: what stays, what changes, and what is refused.

import { describe, expect, it } from 'vitest';
import { memoryDataset, prepare, syntheticDataset } from '../data/index.ts';
import { remade } from './remade.ts';

const making = { from: [40, 40], filter: 'bicubic', about: 'a test' } as const;
const noise = (channels: 1 | 3) => syntheticDataset('noise', { length: 4, shape: [channels, 16, 16], seed: 0 });
const pixelsOf = async (data: ReturnType<typeof noise>, indices = [0, 1, 2, 3]) =>
  Array.from((await data.gather(indices)).arrays.x!.data, Number);

describe('remade', () => {
  it.each([1, 3] as const)(
    'keeps shape, length and whole pixels of %i channels, whatever is read together',
    async (channels) => {
      const made = remade(noise(channels), { ...making, jpeg: 80 });
      expect(made.shapes).toEqual({ x: [channels, 16, 16] });
      const all = await pixelsOf(made);
      expect(all.every((v) => Number.isInteger(v) && v >= 0 && v <= 255)).toBe(true);
      expect(await pixelsOf(made, [2])).toEqual(all.slice(2 * channels * 256, 3 * channels * 256));
      expect(await pixelsOf(remade(noise(channels), { ...making, jpeg: 80 }))).toEqual(all);
    },
  );

  it('leaves what has no detail as it is', async () => {
    const flat = syntheticDataset('constant', { length: 4, shape: [1, 16, 16], seed: 0 });
    expect(await pixelsOf(remade(flat, { ...making, jpeg: 90 }))).toEqual(await pixelsOf(flat));
  });

  it('takes detail away, and more of it the worse the file', async () => {
    const was = await pixelsOf(noise(3));
    const change = async (jpeg?: number) => {
      const is = await pixelsOf(remade(noise(3), { ...making, ...(jpeg === undefined ? {} : { jpeg }) }));
      return is.reduce((sum, v, k) => sum + Math.abs(v - was[k]!), 0);
    };
    const [none, good, bad] = [await change(), await change(90), await change(30)];
    expect(none).toBeGreaterThan(0);
    expect(good).toBeGreaterThan(none);
    expect(bad).toBeGreaterThan(good);
  });

  it('keeps each channel in its place', async () => {
    const red = Uint8Array.from({ length: 3 * 256 }, (_, k) => (k < 256 ? 200 : 20));
    const image = { data: red, shape: [3, 16, 16], pixels: true };
    const made = await pixelsOf(remade(memoryDataset('red', 1, 'red', { x: image }), { ...making, jpeg: 95 }), [0]);
    const mean = (plane: number) => made.slice(plane * 256, (plane + 1) * 256).reduce((sum, v) => sum + v, 0) / 256;
    expect([0, 1, 2].map((plane) => Math.round(mean(plane) / 10))).toEqual([20, 2, 2]);
  });

  it('counts as nothing that was done for a model, has a fingerprint of its own, and refuses what are no pictures', () => {
    const made = remade(noise(1), making);
    expect(made.prepared).toBeUndefined();
    expect(prepare(made, { pad: [20, 20] }).shapes.x).toEqual([1, 20, 20]);
    const others = [
      remade(noise(1), { ...making, jpeg: 80 }),
      remade(noise(1), { ...making, from: [41, 41] }),
      noise(1),
    ];
    expect(new Set([made, ...others].map(({ fingerprint }) => fingerprint)).size).toBe(4);
    const text = memoryDataset('text', 2, 'text', { x: { data: new Float32Array(16), shape: [2, 4] } });
    expect(() => remade(text, making)).toThrow('text: holds no grey or colour images, which could be made again');
  });
});
