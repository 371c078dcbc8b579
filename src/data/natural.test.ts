import { expect, it } from 'vitest';
import { naturally } from './natural.ts';

it('sorts numbers in names by what they are', () => {
  const sorted = [
    '1',
    '01',
    '2.png',
    '10.png',
    'B2',
    'a',
    'a1b',
    'a1b2',
    'a1b10',
    'a2',
    'a02b',
    'a10',
    'b',
    `c${'9'.repeat(30)}`,
  ];
  const by = (names: readonly string[]) => names.toSorted(naturally);
  expect(by(sorted.toReversed())).toEqual(by(sorted));
  expect(by(['a10', 'a9', 'a1', 'b1', 'a'])).toEqual(['a', 'a1', 'a9', 'a10', 'b1']);
  expect(by(['1', '01', '001'])).toEqual(['001', '01', '1']);
  expect(by([`x${'9'.repeat(30)}`, `x1${'0'.repeat(30)}`, 'x5'])).toEqual([
    'x5',
    `x${'9'.repeat(30)}`,
    `x1${'0'.repeat(30)}`,
  ]);
  expect(by(['part-00010-of-2', 'part-00009-of-2', 'part-00002-of-2'])[0]).toBe('part-00002-of-2');
});
