import { describe, expect, it } from 'vitest';
import { normGraph } from '../features/index.ts';
import { Arena, type Value } from '../graph/index.ts';
import { lower } from '../lower/index.ts';
import { conv, matmul, mul, reduceSum, reshape, tanh } from './index.ts';

/** Axes of the transpositions in the lowered norms of a convolution whose kernel is a product of two matrices. */
function transposedAxes(kernel: readonly number[]): number[] {
  const arena = new Arena();
  const factor = (name: string): Value => tanh(arena.param(name, [4, 4]));
  const taps = kernel.reduce((a, b) => a * b);
  const w = reshape(matmul(factor('a'), matmul(factor('b'), arena.param('c', [4, 4 * taps]))), [4, 4, ...kernel]);
  const y = conv(arena.input('x', [1, 4, 5, 5]), w, { pads: [0, 0, kernel[0]! - 1, kernel[1]! - 1] });
  const { graph } = normGraph(reduceSum(mul(y, y)));
  const { nodes } = lower(graph, { examples: 2, weights: 'inputs' });
  return nodes.filter(({ op }) => op === 'Transpose').map(({ attrs }) => (attrs.perm as readonly number[]).length);
}

describe('a weight gradient that other ops read', () => {
  it('is transposed as a matrix where its kernel has one place', () => {
    expect(Math.max(...transposedAxes([1, 1]))).toBeLessThanOrEqual(4); // of 8 with those of size 1
  });

  it('is transposed without axes of size 1 else', () => {
    expect(Math.max(...transposedAxes([3, 2]))).toBeLessThanOrEqual(5);
  });
});
