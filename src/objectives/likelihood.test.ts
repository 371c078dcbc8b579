import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { Arena, interpret } from '../graph/index.ts';
import {
  bitsPerDim,
  dequantise,
  discretisedLogistic,
  gaussianLogDensity,
  quantisationNats,
  toPixels,
} from './index.ts';

const pixels = Float64Array.from({ length: 256 }, (_, i) => i);

function logistic(mean: number, logScale: number): Float64Array {
  const arena = new Arena();
  const y = discretisedLogistic(arena.input('x', [256]), arena.input('m', []), arena.input('s', []));
  return interpret({ arena, outputs: { y } }, { x: pixels, m: [mean], s: [logScale] }).y!.data;
}

describe('discretised logistic', () => {
  const cases = [-0.7, -0.5, -0.1, 0, 0.4999, 3].flatMap((m) => [-9, -6, -3, 0, 4].map((s) => [m, s] as const));

  it.each(cases)('is a distribution over 256 pixels: mean %f, log-scale %f', (mean, logScale) => {
    const total = logistic(mean, logScale).reduce((sum, v) => sum + Math.exp(v), 0);
    expect(Math.abs(total - 1)).toBeLessThan(1e-10);
  });

  it('is the difference of the cumulative distribution where that is exact', () => {
    const cdf = (edge: number) => 1 / (1 + Math.exp(-((edge / 256 - 0.5 - 0.1) / 0.2)));
    const expected = pixels.map((k) => Math.log((k === 255 ? 1 : cdf(k + 1)) - (k === 0 ? 0 : cdf(k))));
    expectClose(logistic(0.1, Math.log(0.2)), expected, 1e-10);
  });

  it('stays finite hundreds of scales away', () => {
    expect(logistic(3, -6).every(Number.isFinite)).toBe(true);
  });
});

it('puts pixels in [-0.5, 0.5) and back', () => {
  const arena = new Arena();
  const y = dequantise(arena.input('x', [256]), 0.5);
  const values = interpret({ arena, outputs: { y, x: toPixels(y) } }, { x: pixels });
  expect([Math.min(...values.y!.data), Math.max(...values.y!.data)]).toEqual([-0.5 + 1 / 512, 0.5 - 1 / 512]);
  expectClose(values.x!.data, pixels, 1e-12, 'pixels', 1);
});

it('sums gaussian log-densities', () => {
  const arena = new Arena();
  const [z, mean, logStd] = ['z', 'mean', 'logStd'].map((name) => arena.input(name, [2]));
  const outputs = { general: gaussianLogDensity(z!, mean!, logStd!), standard: gaussianLogDensity(z!, 0, 0) };
  const values = interpret({ arena, outputs }, { z: [1, -2], mean: [0.5, 1], logStd: [0, Math.log(3)] });
  const log2pi = Math.log(2 * Math.PI);
  expectClose(values.general!.data, [-log2pi - 0.125 - 0.5 - Math.log(3)], 1e-12);
  expectClose(values.standard!.data, [-log2pi - 2.5], 1e-12);
});

it('gives 8 bits per dimension to the uniform density', () => {
  expectClose([bitsPerDim(quantisationNats(784), 784)], [8], 1e-14);
});
