// What the parameters alone decide is computed when a graph is lowered: nothing of it is left to each run, and the
// numbers are those that the runtime would have computed.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/norms.ts';
import { Arena, type Value } from '../../src/graph/index.ts';
import { lower } from '../../src/lower/index.ts';
import { architecture, collectSpecs, initialWeights, paramScope } from '../../src/models/index.ts';
import type { OnnxModel } from '../../src/onnx/index.ts';
import * as o from '../../src/ops/index.ts';
import { expectClose } from '../support/compare.ts';
import { randomData, randomInputs, randomWeights, runLowered } from '../support/run.ts';

/** Steps that no input has a part in. */
function fixedSteps({ inputs, nodes }: OnnxModel): string[] {
  const varies = new Set(inputs.map(({ name }) => name));
  return nodes.flatMap(({ op, inputs: read, output, more = [] }) => {
    if (!read.some((name) => varies.has(name))) return [op];
    for (const made of [output, ...more]) varies.add(made);
    return [];
  });
}

function normsOf(name: string, sizes: Record<string, number>, data: number[]) {
  const arch = architecture(name);
  const config = arch.configure(sizes, data);
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  const { nll } = arch.loss(config, data, paramScope(new Arena()));
  const start = initialWeights(specs, 1);
  const weights = Object.fromEntries(
    Object.entries(start).map(([key, w]) => {
      const shift = randomData(key, w.data.length, 0.1);
      const learned = specs.find((spec) => spec.name === key)!.trainable;
      return [key, learned ? { shape: w.shape, data: w.data.map((v, i) => v + shift[i]!) } : w];
    }),
  );
  return { graph: normGraph(nll).graph, weights };
}

const models = [
  ['glow', { levels: 2, steps: 2, hidden: 8 }, [1, 8, 8]],
  ['vae', { hidden: 4, latent: 3 }, [1, 32, 32]],
  ['ddpm', { channels: 8 }, [1, 8, 8]],
] as const;

describe.each(models)('norms of a %s', (name, sizes, data) => {
  const { graph, weights } = normsOf(name, sizes, [...data]);

  it('leave no step to the runtime that no example has a part in', () => {
    // But for a few numbers that are the same for every member of a group, whose size is not known before.
    expect(fixedSteps(lower(graph, { examples: 3, weights })).length).toBeLessThanOrEqual(4);
  });

  it('are what they are when all weights are fed', async () => {
    const n = 2;
    const drawn = Object.entries(randomInputs(graph, n));
    // Steps of a diffusion are chosen by a number from 0 to 1.
    const inputs = Object.fromEntries(drawn.map(([key, x]) => [key, key === 'u' ? x.map((v) => Math.abs(v) % 1) : x]));
    const known = await runLowered(graph, inputs, { examples: n, weights });
    const fed = await runLowered(graph, { ...inputs, ...dataOf(weights) }, { examples: n, weights: 'inputs' });
    for (const output of ['nll', 'sqnorm']) expectClose(known[output]!.data, fed[output]!.data, 1e-3);
  });
});

const dataOf = (weights: ReturnType<typeof randomWeights>) =>
  Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data]));

/** A weight of random shape with its axes in another order, and a piece of it in steps forwards and backwards. */
const moves = fc
  .record({
    shape: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    keys: fc.array(fc.integer(), { minLength: 4, maxLength: 4 }),
    steps: fc.array(fc.constantFrom(1, 2, -1, -2), { minLength: 4, maxLength: 4 }),
    cuts: fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }),
  })
  .map(({ shape, keys, steps, cuts }) => {
    const perm = [...shape.keys()].sort((a, b) => keys[a]! - keys[b]! || a - b);
    const axes = perm.map((a, k) => {
      const [size, step] = [shape[a]!, steps[k]!];
      const first = cuts[k]! % size;
      const start = step > 0 ? first : size - 1 - first;
      return { start, step, size: Math.floor((size - 1 - first) / Math.abs(step)) + 1 };
    });
    return { shape, perm, axes };
  });

describe('a weight that is moved about', () => {
  const cut = (v: Value, axes: readonly { start: number; size: number; step: number }[]) =>
    o.sliceRaw(
      v,
      axes.map(({ start }) => start),
      axes.map(({ size }) => size),
      axes.map(({ step }) => step),
    );

  it('has the elements that the runtime would have moved', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async ({ shape, perm, axes }) => {
        const arena = new Arena();
        const w = arena.param('w', shape);
        const moved = cut(o.transpose(w, perm), axes);
        const y = o.mul(arena.input('x', [1]), o.reshape(moved, [-1]));
        const graph = { arena, outputs: { y } };
        const weights = randomWeights(graph);
        const run = (given: typeof weights | 'inputs') =>
          runLowered(graph, { x: Float32Array.of(1), w: weights.w!.data }, { examples: 1, weights: given });
        expect((await run(weights)).y!.data).toEqual((await run('inputs')).y!.data);
      }),
      { numRuns: 40 },
    );
  });

  it('is flipped for the way back through a convolution', async () => {
    const arena = new Arena();
    const x = arena.input('x', [1, 4, 5, 5]);
    const y = o.tanh(
      o.conv(o.tanh(o.conv(x, arena.param('v', [4, 4, 3, 3]))), arena.param('w', [6, 2, 2, 3], {}), {
        groups: 2,
      }),
    );
    const { graph } = normGraph(o.reduceSum(o.mul(y, y)));
    const weights = randomWeights(graph);
    expect(fixedSteps(lower(graph, { examples: 2, weights }))).toEqual([]);
    const inputs = randomInputs(graph, 2);
    const known = await runLowered(graph, inputs, { examples: 2, weights });
    const fed = await runLowered(graph, { ...inputs, ...dataOf(weights) }, { examples: 2, weights: 'inputs' });
    expectClose(known.sqnorm!.data, fed.sqnorm!.data, 1e-5);
  });
});
