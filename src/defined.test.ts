// Records without the keys that have nothing to say.

import { expect, it } from 'vitest';
import { defined, filled } from './defined.ts';

it('leaves out what is undefined, and nothing else', () => {
  const given: { a?: number; b: null; c: string | undefined } = { b: null, c: undefined };
  const found: { a?: number; b: null; c?: string; d: number; e: string } = defined({
    a: given.a,
    b: given.b,
    c: given.c,
    d: 0,
    e: '',
  });
  expect(Object.entries(found)).toEqual([
    ['b', null],
    ['d', 0],
    ['e', ''],
  ]);
});

it('leaves out lists with nothing in them', () => {
  expect(filled({ a: [], b: [0], c: [undefined] })).toEqual({ b: [0], c: [undefined] });
});
