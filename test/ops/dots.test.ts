// Sums of products along rows, of lengths around those at which they are made another way, against float64; and the
// form in which they reach the runtime.

import { describe, expect, it } from 'vitest';
import { openProgram } from '../../src/engine/index.ts';
import { normGraph } from '../../src/features/norms.ts';
import { Arena } from '../../src/graph/index.ts';
import { estimateMemory, lower } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { groupSum, inner, mul, sqNorm, weightedSqNorm } from '../../src/ops/index.ts';
import { defaultModel } from '../support/models.ts';
import { randomData } from '../support/run.ts';

const runtime = nodeRuntime({ cache: '' });

describe.each([1, 1023, 1024, 5000, 2 ** 20, 2 ** 20 + 1])('sums of products of %d numbers', (size) => {
  it.each([1, 2])('are those of float64, in groups of %d', async (group) => {
    const n = 4;
    const arena = new Arena();
    const [x, y] = [arena.input('x', [1, size]), arena.input('y', [1, size])];
    const w = arena.param('w', [1, size]);
    const [g, h] = [groupSum(x), groupSum(y)];
    const outputs = { square: sqNorm(g), product: inner(g, h), fixed: inner(w, g), weighted: weightedSqNorm(g, w) };
    const data = Object.fromEntries(['x', 'y'].map((name) => [name, randomData(name, n * size)]));
    const weights = { w: { shape: [1, size], data: randomData('w', size) } };
    const program = openProgram({ arena, outputs }, { runtime, weights, group, batch: n });
    const feeds = Object.fromEntries(Object.entries(data).map(([name, d]) => [name, { data: d, shape: [n, size] }]));
    const found = await program.run(feeds);
    await program.dispose();
    const summed = (name: string, row: number, k: number) => {
      let sum = 0;
      for (let i = 0; i < group; i++) sum += data[name]![(row * group + i) * size + k]!;
      return sum;
    };
    for (let row = 0; row < n / group; row++) {
      const wanted = { square: 0, product: 0, fixed: 0, weighted: 0 };
      let scale = 0; // of sums in which terms cancel
      for (let k = 0; k < size; k++) {
        const [a, b, r] = [summed('x', row, k), summed('y', row, k), weights.w.data[k]!];
        wanted.square += a * a;
        wanted.product += a * b;
        wanted.fixed += a * r;
        wanted.weighted += (a * r) ** 2;
        scale += Math.abs(a) * (Math.abs(a) + Math.abs(b) + Math.abs(r));
      }
      for (const [name, value] of Object.entries(wanted)) {
        expect(Math.abs(found[name]!.data[row]! - value)).toBeLessThan(1e-5 * scale);
      }
    }
  });

  it('have no constant on the right, which would be packed into columns nobody reads', () => {
    const arena = new Arena();
    const x = groupSum(mul(arena.input('x', [1, size]), 2));
    const w = arena.param('w', [1, size]);
    const graph = { arena, outputs: { inner: inner(x, w), square: sqNorm(x) } };
    const weights = { w: { shape: [1, size], data: new Float32Array(size) } };
    const model = lower(graph, { examples: 2, weights });
    const constants = new Set(model.initializers.map(({ name }) => name));
    const products = model.nodes.filter(({ op }) => op === 'MatMul' || op === 'Gemm');
    expect(products.length).toBeGreaterThan(0);
    for (const { inputs } of products) expect(constants.has(inputs[1]!)).toBe(false);
  });
});

it.each(['glow', 'vae', 'ddpm'] as const)('all views of a %s take hardly more memory than norms', (name) => {
  const of = (views: object) => estimateMemory(normGraph(defaultModel(name).loss(), views).graph).perExample;
  expect(of({ radial: true, fisher: true, factored: 'auto' }) / of({})).toBeLessThan(1.2);
});
