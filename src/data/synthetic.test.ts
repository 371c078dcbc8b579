import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { type SyntheticKind, syntheticDataset } from './synthetic.ts';

const make = (kind: SyntheticKind, length = 50, shape: readonly number[] = [3, 4, 5], seed = 1) =>
  syntheticDataset(kind, { length, shape, seed });
const all = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(['constant', 'noise'] as const)('%s', (kind) => {
  it('gives integers 0..255, the same in batches of every size', async () => {
    const data = make(kind);
    const { data: values } = (await data.gather(all(50))).arrays.x!;
    expect(Array.from(values as Float32Array).every((v) => Number.isInteger(v) && v >= 0 && v <= 255)).toBe(true);
    for (const size of [1, 7, 50, 64]) {
      const read: number[] = [];
      for await (const { arrays } of data.batches(size)) read.push(...(arrays.x!.data as Float32Array));
      expect(read).toEqual(Array.from(values as Float32Array));
    }
  });

  it('draws an example from the seed and its index alone', async () => {
    const few = await make(kind, 3).gather([2]);
    expect((await make(kind, 50).gather([2])).arrays).toEqual(few.arrays);
    expect((await make(kind, 50, [3, 4, 5], 2).gather([2])).arrays).not.toEqual(few.arrays);
    expect(make(kind).fingerprint).toBe(make(kind).fingerprint);
    expect(make(kind, 50, [3, 4, 5], 2).fingerprint).not.toBe(make(kind).fingerprint);
  });

  it.each([
    [0, [1, 2, 2], 1, `${kind}:0: 0 examples asked for, expected >= 1`],
    [2 ** 31 + 1, [1, 2, 2], 1, `${kind}:2147483649: 2147483649 examples asked for, expected at most 2^31`],
    [5, [], 1, `${kind}:5: shape is [], expected positive sizes such as [1, 28, 28]`],
    [5, [1, 0, 2], 1, `${kind}:5: shape is [1, 0, 2], expected positive sizes such as [1, 28, 28]`],
    [5, [1, 2, 2], -1, `${kind}:5: seed is -1, expected an integer >= 0`],
  ])('refuses length %d, shape %o, seed %d', (length, shape, seed, expected) => {
    expect(() => make(kind, length, shape, seed)).toThrow(new DataError(expected));
  });
});

it('constant: one level a channel', async () => {
  const { data } = (await make('constant', 20).gather(all(20))).arrays.x!;
  for (let plane = 0; plane < 60; plane++) {
    expect(new Set(data.subarray(plane * 20, plane * 20 + 20) as Float32Array).size).toBe(1);
  }
  expect(new Set(data as Float32Array).size).toBeGreaterThan(40);
});

// 50·60 uniform integers: mean 127.5 with standard error 73.9 / sqrt(3000) = 1.35; four of those.
it('noise: uniform', async () => {
  const values = Array.from((await make('noise').gather(all(50))).arrays.x!.data as Float32Array);
  expect(Math.abs(values.reduce((a, b) => a + b) / 3000 - 127.5)).toBeLessThan(5.4);
  expect([Math.min(...values), Math.max(...values)]).toEqual([0, 255]);
});
