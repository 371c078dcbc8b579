// Sizes as exporters declare them: what they come to, which names are in them, and what a name must be.

import { describe, expect, it } from 'vitest';
import { parseSize, solve } from './sizes.ts';

const at = (text: string, sizes: Readonly<Record<string, number>>) =>
  parseSize(text, 'x.1').at(new Map(Object.entries(sizes)));

describe('a declared size', () => {
  it.each([
    ['s', { s: 7 }, 7],
    ['2*s', { s: 7 }, 14],
    ['2*s + 1', { s: 7 }, 15],
    ['s1 - s0', { s1: 9, s0: 2 }, 7],
    ['s//2', { s: 7 }, 3],
    ['((s - 1)//2) + 1', { s: 7 }, 4],
    ['s**2', { s: 3 }, 9],
    ['-s + 10', { s: 3 }, 7],
    ['Max(1, s)', { s: 7 }, 7],
    ['Mod(s, 4)', { s: 7 }, 3],
    ['past_sequence_length + sequence_length', { past_sequence_length: 3, sequence_length: 4 }, 7],
    ['batch-size', { 'batch-size': 5 }, 5], // a dash between letters belongs to a name
    ['unk__12', { unk__12: 2 }, 2],
  ])('%s', (text, sizes, value) => expect(at(text, sizes)).toBe(value));

  it.each(['', '?', '?1', 'None', 'unknown', '-1'])("without a name ('%s') is called by its place", (text) => {
    expect(parseSize(text, 'x.1').names).toEqual(['x.1']);
  });

  it.each(['a b', '2*', 'f(x)', 'constructor(1)', '(((', 'größe!', '('.repeat(10_000)])(
    'that is no expression is a name: %#',
    (text) => {
      expect(parseSize(text, 'x.1').names).toEqual([text]);
    },
  );

  it('of a number has no names', () => expect(parseSize(12, 'x.1')).toMatchObject({ text: '12', names: [] }));
});

describe('what a name must be', () => {
  it.each([
    ['2*s', 14, [7]],
    ['2*s', 15, []],
    ['2*s + 1', 3_000_001, [1_500_000]],
    ['s - 3', 4, [7]],
    ['s//2', 3, [6, 7]],
    ['s**2', 49, [7]],
    ['Max(s, 5)', 5, [1, 2]],
    ['Max(s, 5)', 6, [6]],
    ['10 - s', 4, [6]],
    ['2*s', 10 ** 12, [5 * 10 ** 11]],
    ['s**2', 10 ** 9 + 7, []],
  ])('%s = %d', (text, wanted, found) => {
    const began = performance.now();
    expect(solve(parseSize(text, 'x.1'), 's', wanted, new Map())).toEqual(found);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
