// What commands say of a combined detector's gaps, and of inputs that only it cannot judge.

import { expect, it } from 'vitest';
import type { DetectorFile } from '../detectors/index.ts';
import type { FeatureTable } from '../features/index.ts';
import type { SetFeatures } from '../scoring/index.ts';
import { combinedLines, combinedSummary } from './dropped.ts';
import { oddIn } from './not-finite.ts';

const fileOf = (detector: object, more: object = {}) =>
  ({ groups: [{ group: 1 }, { group: 5 }], combined: { detector, ...more } }) as unknown as DetectorFile;
const whole = {
  n: 60,
  aspects: ['t=1', 't=9'],
  views: [{ name: 'metric', aspect: 0 }],
  groups: [{ group: 1 }, { group: 5 }],
  without: [],
};

it('each gap of a combined detector has a line', () => {
  const gaps = {
    ...whole,
    n: 40,
    repeats: 10,
    groups: [{ group: 1 }],
    without: [
      { view: 'contrast', reason: 'such inputs cannot be recombined' },
      { view: 'likelihood', aspect: 1, reason: 'it is the same for all 40 inputs' },
    ],
  };
  const leftOut = Array.from({ length: 12 }, (_, i) => 3 * i);
  expect(combinedLines(fileOf(gaps, { leftOut, leftOutRecombined: { splice: 2, blur: 1 } }))).toEqual([
    'combined: without view contrast: such inputs cannot be recombined',
    'combined: without view likelihood of t=9: it is the same for all 40 inputs',
    'combined: without B = 5: it is fitted on 40 inputs, groups of 5 take 50',
    'combined: without examples 0, 3, 6, 9, 12, 15, 18, 21, 24, 27 and 2 more: not finite',
    'combined: 10 of 40 inputs repeat others; p-values hold for inputs that repeat as often, and are too small for new ones',
    'combined: without recombined inputs that are not finite: 2 of splice, 1 of blur',
  ]);
  expect(combinedLines(fileOf(whole))).toEqual([]);
  expect(combinedSummary(fileOf(whole)).combined).toEqual({
    n: 60,
    aspects: ['t=1', 't=9'],
    noiseSamples: 1,
    views: ['metric'],
    groups: [1, 5],
  });
  expect(combinedLines({ groups: [] } as unknown as DetectorFile)).toEqual([]);
});

it('an input that is not finite for the combined detector alone is counted, one that is for all of them once', () => {
  const tableOf = (nll: readonly number[]): FeatureTable => ({
    names: ['w'],
    group: 1,
    meta: { model: 'm', data: 'd', dataFingerprint: 'd', seed: 0, noise: 'content', start: 0 },
    nll: Float64Array.from(nll),
    sqNorms: new Float64Array(nll.length),
  });
  const set = { name: 'd', tables: [tableOf([1, Number.NaN, 1])], singles: tableOf([1, Number.NaN, Number.NaN]) };
  expect(oddIn(set as unknown as SetFeatures).map(({ index }) => index)).toEqual([1, 2]);
});
