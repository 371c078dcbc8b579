import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { finiteDifferences, randomData, runLowered } from '../../test/support/run.ts';
import { differentiate } from '../autodiff/index.ts';
import { Arena, inputsOf, interpret, nameOf, paramsOf } from '../graph/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { pixelcnn, pixelLogProbs } from './pixelcnn.ts';
import { logisticMixturePixels } from './pixels.ts';
import { collectSpecs, initialWeights, paramScope } from './scopes.ts';

const small = { layers: 2, channels: 2, mixtures: 2 };
const cases = [
  { what: 'a logistic mixture of grey', data: [1, 4, 5], config: { ...small, output: 'logistic' } },
  { what: 'a logistic mixture of RGB', data: [3, 4, 4], config: { ...small, output: 'logistic' } },
  { what: 'a softmax of grey', data: [1, 5, 4], config: { ...small, output: 'softmax' } },
] as const;

type Case = (typeof cases)[number];

/** Every parameter away from its start. */
function weightsOf({ config, data }: Case, scale = 0.3): Weights {
  const specs = collectSpecs((scope) => pixelcnn.loss(config, data, scope));
  return Object.fromEntries(
    Object.entries(initialWeights(specs, 2)).map(([name, w]) => {
      const shift = randomData(name, w.data.length, scale);
      return [name, { shape: w.shape, data: w.data.map((v, i) => v + shift[i]!) }];
    }),
  );
}

const bound = (weights: Weights) => Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data]));

function image(data: readonly number[]): Float64Array {
  const x = new Float64Array(sizeOf(data));
  new RandomStream(4, 'image').uniform(0, x);
  return x.map((v, i) => (i === 0 ? 255 : i === 5 ? 0 : Math.floor(256 * v)));
}

/** log P(pixel | those before) of an image, as a function. */
function conditionals(c: Case): (x: ArrayLike<number>) => Float64Array {
  const arena = new Arena();
  const logProbs = pixelLogProbs(c.config, paramScope(arena), arena.input('x', [1, ...c.data]));
  const graph = { arena, outputs: { logProbs } };
  const weights = bound(weightsOf(c));
  return (x) => interpret(graph, { ...weights, x }).logProbs!.data;
}

describe.each(cases)('pixelcnn with $what', (c) => {
  const { data, config } = c;
  const [channels, h, w] = data;
  const logProbs = conditionals(c);
  const x = image(data);

  it('makes each pixel depend on those before it, and on all of them within reach', () => {
    const before = logProbs(x);
    for (let p = 0; p < h * w; p++) {
      for (let channel = 0; channel < channels; channel++) {
        const at = channel * h * w + p;
        const after = logProbs(x.map((v, i) => (i === at ? (v + 100) % 256 : v)));
        const changed = [...before.keys()].filter((q) => after[q] !== before[q]);
        expect(changed[0]).toBe(p); // its own probability, and none before
        if (p % w < w - 1) expect(changed).toContain(p + 1);
        if (p < (h - 1) * w) expect(changed).toContain(p + w);
      }
    }
  });

  it('has the gradient of its nll in every parameter, and no weight of a causal kernel is dead', () => {
    const arena = new Arena();
    const { nll } = pixelcnn.loss(config, data, paramScope(arena));
    const params = paramsOf({ arena, outputs: { nll } });
    const outputs = Object.fromEntries(differentiate(nll, params).map((g, i) => [nameOf(params[i]!), g]));
    const bindings = { ...bound(weightsOf(c)), x };
    const gradients = interpret({ arena, outputs }, bindings);
    for (const p of params) {
      const expected = finiteDifferences(nll, bindings, nameOf(p));
      const found = gradients[nameOf(p)]!.data;
      expectClose(found, expected, 1e-6, nameOf(p), Math.max(1, ...expected.map(Math.abs)));
      const causal = /vertical|horizontal|link/.test(nameOf(p)); // behind a relu a weight may rest for one image
      if (causal) expect(found.filter((g) => g === 0).length, nameOf(p)).toBe(0);
    }
  });
});

const grey = cases.filter((c) => c.data[0] === 1);

it.each(grey)('pixelcnn with $what gives probabilities that sum to 1 over the values of a pixel', (c) => {
  const logProbs = conditionals(c);
  const x = image(c.data);
  for (const p of [0, 1, x.length - 1]) {
    let total = 0;
    for (let k = 0; k < 256; k++) total += Math.exp(logProbs(x.map((v, i) => (i === p ? k : v)))[p]!);
    expectClose([total], [1], 1e-9);
  }
});

