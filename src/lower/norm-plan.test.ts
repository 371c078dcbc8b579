import { describe, expect, it } from 'vitest';
import { normGraph } from '../features/index.ts';
import { Arena } from '../graph/index.ts';
import { conv, matmul, mul, reduceSum, reshape } from '../ops/index.ts';
import { countMultiplications } from './norm-plan.ts';

/** Sum of squares of a convolution 2 -> 3 channels, 3×3, of a picture of 5×4, then of a product with a matrix. */
function loss() {
  const arena = new Arena();
  const x = arena.input('x', [1, 2, 5, 4]);
  const y = conv(x, arena.param('w', [3, 2, 3, 3]), { pads: [1, 1, 1, 1] });
  const z = matmul(reshape(y, [1, 60]), arena.param('v', [60, 7]));
  return reduceSum(mul(z, z));
}

describe('countMultiplications', () => {
  const [convolution, product] = [60 * 18, 60 * 7];

  it('counts convolutions and products of the forward pass', () => {
    const nll = loss();
    expect(countMultiplications({ arena: nll.arena, outputs: { nll } })).toBe(convolution + product);
  });

  it('counts the backward pass and the norms by their plans', () => {
    const { graph } = normGraph(loss());
    const backward = product; // to the convolution's result; nothing asks for the gradient of x
    // the product of patches and cotangents; one position: two norms and their product
    const [w, v] = [(20 + 1) * 18 * 3, 60 + 7 + 1];
    expect(countMultiplications(graph)).toBe(convolution + product + backward + w + v);
    const forced = countMultiplications(graph, 1, 'direct');
    expect(forced).toBe(convolution + product + backward + w + (1 + 1) * 60 * 7);
  });

  it('shares what a group shares among its examples', () => {
    const { graph } = normGraph(loss());
    const [w, v] = [((20 * 5 + 1) * 18 * 3) / 5, Math.min(25 * 68, 6 * 420) / 5];
    expect(countMultiplications(graph, 5)).toBe(convolution + 2 * product + w + v);
  });
});
