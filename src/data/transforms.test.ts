import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { type Dataset, memoryDataset } from './dataset.ts';
import { syntheticDataset } from './synthetic.ts';
import { pad, rename, take } from './transforms.ts';

const noise = (length: number, shape: readonly number[]) => syntheticDataset('noise', { length, shape, seed: 3 });

async function read(data: Dataset, size: number): Promise<Float32Array> {
  const values: number[] = [];
  for await (const { arrays } of data.batches(size)) values.push(...(arrays.x!.data as Float32Array));
  return Float32Array.from(values);
}

describe('take', () => {
  it('holds the examples start..end-1, in batches of every size and by index', async () => {
    const whole = noise(9, [1, 2, 2]);
    const part = take(whole, 2, 7);
    expect([part.name, part.length]).toEqual(['noise:9[2:7]', 5]);
    const expected = (await whole.gather([2, 3, 4, 5, 6])).arrays.x!.data;
    for (const size of [1, 2, 4, 5, 8]) expect(await read(part, size)).toEqual(expected);
    expect((await part.gather([4, 0])).arrays).toEqual((await whole.gather([6, 2])).arrays);
  });

  it('of a slice counts from the start of that slice', async () => {
    const whole = noise(9, [1, 2, 2]);
    const part = take(take(whole, 2, 7), 1, 3);
    expect((await part.gather([0, 1])).arrays).toEqual((await whole.gather([3, 4])).arrays);
  });

  it('has a fingerprint of its own', () => {
    const whole = noise(9, [1, 2, 2]);
    const prints = [whole, take(whole, 0, 8), take(whole, 1, 9), take(whole, 0, 9)].map((d) => d.fingerprint);
    expect(new Set(prints).size).toBe(4);
  });

  it('refuses what is not there, and an index beyond its end', async () => {
    const whole = noise(9, [1, 2, 2]);
    expect(() => take(whole, 3, 10)).toThrow(
      new DataError('noise:9: range [3:10] does not fit, expected 0 <= start < end <= 9'),
    );
    expect(() => take(whole, 3, 3)).toThrow(DataError);
    await expect(take(whole, 0, 5).gather([5])).rejects.toThrow('noise:9[0:5]: example 5 asked for');
  });
});

describe('pad', () => {
  it('puts 28×28 into the middle of 32×32', async () => {
    const data = noise(3, [1, 28, 28]);
    const wide = pad(data, 32, 32);
    expect(wide.shapes).toEqual({ x: [1, 32, 32] });
    const from = (await data.gather([2])).arrays.x!.data;
    const { x } = (await wide.gather([2])).arrays;
    expect(x!.shape).toEqual([1, 1, 32, 32]);
    for (let row = 0; row < 32; row++) {
      for (let column = 0; column < 32; column++) {
        const inside = row >= 2 && row < 30 && column >= 2 && column < 30;
        expect(x!.data[row * 32 + column]).toBe(inside ? from[(row - 2) * 28 + column - 2] : 0);
      }
    }
  });

  it('keeps channels and examples apart, with the odd row and column behind', async () => {
    const data = memoryDataset('two', 2, 'f', {
      x: { data: Float32Array.from({ length: 8 }, (_, i) => i + 1), shape: [2, 1, 2] },
      label: { data: BigInt64Array.of(7n, 8n), shape: [] },
    });
    const { x, label } = (await pad(data, 2, 5).gather([0, 1])).arrays;
    const plane = (a: number, b: number) => [0, a, b, 0, 0, 0, 0, 0, 0, 0];
    expect(Array.from(x!.data as Float32Array)).toEqual([
      ...plane(1, 2),
      ...plane(3, 4),
      ...plane(5, 6),
      ...plane(7, 8),
    ]);
    expect(label!.data).toEqual(BigInt64Array.of(7n, 8n));
  });

  it('gives the same in batches of every size', async () => {
    const data = pad(noise(5, [3, 2, 3]), 4, 4);
    const expected = (await data.gather([0, 1, 2, 3, 4])).arrays.x!.data;
    for (const size of [1, 2, 3, 5, 7]) expect(await read(data, size)).toEqual(expected);
  });

  it('leaves images of that size alone and refuses larger ones', () => {
    const data = noise(2, [1, 4, 6]);
    expect(pad(data, 4, 6)).toBe(data);
    expect(() => pad(data, 4, 5)).toThrow(new DataError('noise:2: images are [1,4,6], larger than the 4×5 to pad to'));
    expect(() => pad(data, 8.5, 8)).toThrow(DataError);
    expect(() => pad(noise(2, [4]), 8, 8)).toThrow('noise:2: holds no images, so there is nothing to pad');
    expect(pad(data, 8, 8).fingerprint).not.toBe(data.fingerprint);
  });
});

describe('rename', () => {
  it('gives the same numbers under another name', async () => {
    const data = rename(noise(3, [1, 2, 2]), 'x', 'image');
    expect(data.shapes).toEqual({ image: [1, 2, 2] });
    expect((await data.gather([2])).arrays.image).toEqual((await noise(3, [1, 2, 2]).gather([2])).arrays.x);
    for await (const { arrays } of data.batches(2)) expect(Object.keys(arrays)).toEqual(['image']);
  });
});
