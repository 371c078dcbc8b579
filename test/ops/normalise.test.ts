// Normalisation and its statistics in float32 against float64 where the mean is much larger than the spread.

import { describe, expect, it } from 'vitest';
import { openProgram } from '../../src/engine/index.ts';
import { Arena, interpret } from '../../src/graph/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { inverseStd, normalise } from '../../src/ops/index.ts';
import { randomData } from '../support/run.ts';

const shape = [1, 8, 24, 24];

describe.each([
  ['layer', 1],
  ['group', 2],
  ['instance', 8],
] as const)('%s normalisation', (_, groups) => {
  it.each([
    [0, 1],
    [100, 1],
    [-1000, 1],
    [1, 1e-3],
  ])('keeps its digits at a mean of %d and a spread of %d', async (mean, spread) => {
    const arena = new Arena();
    const x = arena.input('x', shape);
    const graph = { arena, outputs: { y: normalise(x, 1, groups, 1e-5), i: inverseStd(x, 1, groups, 1e-5) } };
    const data = Float32Array.from(randomData('x', 8 * 24 * 24), (v) => mean + spread * v);
    const exact = interpret(graph, { x: Float64Array.from(data) });
    const program = openProgram(graph, { runtime: nodeRuntime({ cache: '' }), weights: {}, batch: 1 });
    const found = await program.run({ x: { data, shape } });
    await program.dispose();
    for (const [k, i] of found.i!.data.entries()) expect(Math.abs(i / exact.i!.data[k]! - 1)).toBeLessThan(1e-5);
    // The mean itself is a float32: what it is off by is the same for all that is normalised together.
    const off = 8 * 2 ** -24 * (1 + Math.abs(mean / spread));
    for (const [k, y] of found.y!.data.entries()) expect(Math.abs(y - exact.y!.data[k]!)).toBeLessThan(off);
  });
});
