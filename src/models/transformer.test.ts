import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { randomData, runLowered } from '../../test/support/run.ts';
import { differentiate } from '../autodiff/index.ts';
import { Arena, interpret, nameOf, paramsOf } from '../graph/index.ts';
import { RandomStream } from '../tensor/random.ts';
import type { Weights } from '../tensor/weights.ts';
import { collectSpecs, initialWeights, paramScope } from './scopes.ts';
import { byteLogProbs, transformer } from './transformer.ts';

const config = { layers: 2, width: 4, heads: 2 };
const length = 6;

const specs = collectSpecs((scope) => transformer.loss(config, [length], scope));
const weights: Weights = Object.fromEntries(
  Object.entries(initialWeights(specs, 2)).map(([name, w]) => {
    const shift = randomData(name, w.data.length, 0.3);
    return [name, { shape: w.shape, data: w.data.map((v, i) => v + shift[i]!) }];
  }),
);
const bound = Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data]));
const text = Float64Array.from([72, 0, 255, 72, 10, 200]);

const arena = new Arena();
const logProbs = byteLogProbs(config, paramScope(arena), arena.input('x', [1, length]));
const graph = { arena, outputs: { logProbs } };
const conditionals = (x: ArrayLike<number>) => interpret(graph, { ...bound, x }).logProbs!.data;

/** The model again, written with loops from the papers' equations. */
function byHand(x: ArrayLike<number>): number[] {
  const { width, heads, layers } = config;
  const p = (name: string) => weights[name]!.data;
  const dot = (row: readonly number[], name: string, bias = true) => {
    const [, o] = weights[`${name}.weight`]!.shape as [number, number];
    return Array.from({ length: o }, (_, j) =>
      row.reduce((s, v, i) => s + v * p(`${name}.weight`)[i * o + j]!, bias ? p(`${name}.bias`)[j]! : 0),
    );
  };
  const norm = (row: readonly number[], name: string) => {
    const mean = row.reduce((a, b) => a + b) / width;
    const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / width;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * p(`${name}.gain`)[i]! + p(`${name}.bias`)[i]!);
  };
  const softmax = (row: readonly number[]) => {
    const total = row.reduce((s, v) => s + Math.exp(v), 0);
    return row.map((v) => Math.exp(v) / total);
  };
  // Φ by Simpson's rule
  const phi = (z: number) => {
    const n = 2000;
    const f = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
    let sum = f(0) + f(z);
    for (let i = 1; i < n; i++) sum += (i % 2 === 1 ? 4 : 2) * f((z * i) / n);
    return 0.5 + (sum * z) / n / 3;
  };
  let h = Array.from({ length }, (_, t) =>
    Array.from(
      { length: width },
      (_, i) => p('position')[t * width + i]! + (t === 0 ? 0 : p('embedding')[x[t - 1]! * width + i]!),
    ),
  );
  for (let layer = 0; layer < layers; layer++) {
    const at = `block${layer}`;
    const normed = h.map((row) => norm(row, `${at}.norm1`));
    const [q, k, v] = ['query', 'key', 'value'].map((name) =>
      normed.map((row) => dot(row, `${at}.attention.${name}`, false)),
    ) as [number[][], number[][], number[][]];
    const size = width / heads;
    h = h.map((row, t) => {
      const mixed = Array.from({ length: heads }, (_, head) => {
        const part = (r: readonly number[]) => r.slice(head * size, (head + 1) * size);
        const scores = k.slice(0, t + 1).map((key) => {
          return part(key).reduce((s, a, i) => s + a * part(q[t]!)[i]!, 0) / Math.sqrt(size);
        });
        const share = softmax(scores);
        return Array.from({ length: size }, (_, i) => share.reduce((s, a, j) => s + a * part(v[j]!)[i]!, 0));
      }).flat();
      const out = dot(mixed, `${at}.attention.out`);
      return row.map((a, i) => a + out[i]!);
    });
    h = h.map((row) => {
      const hidden = dot(norm(row, `${at}.norm2`), `${at}.mlp.hidden`).map((a) => a * phi(a));
      const out = dot(hidden, `${at}.mlp.out`);
      return row.map((a, i) => a + out[i]!);
    });
  }
  return h.map((row, t) => Math.log(softmax(dot(norm(row, 'norm'), 'head'))[x[t]!]!));
}

