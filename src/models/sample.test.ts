import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { smallModel } from '../../test/support/models.ts';
import { syntheticDataset } from '../data/index.ts';
import type { Value } from '../graph/index.ts';
import { collectSpecs, initialWeights } from '../models/index.ts';
import { drawSamples, fullBound } from '../node/defaults.ts';
import { alphaBars, stepKlWeight } from '../objectives/index.ts';
import { add, concat, minimum, mul, reduceMean, relu, split, sqrt, sub } from '../ops/index.ts';
import { builtInModel } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';

const ddpm = smallModel('ddpm');

describe.each(['ddpm', 'glow', 'vae'] as const)('samples of a %s', (name) => {
  const model = smallModel(name);

  it('depend on the seed and their number alone', async () => {
    const many = await drawSamples(model, { n: 66, seed: 1, threads: 1 });
    const few = await drawSamples(model, { n: 2, seed: 1, threads: 1 });
    const others = await drawSamples(model, { n: 2, seed: 2, threads: 1 });
    expect(many).toHaveLength(66);
    for (const { data, shape } of many) {
      expect(shape).toEqual(model.info.data);
      expect(data.every((v) => v >= 0 && v <= 255)).toBe(true);
    }
    // Batches of two and of 64 may add up in another order.
    const pixels = (images: typeof few) => images.flatMap(({ data }) => [...data]);
    expectClose(pixels(few), pixels(many.slice(0, 2)), 1e-3, 'pixels', 255);
    expect(new Set([...many.slice(0, 2), many[65]!, ...others].map(({ data }) => data.join())).size).toBe(5);
  });
});

it('samples of a VAE with pixel noise spread around the mean image as its logistic does', async () => {
  const model = smallModel('vae');
  const { shape } = model.weights['decoder.logScale']!;
  const logScale = new Float32Array(shape[0]!).fill(-5);
  const narrow = { ...model, weights: { ...model.weights, 'decoder.logScale': { shape, data: logScale } } };
  const draw = (pixelNoise: boolean) =>
    drawSamples(narrow, { n: 200, seed: 1, temperature: 0, pixelNoise, threads: 1 });
  const [mean, noisy] = [(await draw(false))[0]!.data, await draw(true)];
  const z = noisy.flatMap(({ data }) => Array.from(data, (v, k) => (v - mean[k]!) / (256 * Math.exp(-5))));
  const average = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  expect(average(z)).toBeCloseTo(0, 1);
  expect(average(z.map((v) => v * v)) / (Math.PI ** 2 / 3)).toBeCloseTo(1, 1); // the variance of a standard logistic
  expect(average(z.map((v) => Number(v < Math.log(3))))).toBeCloseTo(0.75, 1); // its upper quartile
});

it('samples of many steps keep the value of a fixed input, and draw others anew', async () => {
  const steps = 5;
  const model = smallModel('vae');
  const arch: typeof model.arch = {
    ...model.arch,
    iterativeSampler: (_config, data) => ({
      steps,
      start: 'zeros',
      fixed: ['kept'],
      step: ({ arena }) => {
        const [upper, lower] = split(arena.input('state', [1, ...data]), 2, 2) as [Value, Value];
        const moved = (rows: Value, name: string) =>
          add(rows, mul(arena.input(name, rows.shape, 'uniform'), 255 / steps));
        return concat([moved(upper, 'kept'), moved(lower, 'drawn')], 2);
      },
      scalars: () => ({}),
      toPixels: (state) => state,
    }),
  };
  const [image] = await drawSamples({ ...model, arch }, { n: 1, seed: 3, threads: 1 });
  const [, h, w] = image!.shape as [number, number, number];
  expect([h, w]).toEqual([8, 8]);
  const spread = (values: Float32Array) => {
    const mean = values.reduce((s, v) => s + v, 0) / values.length;
    return Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length) / 255;
  };
  expect(spread(image!.data.subarray(0, 32))).toBeCloseTo(Math.sqrt(1 / 12), 1); // of one uniform number
  expect(spread(image!.data.subarray(32, 64))).toBeCloseTo(Math.sqrt(1 / 12 / steps), 1); // of the mean of five
});

