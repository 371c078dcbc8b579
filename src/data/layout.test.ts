import { describe, expect, it } from 'vitest';
import { memoryDataset } from './dataset.ts';
import { inLayout, layoutOf, toLayout, turnFor } from './layout.ts';
import { take } from './transforms.ts';

describe('layoutOf', () => {
  it('tells where 1 or 3 channels are, unless they may be at either end', () => {
    expect(
      [
        [3, 8, 8],
        [1, 8, 9],
        [8, 8, 3],
        [8, 9, 1],
      ].map(layoutOf),
    ).toEqual(['nchw', 'nchw', 'nhwc', 'nhwc']);
    expect([[3, 8, 3], [1, 8, 1], [8, 8, 8], [2, 8, 8], [8], [8, 3]].map(layoutOf)).toEqual(
      new Array(6).fill(undefined),
    );
  });
});

describe('toLayout', () => {
  const planes = { data: Float32Array.from({ length: 2 * 24 }, (_, i) => i), shape: [2, 3, 4] };
  const data = memoryDataset('d', 2, 'f', { x: planes });

  it('moves the axis, and back', async () => {
    const last = toLayout(data, 'nhwc');
    expect(last.shapes).toEqual({ x: [3, 4, 2] });
    const { x } = (await last.gather([1])).arrays;
    for (let c = 0; c < 2; c++) {
      for (let p = 0; p < 12; p++) expect(x!.data[p * 2 + c]).toBe(24 + c * 12 + p);
    }
    const back = toLayout(last, 'nchw');
    for await (const { arrays } of back.batches(2))
      expect(arrays.x).toEqual({ data: planes.data, shape: [2, 2, 3, 4] });
    expect((await take(last, 1, 2).gather([0])).arrays).toEqual((await last.gather([1])).arrays);
    expect([last.fingerprint, last.origin]).toEqual(['f nhwc', data.origin]);
  });
});

describe('turnFor', () => {
  it('turns where only that fits, or where it is said', () => {
    expect(turnFor([3, 8, 9], [8, 9, 3], undefined)).toBe('nhwc');
    expect(turnFor([8, 9, 3], [3, 8, 9], undefined)).toBe('nchw');
    expect(turnFor([8, 9, 3], [8, 9, 3], undefined)).toBeUndefined();
    expect(turnFor([7, 8, 9], [9, 7, 8], undefined)).toBeUndefined(); // no image that anybody said was one
    expect(turnFor([7, 8, 9], [9, 7, 8], 'nchw')).toBe('nchw');
    expect(turnFor([3, 3, 3], [3, 3, 3], undefined)).toBeUndefined();
    expect(turnFor([3, 3, 3], [3, 3, 3], 'nhwc')).toBe('nhwc');
    expect(inLayout([8, 9, 3], 'nchw')).toEqual([3, 8, 9]);
  });
});
