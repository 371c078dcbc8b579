import { describe, expect, it } from 'vitest';
import { Arena } from './value.ts';

describe('constants', () => {
  const numbers = (last: number, size: number) =>
    Float64Array.from({ length: size }, (_, i) => (i < size - 1 ? i : last));

  it.each([3, 64, 65, 1000])('of the same %i numbers are one value', (size) => {
    const arena = new Arena();
    const one = arena.constant(numbers(7, size), [size]);
    expect(arena.constant(numbers(7, size), [size])).toBe(one);
    expect(arena.constant(Array.from(numbers(7, size)), [size])).toBe(one);
    const others = [
      arena.constant(numbers(8, size), [size]),
      arena.constant(numbers(0, size), [size]),
      arena.constant(numbers(-0, size), [size]),
      arena.constant(numbers(7, size), [1, size]),
      arena.constant(numbers(7, size), [size], 'int'),
    ];
    expect(new Set([one, ...others]).size).toBe(6);
  });

  it('of few different numbers are told apart in time', () => {
    const arena = new Arena();
    const began = performance.now();
    for (let k = 0; k < 5000; k++) {
      arena.constant(
        Float64Array.from({ length: 70 }, (_, i) => ((k >> (i % 13)) & 1) * 2 - 1),
        [70],
      );
    }
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it('count once towards what a graph may hold', () => {
    const arena = new Arena({ values: 10, numbers: 1500, steps: 10 });
    for (let k = 0; k < 5; k++) arena.constant(numbers(7, 1000), [1000]);
    expect(() => arena.constant(numbers(8, 1000), [1000])).toThrow('constants of more than 1500 numbers in all');
  });
});
