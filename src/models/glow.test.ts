import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { randomData, runLowered } from '../../test/support/run.ts';
import { Arena, interpret, nameOf, paramsOf, reachable, type Value } from '../graph/index.ts';
import { concat, exp, mul, neg, reshape, sub } from '../ops/index.ts';
import { RandomStream } from '../tensor/random.ts';
import type { Weights } from '../tensor/weights.ts';
import { type GlowConfig, glow, glowForward } from './glow.ts';
import { diagonal, identity, inverse, matrix, multiply, plu, randomRotation } from './linalg.ts';
import { collectSpecs, dataInitScope, initialWeights, paramScope } from './scopes.ts';

const data = [1, 4, 4];
const config: GlowConfig = { levels: 2, steps: 2, hidden: 4 };

/** Every parameter away from zero, float32 as saved. */
function randomWeights(): Weights {
  const specs = collectSpecs((scope) => glow.loss(config, data, scope));
  return Object.fromEntries(
    Object.entries(initialWeights(specs, 3)).map(([name, w]) => {
      const shift = randomData(name, w.data.length, 0.2);
      const trainable = specs.find((s) => s.name === name)!.trainable;
      return [name, trainable ? { shape: w.shape, data: w.data.map((v, i) => v + shift[i]!) } : w];
    }),
  );
}

const weights = randomWeights();
const bound = Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data]));
const y = Float64Array.from(randomData('y', 16, 0.2));

/** The flow with its latents: as they are (z), and as the noise that the prior makes them from (e0, e1). */
function flow(arena = new Arena(), scope = paramScope(arena)) {
  const { latents, logDet } = glowForward(config, scope, arena.input('y', [1, ...data]));
  const standard = latents.map((l) => {
    const std = l.logStd === 0 ? 1 : exp(neg(l.logStd));
    return mul(sub(l.z, l.mean), std);
  });
  const z = concat(
    latents.map((l) => reshape(l.z, [-1])),
    0,
  );
  const outputs: Record<string, Value> = { z, logDet };
  standard.forEach((e, i) => {
    outputs[`z${i}`] = e;
  });
  return { arena, outputs };
}

