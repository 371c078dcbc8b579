import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { encodePng, imageGrid } from './png.ts';

describe('encodePng', () => {
  it('writes what a decoder reads back, rounded and clamped', () => {
    const grey = decode(encodePng({ data: [0, 1.4, 254.6, 300, -5, 128], shape: [1, 2, 3] }));
    expect([grey.width, grey.height, grey.channels]).toEqual([3, 2, 1]);
    expect([...grey.data]).toEqual([0, 1, 255, 255, 0, 128]);
    const colour = decode(encodePng({ data: [1, 2, 10, 20, 100, 200], shape: [3, 1, 2] }));
    expect([...colour.data]).toEqual([1, 10, 100, 2, 20, 200]);
  });

  it('refuses other shapes', () => {
    expect(() => encodePng({ data: [1, 2], shape: [2, 1, 1] })).toThrow(DataError);
    expect(() => encodePng({ data: [1, 2], shape: [1, 1, 3] })).toThrow(/2 values/);
  });
});

describe('imageGrid', () => {
  it('puts images row by row with gaps', () => {
    const images = [1, 2, 3].map((v) => ({ data: [v, v], shape: [1, 1, 2] }));
    const grid = imageGrid(images, { columns: 2, gap: 1 });
    expect(grid.shape).toEqual([1, 5, 7]);
    const row = (y: number) => Array.from(grid.data).slice(y * 7, (y + 1) * 7);
    expect(row(1)).toEqual([230, 1, 1, 230, 2, 2, 230]);
    expect(row(3)).toEqual([230, 3, 3, 230, 230, 230, 230]);
  });

  it('refuses images of different shapes and an empty list', () => {
    const odd = [
      { data: [1], shape: [1, 1, 1] },
      { data: [1, 1], shape: [1, 1, 2] },
    ];
    expect(() => imageGrid(odd, { columns: 2, gap: 0 })).toThrow(/image 1 of the grid is \[1, 1, 2\]/);
    expect(() => imageGrid([], { columns: 2, gap: 0 })).toThrow(DataError);
  });
});
