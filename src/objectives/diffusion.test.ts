import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { Arena, interpret } from '../graph/index.ts';
import { mul } from '../ops/index.ts';
import {
  alphaBars,
  denoisingLoss,
  gridNll,
  klToNormal,
  noised,
  noiseLevel,
  predictedClean,
  stepKlWeight,
} from './index.ts';

/** The value of a graph over x, of one number, and noise. */
function value(build: (arena: Arena) => ReturnType<typeof mul>, bindings: Record<string, ArrayLike<number>>): number {
  const arena = new Arena();
  return interpret({ arena, outputs: { y: build(arena) } }, bindings).y!.data[0]!;
}

describe('the schedules', () => {
  it('linear: products of 1 − β with β from 1e-4 to 0.02', () => {
    const alphas = alphaBars('linear', 1000);
    expect(alphas[0]).toBeCloseTo(1 - 1e-4, 14);
    expect(1 - alphas[999]! / alphas[998]!).toBeCloseTo(0.02, 12);
    expect(1 - alphas[500]! / alphas[499]!).toBeCloseTo(1e-4 + (0.0199 * 500) / 999, 12);
  });

  it('cosine: cos² of the share of the way, 1/2 half way but for the offset', () => {
    const alphas = alphaBars('cosine', 1000);
    const angle = ((0.5 + 0.008) / 1.008) * (Math.PI / 2);
    const start = (0.008 / 1.008) * (Math.PI / 2);
    expect(alphas[499]).toBeCloseTo(Math.cos(angle) ** 2 / Math.cos(start) ** 2, 12);
    expect(alphas[999]! / alphas[998]!).toBeCloseTo(1e-3, 12); // β is at most 0.999
    expect(alphas.every((a, t) => t === 0 || a < alphas[t - 1]!)).toBe(true);
  });
});

it('finds the image from the noise', () => {
  const level = noiseLevel(0.3);
  const found = value(
    (arena) => {
      const [x, noise] = [arena.input('x', [1]), arena.input('noise', [1])];
      return predictedClean(noised(x, noise, level), noise, level);
    },
    { x: [0.7], noise: [-1.3] },
  );
  expect(found).toBeCloseTo(0.7, 12);
});

describe('the bound', () => {
  it('weighs a step as the divergence of its two gaussians (Ho et al., eq. 6, 7 and 11)', () => {
    const alphas = alphaBars('linear', 1000);
    const [x0, noise, predicted] = [0.4, -0.9, 0.3];
    for (const t of [1, 2, 100, 999]) {
      const [barT, barS] = [alphas[t]!, alphas[t - 1]!];
      const [alpha, beta] = [barT / barS, 1 - barT / barS];
      const state = Math.sqrt(barT) * x0 + Math.sqrt(1 - barT) * noise;
      const mean = (Math.sqrt(barS) * beta * x0) / (1 - barT) + (Math.sqrt(alpha) * (1 - barS) * state) / (1 - barT);
      const variance = ((1 - barS) / (1 - barT)) * beta;
      const modelMean = (state - (beta / Math.sqrt(1 - barT)) * predicted) / Math.sqrt(alpha);
      const divergence = (mean - modelMean) ** 2 / (2 * variance);
      expectClose([stepKlWeight(barS, barT) * (noise - predicted) ** 2], [divergence], 1e-9, `t = ${t}`);
    }
  });

  it('is the information that the first state has of gaussian data, for the best predictor and many steps', () => {
    const std = 0.6; // of the data; the best prediction of the noise is linear
    const steps = 4000;
    // log SNR 8 to −8
    const alphas = Float64Array.from({ length: steps }, (_, t) => 1 / (1 + Math.exp(-8 + (16 * t) / (steps - 1))));
    // Means of what is quadratic in x0 and the noise: over x0 = ±std and noise = ±1.
    const mean = (f: (bindings: { x: number[]; noise: number[] }) => number) =>
      [-1, 1].flatMap((a) => [-1, 1].map((b) => f({ x: [a * std], noise: [b] }))).reduce((s, v) => s + v / 4, 0);
    const arena = new Arena();
    const [x, noise] = [arena.input('x', [1]), arena.input('noise', [1])];
    const [signal, spread, slope] = ['signal', 'spread', 'slope'].map((name) => arena.input(name, []));
    const level = { signal: signal!, noise: spread! };
    const predicted = mul(slope!, noised(x, noise, level));
    const error = denoisingLoss(predicted, x, noise, level, { predicts: 'noise', norm: 'l2' });
    const graph = { arena, outputs: { error } };
    let total = mean((b) => value((a) => klToNormal(a.input('x', [1]), alphas.at(-1)!), b));
    for (let t = 1; t < steps; t++) {
      const { signal: s, noise: n } = noiseLevel(alphas[t]!);
      const scalars = { signal: [s], spread: [n], slope: [n / (s * s * std * std + n * n)] };
      const l2 = mean((b) => interpret(graph, { ...b, ...scalars }).error!.data[0]!);
      total += stepKlWeight(alphas[t - 1]!, alphas[t]!) * l2;
    }
    const information = 0.5 * Math.log(1 + (std * std * alphas[0]!) / (1 - alphas[0]!));
    expect(total).toBeGreaterThan(information); // what is lost by steps of finite length
    expect(total).toBeLessThan(information * 1.002);
  });

  it('divides one pixel among 256 values, black and white included', () => {
    for (const [mean, std] of [
      [0, 0.01],
      [-1, 0.5],
      [1.7, 0.003],
    ] as const) {
      const nlls = Array.from({ length: 256 }, (_, k) =>
        value((arena) => gridNll(arena.input('x', [1]), arena.constant([mean], [1]), std), { x: [k] }),
      );
      expect(nlls.reduce((sum, v) => sum + Math.exp(-v), 0)).toBeCloseTo(1, 10);
      const best = Math.round(Math.min(255, Math.max(0, (mean + 1) * 127.5 - 1e-9)));
      expect(nlls[best]).toBe(Math.min(...nlls));
    }
  });
});