describe('glow', () => {
  const graph = flow();

  it('reports the volume change of its map', () => {
    const h = 1e-5;
    const z = (at: Float64Array) => interpret(graph, { ...bound, y: at }).z!.data;
    const shifted = (j: number, by: number) => y.map((v, i) => (i === j ? v + by : v));
    const columns = Array.from({ length: 16 }, (_, j) => {
      const [up, down] = [z(shifted(j, h)), z(shifted(j, -h))];
      return up.map((v, i) => (v - down[i]!) / (2 * h));
    });
    const jacobian = matrix(16, (i, j) => columns[j]![i]!);
    const logDet = diagonal(plu(jacobian, 16).u, 16).reduce((sum, d) => sum + Math.log(Math.abs(d)), 0);
    expectClose(interpret(graph, { ...bound, y }).logDet!.data, [logDet], 1e-7);
  });

  it('is undone by its sampler', () => {
    const { z0, z1 } = interpret(graph, { ...bound, y });
    const arena = new Arena();
    const x = glow.sample!(config, data, paramScope(arena), weights, { temperature: 1, pixelNoise: false });
    const image = interpret({ arena, outputs: { x } }, { ...bound, z0: z0!, z1: z1! }).x!.data;
    expectClose(
      image.map((v) => (v + 0.5) / 256 - 0.5),
      y,
      1e-9,
    );
  });

  it('starts with activations of mean 0 and variance 1 per channel when initialised from data', () => {
    const arena = new Arena();
    const found = new Map<string, Value>();
    const one = { levels: 1, steps: 1, hidden: 4 };
    const { logDet } = glowForward(one, dataInitScope(arena, 1, found), arena.input('y', [1, ...data]));
    expect([...found.keys()]).toEqual(['level0.step0.actnorm.bias', 'level0.step0.actnorm.logs']);
    expect([...found.values()].map((v) => v.lead)).toEqual(['group', 'group']);
    const [bias, logs] = [...found.values()] as [Value, Value];
    const values = interpret({ arena, outputs: { bias, logs, logDet } }, { ...bound, y });
    // Channel 2i + j of the squeezed image holds rows i, i + 2 and columns j, j + 2.
    for (const [i, j] of [0, 1, 2, 3].map((c) => [c >> 1, c % 2] as const)) {
      const channel = [0, 2].flatMap((r) => [0, 2].map((s) => y[(r + i) * 4 + s + j]!));
      const mean = channel.reduce((a, b) => a + b) / 4;
      const std = Math.sqrt(channel.reduce((a, b) => a + (b - mean) ** 2, 0) / 4);
      expectClose([values.bias!.data[2 * i + j]!, values.logs!.data[2 * i + j]!], [-mean, -Math.log(std + 1e-6)], 1e-9);
    }
  });

  it('finds the same initial values from a batch on ONNX Runtime, whose examples are one group', async () => {
    const n = 6;
    const arena = new Arena();
    const found = new Map<string, Value>();
    glowForward({ ...config, steps: 1 }, dataInitScope(arena, n, found), arena.input('y', [1, ...data]));
    const batch = randomData('batch', n * 16, 0.2);
    const graph = { arena, outputs: Object.fromEntries(found) };
    const values = await runLowered(graph, { y: batch }, { examples: n, group: n, weights });
    expect(Object.keys(values)).toHaveLength(4);
    const channel = batch.filter((_, i) => Math.floor((i % 16) / 4) % 2 === 1 && i % 2 === 0); // odd rows, even columns
    const mean = channel.reduce((a, b) => a + b) / channel.length;
    const std = Math.sqrt(channel.reduce((a, b) => a + (b - mean) ** 2, 0) / channel.length);
    expectClose([values['level0.step0.actnorm.bias']!.data[2]!], [-mean], 1e-4);
    expectClose([values['level0.step0.actnorm.logs']!.data[2]!], [-Math.log(std)], 1e-4);
  });

  it('keeps the terms of parameters free of the example', () => {
    const terms = reachable([graph.outputs.logDet!]).filter((v) => v.lead === 'none' && v.shape.length === 0);
    const named = (v: Value) => paramsOf({ arena: v.arena, outputs: { v } }).map(nameOf);
    expect(named(terms.at(-1)!).sort()).toEqual(
      Object.keys(weights)
        .filter((name) => /logs|logDiag/.test(name))
        .sort(),
    );
  });

  it('has 24 steps × (2 + 3 + 6) + 2 priors × 2 trainable tensors at its default size', () => {
    const specs = collectSpecs((scope) => glow.loss({ levels: 3, steps: 8, hidden: 64 }, [1, 32, 32], scope));
    expect(specs.filter((s) => s.trainable).length).toBe(268);
  });
});

describe('linear algebra', () => {
  it.each([1, 2, 5, 16])('factors and inverts a random rotation of size %i', (n) => {
    const q = randomRotation(n, new RandomStream(1, 'rotation'));
    const transposed = matrix(n, (i, j) => q[j * n + i]!);
    expectClose(multiply(q, transposed, n), identity(n), 1e-13, 'Q·Qᵀ', 1);
    expectClose(inverse(q, n), transposed, 1e-12, 'Q⁻¹', 1);
    const { p, l, u } = plu(q, n);
    expectClose(multiply(p, multiply(l, u, n), n), q, 1e-13, 'P·L·U', 1);
    expect(l.every((v) => Math.abs(v) <= 1)).toBe(true);
  });

  it('refuses a singular matrix', () => {
    expect(() => inverse(new Float64Array(4), 2)).toThrow('a 2×2 matrix is singular or not finite');
  });
});