it('pixelcnn refuses what it has no weights or no probabilities for', () => {
  expect(() => pixelcnn.configure({}, [1, 3, 28])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: pixelcnn needs images of at least 4×4 pixels, got 3×28]`,
  );
  expect(() => pixelcnn.configure({}, [28])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: pixelcnn needs images of shape [channels, height, width], got [28]]`,
  );
  expect(() => pixelcnn.configure({ output: 'softmax' }, [3, 32, 32])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: pixelcnn with output softmax needs grey images, got 3 channels; use output logistic]`,
  );
  expect(() => pixelcnn.configure({ mixtures: 1 }, [1, 28, 28])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: pixelcnn configuration: mixtures: Too small: expected number to be >=2]`,
  );
});

describe('a mixture of logistics over RGB', () => {
  const K = 3;
  const pixels = logisticMixturePixels(3, K);
  const outputs = randomData('outputs', pixels.start.length).map((v, i) => v * 0.5 + pixels.start[i]!);
  const values = Array.from({ length: 256 }, (_, k) => k);

  /** Σ P over a list of pixels that share the same outputs. */
  function total(list: readonly (readonly number[])[]): number {
    const arena = new Arena();
    const repeated = arena.constant(
      [...outputs].flatMap((v) => list.map(() => v)),
      [1, outputs.length, 1, list.length],
    );
    const logProb = pixels.logProb(arena.input('x', [1, 3, 1, list.length]), repeated);
    const x = [0, 1, 2].flatMap((c) => list.map((pixel) => pixel[c]!));
    const found = interpret({ arena, outputs: { logProb } }, { x }).logProb!.data;
    return found.reduce((sum, v) => sum + Math.exp(v), 0);
  }

  const part = (block: number, k: number) => outputs[block * K + k]!;
  const weight = (k: number) => Math.exp(part(0, k)) / [0, 1, 2].reduce((s, j) => s + Math.exp(part(0, j)), 0);
  /** P(value) of one logistic by differences of its distribution function. */
  const bin = (value: number, mean: number, logScale: number) => {
    const cdf = (edge: number) => 1 / (1 + Math.exp(-(edge / 256 - 0.5 - mean) / Math.exp(logScale)));
    return (value === 255 ? 1 : cdf(value + 1)) - (value === 0 ? 0 : cdf(value));
  };
  const red = (r: number, k: number) => bin(r, part(1, k), part(4, k));
  const centre = (v: number) => (v + 0.5) / 256 - 0.5;
  const green = (r: number, g: number, k: number) => bin(g, part(2, k) + Math.tanh(part(7, k)) * centre(r), part(5, k));
  const blue = (r: number, g: number, b: number, k: number) =>
    bin(b, part(3, k) + Math.tanh(part(8, k)) * centre(r) + Math.tanh(part(9, k)) * centre(g), part(6, k));
  const sum = (f: (k: number) => number) => [0, 1, 2].reduce((s, k) => s + f(k), 0);

  it('is the sum of the components, each the product of its channels', () => {
    const list = [
      [10, 200, 30],
      [0, 255, 128],
      [255, 0, 1],
    ] as const;
    for (const [r, g, b] of list) {
      const expected = sum((k) => weight(k) * red(r, k) * green(r, g, k) * blue(r, g, b, k));
      expectClose([total([[r, g, b]])], [expected], 1e-9);
    }
  });

  it('is a distribution: blue sums to that of red and green, green to that of red, red to 1', () => {
    for (const [r, g] of [
      [3, 250],
      [255, 0],
    ] as const) {
      expectClose([total(values.map((b) => [r, g, b]))], [sum((k) => weight(k) * red(r, k) * green(r, g, k))], 1e-9);
    }
    const [r] = [77];
    const all = values.flatMap((g) => values.map((b) => [r, g, b]));
    expectClose([total(all)], [sum((k) => weight(k) * red(r, k))], 1e-9);
    expectClose([values.reduce((s, v) => s + sum((k) => weight(k) * red(v, k)), 0)], [1], 1e-12);
  });

  it('is what pixels are drawn from', async () => {
    const n = 5000;
    const arena = new Arena();
    const pixel = pixels.draw(arena.constant(outputs, [1, outputs.length, 1, 1]), 1);
    const graph = { arena, outputs: { pixel } };
    const inputs = inputsOf(graph).map((v) => {
      const noise = new Float32Array(n * sizeOf(v.shape));
      new RandomStream(6, nameOf(v)).uniform(0, noise);
      return [nameOf(v), noise] as const;
    });
    const drawn = (await runLowered(graph, Object.fromEntries(inputs), { examples: n, weights: {} })).pixel!.data;
    const bright = (v: number) => Number(v >= 128);
    const counts = new Float64Array(8);
    const expected = new Float64Array(8);
    for (let i = 0; i < n; i++) {
      const [r, g, b] = drawn.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
      counts[4 * bright(r) + 2 * bright(g) + bright(b)]! += 1 / n;
    }
    for (let r = 0; r < 256; r++) {
      for (let g = 0; g < 256; g++) {
        for (let k = 0; k < K; k++) {
          const p = weight(k) * red(r, k) * green(r, g, k);
          const logistic =
            (128 / 256 - 0.5 - part(3, k) - Math.tanh(part(8, k)) * centre(r) - Math.tanh(part(9, k)) * centre(g)) /
            Math.exp(part(6, k));
          const dark = 1 / (1 + Math.exp(-logistic));
          expected[4 * bright(r) + 2 * bright(g)]! += p * dark;
          expected[4 * bright(r) + 2 * bright(g) + 1]! += p * (1 - dark);
        }
      }
    }
    expect(Math.max(...expected.map((p, i) => Math.abs(p - counts[i]!) / Math.sqrt((p * (1 - p)) / n)))).toBeLessThan(
      4.5,
    );
  });
});