describe('samples that diverge', () => {
  const model = smallModel('vae');
  const mean = (values: Float32Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const withSample = (spoil: (x: Value) => Value): typeof model => ({
    ...model,
    arch: { ...model.arch, sample: (...args) => spoil(model.arch.sample!(...args)) },
  });

  it('are passed over and counted', async () => {
    const all = await drawSamples(model, { n: 64, seed: 1, threads: 1 });
    const means = all.map(({ data }) => mean(data)).sort((a, b) => a - b);
    const middle = (means[31]! + means[32]!) / 2;
    const good = all.filter(({ data }) => mean(data) > middle);
    // below it, the root is not a number
    const spoilt = withSample((x) => add(x, mul(sqrt(sub(reduceMean(minimum(relu(x), 255)), middle)), 1e-20)));
    let diverged = 0;
    const onDiverged = (count: number) => {
      diverged = count;
    };
    const images = await drawSamples(spoilt, { n: 20, seed: 1, threads: 1, onDiverged });
    expect(images).toHaveLength(20);
    for (const k of [0, 19]) expectClose([...images[k]!.data], [...good[k]!.data], 1e-3, 'pixels', 255);
    expect(diverged).toBeGreaterThan(5);
  });

  it('are an error where they are most', async () => {
    const sick = withSample((x) => sqrt(sub(mul(x, 0), 1)));
    await expect(drawSamples(sick, { n: 3, seed: 1, threads: 1 })).rejects.toThrow(
      'samples have values that are not numbers; a lower temperature may help',
    );
  });
});

it('samples in as many steps as asked, where there is a choice', async () => {
  const short = await drawSamples(ddpm, { n: 2, seed: 1, steps: 3, threads: 1 });
  expect(short[0]!.data).not.toEqual((await drawSamples(ddpm, { n: 2, seed: 1, threads: 1 }))[0]!.data);
  await expect(drawSamples(ddpm, { n: 1, seed: 1, steps: 21 })).rejects.toThrowErrorMatchingInlineSnapshot(
    `[ModelError: ddpm: 21 sampling steps, expected at most 20]`,
  );
  await expect(drawSamples(smallModel('vae'), { n: 1, seed: 1, steps: 3 })).rejects.toThrowErrorMatchingInlineSnapshot(
    `[ModelError: vae samples in one run, not in 3 steps]`,
  );
});

describe('the full bound', () => {
  it('of a network that predicts no noise is what its terms come to', async () => {
    const { info, arch } = ddpm;
    const specs = collectSpecs((scope) => void arch.loss(info.config, info.data, scope));
    const model = builtInModel(info, initialWeights(specs, 1), 'start');
    const [n, seed, steps] = [9, 3, 20];
    const data = syntheticDataset('noise', { length: n, shape: info.data, seed: 1 });
    const images = (await data.gather(Array.from({ length: n }, (_, i) => i))).arrays.x!.data;
    const alphas = alphaBars('linear', steps);
    const random = new RandomStream(seed, 'noise');
    const expected = Array.from({ length: n }, (_, i) => {
      const x = Array.from(images.slice(i * 16, (i + 1) * 16), Number);
      const noiseOf = (t: number) => {
        const noise = new Float64Array(16);
        random.normal(i * steps + t, noise);
        return noise;
      };
      const std = Math.sqrt((1 - alphas[0]!) / alphas[0]!);
      const first = noiseOf(0);
      const densities = (p: number, mean: number) => Math.exp(-0.5 * (((2 * p) / 255 - 1 - mean) / std) ** 2);
      let total = 0;
      for (const [k, p] of x.entries()) {
        const mean = (2 * p) / 255 - 1 + std * first[k]!;
        const all = Array.from({ length: 256 }, (_, v) => densities(v, mean)).reduce((a, b) => a + b);
        const last = alphas[steps - 1]!;
        total -= Math.log(densities(p, mean) / all);
        total += 0.5 * (last * ((2 * p) / 255 - 1) ** 2 - last - Math.log(1 - last));
      }
      for (let t = 1; t < steps; t++) {
        const energy = noiseOf(t).reduce((sum, v) => sum + v * v, 0);
        total += stepKlWeight(alphas[t - 1]!, alphas[t]!) * energy;
      }
      return total;
    });
    expectClose(await fullBound(model, data, { seed, threads: 1, batch: 4 }), expected, 1e-4);
  });

  it('is refused for models whose loss is the bound', async () => {
    const data = syntheticDataset('noise', { length: 2, shape: [1, 8, 8], seed: 1 });
    await expect(fullBound(smallModel('vae'), data, { seed: 1 })).rejects.toThrowErrorMatchingInlineSnapshot(
      `[ModelError: vae has no bound of several terms: its loss is the bound]`,
    );
  });
});
