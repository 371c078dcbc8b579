import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf, makeDataset, memoryDataset } from './dataset.ts';

/** n examples with a float image, an int64 value and raw bytes. */
function mixed(n: number): Dataset {
  return memoryDataset('set', n, 'f', {
    x: { data: Uint8Array.from({ length: n * 2 }, (_, i) => i), shape: [1, 1, 2], pixels: true },
    token: { data: BigInt64Array.from({ length: n * 3 }, (_, i) => BigInt(i) - 4n), shape: [3] },
    weight: { data: Float32Array.from({ length: n }, (_, i) => i / 8), shape: [] },
    raw: { data: Uint8Array.from({ length: n }, (_, i) => i), shape: [1] },
  });
}

describe('memoryDataset', () => {
  it('reads in batches what it picks by index', async () => {
    const sizes = fc.record({ n: fc.integer({ min: 1, max: 12 }), size: fc.integer({ min: 1, max: 15 }) });
    const cases = sizes.chain(({ n, size }) =>
      fc.record({
        n: fc.constant(n),
        size: fc.constant(size),
        start: fc.integer({ min: 0, max: n - 1 }),
        length: fc.integer({ min: 1, max: n }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ n, size, start, length }) => {
        const data = mixed(n);
        const end = Math.min(n, start + length);
        let at = start;
        for await (const batch of data.batches(size, { start, end })) {
          expect(batch.start).toBe(at);
          expect(batch.n).toBe(Math.min(size, end - at));
          const picked = await data.gather(Array.from({ length: batch.n }, (_, i) => at + i));
          expect(batch.arrays).toEqual(picked.arrays);
          expect(batch.arrays.token!.shape).toEqual([batch.n, 3]);
          expect(batch.arrays.weight!.shape).toEqual([batch.n]);
          at += batch.n;
        }
        expect(at).toBe(end);
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  it('makes pixels floats and leaves other types as they are', async () => {
    const { arrays } = await mixed(3).gather([2, 0]);
    expect(arrays.x!.data).toEqual(Float32Array.of(4, 5, 0, 1));
    expect(arrays.token!.data).toEqual(BigInt64Array.of(2n, 3n, 4n, -4n, -3n, -2n));
    expect(arrays.raw!.data).toEqual(Uint8Array.of(2, 0));
  });

  it('hands out copies', async () => {
    const data = mixed(3);
    for await (const { arrays } of data.batches(3)) {
      for (const { data: values } of Object.values(arrays)) values.reverse();
    }
    (await data.gather([0])).arrays.weight!.data.fill(9 as never);
    expect((await data.gather([0, 1, 2])).arrays).toEqual((await mixed(3).gather([0, 1, 2])).arrays);
  });
});

describe('makeDataset', () => {
  it.each([
    [-1, 'set: example -1 asked for, the data set has examples 0..2'],
    [3, 'set: example 3 asked for, the data set has examples 0..2'],
    [0.5, 'set: example 0.5 asked for, the data set has examples 0..2'],
    [Number.NaN, 'set: example NaN asked for, the data set has examples 0..2'],
  ])('refuses the index %d', async (index, expected) => {
    await expect(mixed(3).gather([0, index])).rejects.toThrow(new DataError(expected));
  });

  it.each([
    [{ start: 1, end: 1 }, '[1:1]'],
    [{ start: 2, end: 1 }, '[2:1]'],
    [{ end: 4 }, '[0:4]'],
    [{ start: -1 }, '[-1:3]'],
    [{ start: 0.5 }, '[0.5:3]'],
  ])('refuses the range %o', async (range, shown) => {
    const read = async () => {
      for await (const _ of mixed(3).batches(1, range)) expect.fail('read');
    };
    await expect(read()).rejects.toThrow(
      new DataError(`set: range ${shown} does not fit, expected 0 <= start < end <= 3`),
    );
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses batches of %d', async (size) => {
    const read = async () => {
      for await (const _ of mixed(3).batches(size)) expect.fail('read');
    };
    await expect(read()).rejects.toThrow(new DataError(`set: batch size is ${size}, expected an integer >= 1`));
  });

  it('refuses an empty set', () => {
    const none = async () => ({});
    const source = { name: 'set', length: 0, shapes: {}, fingerprint: '', read: none, pick: none };
    expect(() => makeDataset(source)).toThrow(new DataError('set: holds no examples'));
  });
});

describe('fingerprintOf', () => {
  it('depends on where one part ends and the next begins', () => {
    expect(fingerprintOf('ab', 'c')).not.toBe(fingerprintOf('a', 'bc'));
    expect(fingerprintOf('ab', 'c')).toBe(fingerprintOf(Uint8Array.of(97, 98), 'c'));
  });
});
