import { describe, expect, it } from 'vitest';
import { RandomStream, threefry2x32 } from './random.ts';

describe('threefry2x32', () => {
  // Known-answer vectors published with Random123 (threefry 2x32, 20 rounds).
  it.each([
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])('key %i %i', (k0, k1, c0, c1, x0, x1) => {
    const out = new Uint32Array(2);
    threefry2x32(k0, k1, c0, c1, out);
    expect([...out]).toEqual([x0, x1]);
  });
});

describe('RandomStream', () => {
  it('depends on seed, name and index, and on nothing else', () => {
    const draw = (seed: number, name: string, index: number) => {
      const out = new Float32Array(5);
      new RandomStream(seed, name).normal(index, out);
      return [...out];
    };
    expect(draw(1, 'eps', 7)).toEqual(draw(1, 'eps', 7));
    expect(draw(1, 'eps', 7)).not.toEqual(draw(2, 'eps', 7));
    expect(draw(1, 'eps', 7)).not.toEqual(draw(1, 'noise', 7));
    expect(draw(1, 'eps', 7)).not.toEqual(draw(1, 'eps', 8));
    expect(draw(1, 'eps', 7)).not.toEqual(draw(1 + 2 ** 32, 'eps', 7));
  });

  it('has the moments of its distribution', () => {
    const n = 200_000;
    const u = new Float64Array(n);
    const z = new Float64Array(n);
    new RandomStream(3, 'u').uniform(0, u);
    new RandomStream(3, 'z').normal(0, z);
    const mean = (a: Float64Array, f: (x: number) => number) => a.reduce((s, x) => s + f(x), 0) / n;
    // Standard errors at n = 2e5: 6e-4 for the uniform's mean, 2e-3 for the normal's, 1e-2 for its fourth moment.
    expect(Math.abs(mean(u, (x) => x) - 0.5)).toBeLessThan(3e-3);
    expect(Math.abs(mean(u, (x) => x * x) - 1 / 3)).toBeLessThan(3e-3);
    expect(Math.abs(mean(z, (x) => x))).toBeLessThan(1e-2);
    expect(Math.abs(mean(z, (x) => x * x) - 1)).toBeLessThan(1.5e-2);
    expect(Math.abs(mean(z, (x) => x ** 4) - 3)).toBeLessThan(0.12);
    expect(Math.max(...u.subarray(0, 10_000))).toBeLessThan(1);
  });

  it('permutes', () => {
    const order = new RandomStream(5, 'order').permutation(2, 1000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
    expect([...new RandomStream(5, 'order').permutation(3, 1000)]).not.toEqual([...order]);
  });
});
