import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { Arena, interpret } from '../graph/index.ts';
import { categorical, drawCategory, oneHot } from './index.ts';

const logits = [0.3, -2, 5, 1];
const total = logits.reduce((s, v) => s + Math.exp(v), 0);

describe('categorical', () => {
  const arena = new Arena();
  const rows = arena.constant([...logits, ...logits.map((v) => v + 900)], [2, 4]);
  const logProb = categorical(arena.input('x', [2, 1]), rows, 1);
  const of = (a: number, b: number) => interpret({ arena, outputs: { logProb } }, { x: [a, b] }).logProb!.data;

  it('is the softmax of the logits, whatever their size', () => {
    for (const [a, b] of [
      [0, 3],
      [2, 1],
    ] as const) {
      expectClose(of(a, b), [logits[a]! - Math.log(total), logits[b]! - Math.log(total)], 1e-12);
    }
  });

  it('is -∞ for what is not one of the numbers', () => {
    for (const x of [-1, 4, 1.5, 1e9]) expect([...of(x, 2)]).toEqual([-Infinity, of(2, 2)[1]]);
  });
});

describe('a draw', () => {
  const arena = new Arena();
  const drawn = drawCategory(arena.constant(logits, [1, 4]), arena.input('u', [1, 1]));
  const at = (u: number) => interpret({ arena, outputs: { drawn } }, { u: [u] }).drawn!.data[0];

  it('inverts the distribution function', () => {
    let below = 0;
    for (const [k, v] of logits.entries()) {
      expect(at(below + 1e-9)).toBe(k);
      below += Math.exp(v) / total;
      expect(at(below - 1e-9)).toBe(k);
    }
    expect([at(0), at(1)]).toEqual([0, 3]);
  });
});

it('marks one number of an axis', () => {
  const arena = new Arena();
  const hot = oneHot(arena.input('x', [2, 1]), 3, 1);
  expect([...interpret({ arena, outputs: { hot } }, { x: [2, 0] }).hot!.data]).toEqual([0, 0, 1, 1, 0, 0]);
});