describe('the sampler of pixelcnn', () => {
  const uniform = (name: string, size: number) => {
    const out = new Float32Array(size);
    new RandomStream(9, name).uniform(0, out);
    return out;
  };

  /** Step k of n samples from one state each. */
  async function stepOf(c: Case, k: number, state: Float32Array, weights: Weights): Promise<Float32Array> {
    const n = state.length / sizeOf(c.data);
    const arena = new Arena();
    const sampler = pixelcnn.iterativeSampler!(c.config, c.data);
    const graph = { arena, outputs: { next: sampler.step(paramScope(arena), 1) } };
    const scalars = Object.entries(sampler.scalars(k)).map(([name, v]) => [name, new Float32Array(n).fill(v)] as const);
    const noise = inputsOf(graph)
      .filter((v) => v.source.kind === 'input' && v.source.from === 'uniform')
      .map((v) => [nameOf(v), uniform(`${nameOf(v)} ${k}`, n * sizeOf(v.shape))] as const);
    const inputs = { state, ...Object.fromEntries([...scalars, ...noise]) };
    return (await runLowered(graph, inputs, { examples: n, weights })).next!.data;
  }

  const steps = grey.flatMap((c) => [0, 7].map((k) => ({ ...c, k })));

  it.each(steps)('draws pixel $k of $what from its probabilities given those before', async (c) => {
    const n = 4000;
    const weights = weightsOf(c, 0.2);
    const size = sizeOf(c.data);
    const start = Float32Array.from(image(c.data), (v, i) => (i < c.k ? v : 0));
    const state = Float32Array.from({ length: n * size }, (_, i) => start[i % size]!);
    const next = await stepOf(c, c.k, state, weights);
    expect(next.every((v, i) => i % size === c.k || v === state[i])).toBe(true);
    const drawn = Array.from({ length: n }, (_, i) => next[i * size + c.k]!);
    expect(drawn.every((v) => Number.isInteger(v) && v >= 0 && v <= 255)).toBe(true);

    const arena = new Arena();
    const logProbs = pixelLogProbs(c.config, paramScope(arena), arena.input('x', [1, ...c.data]));
    const x = Float32Array.from({ length: 256 * size }, (_, i) =>
      i % size === c.k ? Math.floor(i / size) : start[i % size]!,
    );
    const each = (await runLowered({ arena, outputs: { logProbs } }, { x }, { examples: 256, weights })).logProbs!.data;
    for (let range = 0; range < 256; range += 16) {
      let p = 0;
      for (let v = range; v < range + 16; v++) p += Math.exp(each[v * size + c.k]!);
      const share = drawn.filter((v) => v >= range && v < range + 16).length / n;
      expect(Math.abs(share - p), `values from ${range}`).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / n));
    }
  });

  it('fills an image from the top left', async () => {
    const c = cases[1];
    const weights = weightsOf(c);
    const [channels, h, w] = c.data;
    let state: Float32Array = new Float32Array(2 * sizeOf(c.data));
    const { steps } = pixelcnn.iterativeSampler!(c.config, c.data);
    expect(steps).toBe(h * w);
    for (let k = 0; k < steps; k++) {
      const next = await stepOf(c, k, state, weights);
      expect(next.every((v, i) => i % (h * w) === k || v === state[i])).toBe(true);
      state = next;
    }
    expect(state.filter((v) => v > 0).length).toBeGreaterThan(channels * h * w);
  });
});