describe('transformer', () => {
  it('is what its papers say', () => {
    expectClose(conditionals(text), byHand(text), 1e-9);
  });

  it('makes each byte depend on those before it, and on all of them', () => {
    const before = conditionals(text);
    for (let t = 0; t < length; t++) {
      const after = conditionals(text.map((v, i) => (i === t ? (v + 1) % 256 : v)));
      expect([...before.keys()].filter((s) => after[s] !== before[s])).toEqual([...before.keys()].slice(t));
    }
  });

  it('gives probabilities that sum to 1 over the values of a byte', () => {
    for (const t of [0, 3, length - 1]) {
      const each = Array.from({ length: 256 }, (_, k) => conditionals(text.map((v, i) => (i === t ? k : v)))[t]!);
      expectClose([each.reduce((s, v) => s + Math.exp(v), 0)], [1], 1e-12);
    }
  });

  it('has a gradient in every number, but for embeddings of bytes that are not there', () => {
    const training = new Arena();
    const { nll } = transformer.loss(config, [length], paramScope(training));
    const params = paramsOf({ arena: training, outputs: { nll } });
    const outputs = Object.fromEntries(differentiate(nll, params).map((g, i) => [nameOf(params[i]!), g]));
    const gradients = interpret({ arena: training, outputs }, { ...bound, x: text });
    const seen = new Set(text.slice(0, -1));
    for (const [name, { data }] of Object.entries(gradients)) {
      const dead = [...data.keys()].filter((i) => Math.abs(data[i]!) < 1e-12);
      const rows = new Set(name === 'embedding' ? dead.map((i) => Math.floor(i / config.width)) : dead);
      expect([...rows], name).toEqual(
        name === 'embedding' ? Array.from({ length: 256 }, (_, k) => k).filter((k) => !seen.has(k)) : [],
      );
    }
  });

  it('refuses images and widths that its heads do not share', () => {
    expect(() => transformer.configure({}, [1, 28, 28])).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: transformer needs sequences of 2 to 8192 bytes, of shape [length], got [1, 28, 28]]`,
    );
    expect(() => transformer.configure({ width: 100, heads: 3 }, [8])).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: transformer: a width of 100 is not divisible by 3 heads]`,
    );
  });
});

describe('the sampler of transformer', () => {
  it.each([0, 3, length - 1])('draws byte %i from its probabilities given those before', async (k) => {
    const n = 6000;
    const sampling = new Arena();
    const sampler = transformer.iterativeSampler!(config, [length]);
    expect(sampler.steps).toBe(length);
    const next = sampler.step(paramScope(sampling), 1);
    const u = new Float32Array(n);
    new RandomStream(3, `u ${k}`).uniform(0, u);
    const start = text.map((v, i) => (i < k ? v : 0));
    const state = Float32Array.from({ length: n * length }, (_, i) => start[i % length]!);
    const inputs = { state, u, index: new Float32Array(n).fill(sampler.scalars(k).index!) };
    const drawn = (await runLowered({ arena: sampling, outputs: { next } }, inputs, { examples: n, weights })).next!
      .data;
    expect(drawn.every((v, i) => i % length === k || v === state[i])).toBe(true);

    for (let range = 0; range < 256; range += 16) {
      let p = 0;
      let count = 0;
      for (let byte = range; byte < range + 16; byte++) {
        p += Math.exp(conditionals(start.map((v, i) => (i === k ? byte : v)))[k]!);
        for (let i = 0; i < n; i++) count += Number(drawn[i * length + k] === byte);
      }
      expect(Math.abs(count / n - p), `bytes from ${range}`).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / n));
    }
  });

  it('draws the most probable byte at a temperature near 0', async () => {
    const sampling = new Arena();
    const next = transformer.iterativeSampler!(config, [length]).step(paramScope(sampling), 1e-4);
    const n = 100;
    const u = new Float32Array(n);
    new RandomStream(3, 'cold').uniform(0, u);
    const inputs = { state: new Float32Array(n * length), u, index: new Float32Array(n) };
    const drawn = (await runLowered({ arena: sampling, outputs: { next } }, inputs, { examples: n, weights })).next!
      .data;
    const each = Array.from({ length: 256 }, (_, k) => conditionals(text.map((v, i) => (i === 0 ? k : v)))[0]!);
    expect(new Set(drawn.filter((_, i) => i % length === 0))).toEqual(new Set([each.indexOf(Math.max(...each))]));
  });
});
