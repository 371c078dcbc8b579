// A loss as a sum of named terms: numbers of one example each, or sums over the regions of an image and the blocks of a
// sequence.

import type { Value } from '../graph/index.ts';
import { add, matmul, mul, neg, type Operand, reduceSum, reshape } from '../ops/index.ts';

/**
 * Terms of a loss in nats, which add up to all of it that depends on the example: `value` has one element for each
 * name.
 */
export interface Parts {
  readonly names: readonly string[];
  readonly value: Value;
}

/**
 * Rows and columns of regions, and blocks of a sequence, that sums over places are taken apart into; fewer where there
 * are fewer places.
 */
const [GRID, BLOCKS] = [4, 8];

/** One term: `value` has one element. */
export const partOf = (name: string, value: Value): Parts => ({ names: [name], value: reshape(value, [1]) });

/** The terms with the other sign. */
export const negated = ({ names, value }: Parts): Parts => ({ names, value: neg(value) });

/** The terms times a number, or a value of one element. */
export const scaledParts = ({ names, value }: Parts, factor: Operand): Parts => ({ names, value: mul(value, factor) });

/** Terms of the same names added up. */
export const summedParts = (all: readonly Parts[]): Parts => ({
  names: all[0]!.names,
  value: all.map(({ value }) => value).reduce(add),
});

/** The sum of x [..., h, w] over each of 4 × 4 regions of nearly equal sizes: `name[row,column]`. */
export function regionParts(name: string, x: Value): Parts {
  const [h, w] = x.shape.slice(-2) as [number, number];
  const plane = reshape(reduceSum(reshape(x, [-1, h, w]), [0]), [h, w]);
  const [rows, columns] = [Math.min(GRID, h), Math.min(GRID, w)];
  const ofRows = blockSums(reshape(blockSums(plane, columns), [h, columns]), rows, 0);
  const names = Array.from({ length: rows * columns }, (_, k) => `[${Math.floor(k / columns)},${k % columns}]`);
  return { names: names.map((place) => `${name}${place}`), value: reshape(ofRows, [rows * columns]) };
}

/** The sum of x, of n elements, over each of 8 blocks of nearly equal lengths: `name[block]`. */
export function blockParts(name: string, x: Value): Parts {
  const flat = reshape(x, [1, -1]);
  const count = Math.min(BLOCKS, flat.shape[1]!);
  const names = Array.from({ length: count }, (_, k) => `${name}[${k}]`);
  return { names, value: reshape(blockSums(flat, count), [count]) };
}

/** Sums over `count` blocks of the last axis of x [h, w], or of its first: [h, count] or [count, w]. */
function blockSums(x: Value, count: number, axis: 0 | 1 = 1): Value {
  const [h, w] = x.shape as [number, number];
  const length = x.shape[axis]!;
  if (length % count === 0) {
    const shape = axis === 1 ? [h, count, w / count] : [count, h / count, w];
    return reduceSum(reshape(x, shape), [axis === 1 ? 2 : 1]);
  }
  const blockOf = (i: number) => Math.floor((i * count) / length);
  const [rows, columns] = axis === 1 ? [length, count] : [count, length];
  const member = Array.from({ length: rows * columns }, (_, at) => {
    const [i, k] = axis === 1 ? [Math.floor(at / count), at % count] : [at % length, Math.floor(at / length)];
    return Number(blockOf(i) === k);
  });
  const blocks = x.arena.constant(member, [rows, columns]);
  return axis === 1 ? matmul(x, blocks) : matmul(blocks, x);
}
