// Histograms with shared bins and summaries of results, by hand.

import { describe, expect, it } from 'vitest';
import { quantile } from '../densities/quantile.ts';
import { histogram } from './histogram.ts';
import { type ResultRow, summarise } from './summary.ts';

describe('histogram', () => {
  it('counts all samples over the same bins, what lies outside in the outer ones', () => {
    const { edges, shares } = histogram(
      [
        [0, 1, 2, 3, 4],
        [2.5, -Infinity, Infinity, 4],
      ],
      { bins: 4, trim: 0 },
    );
    expect(Array.from(edges)).toEqual([0, 1, 2, 3, 4]);
    expect(Array.from(shares[0]!)).toEqual([0.2, 0.2, 0.2, 0.4]);
    expect(Array.from(shares[1]!)).toEqual([0.25, 0, 0.25, 0.5]);
  });

  it('is not stretched by a few values far away', () => {
    const values = [...Array.from({ length: 1001 }, (_, i) => i / 1000), 1e9];
    const { edges, shares } = histogram([values], { bins: 10, trim: 0.01 });
    expect(edges.at(-1)).toBeLessThan(1);
    expect(shares[0]!.at(-1)).toBeGreaterThan(0.1);
    expect(shares[0]!.reduce((sum, s) => sum + s, 0)).toBeCloseTo(1, 12);
  });

  it('shows the first sample where another is far away, and says how much lies outside', () => {
    const near = Array.from({ length: 101 }, (_, i) => i / 100); // 90 % range 0.05 to 0.95
    const far = [0.5, -1e9, 1e12, 1e12];
    const { edges, shares, outside } = histogram([near, far], { bins: 10, trim: 0, reach: 2 });
    expect(edges[0]).toBeCloseTo(0.05 - 2 * 0.9, 12);
    expect(edges.at(-1)).toBeCloseTo(0.95 + 2 * 0.9, 12);
    expect(outside).toEqual([
      { below: 0, above: 0 },
      { below: 0.25, above: 0.5 },
    ]);
    expect([shares[1]![0], shares[1]!.at(-1)]).toEqual([0.25, 0.5]);
    expect(histogram([[7, 7], far], { bins: 10, trim: 0, reach: 2 }).edges.at(-1)).toBe(1e12); // no range to go by
    expect(histogram([near, [0.5, 1.5]], { bins: 3, trim: 0, reach: 2 }).edges.at(-1)).toBe(1.5);
  });

  it('gives a single value a bin, and refuses what it cannot place', () => {
    const { edges, shares } = histogram([[7, 7]], { bins: 3 });
    expect([edges[0], edges[3]]).toEqual([6.5, 7.5]);
    expect(Array.from(shares[0]!)).toEqual([0, 1, 0]);
    expect(() => histogram([[1], []], { bins: 3 })).toThrow('histogram: sample 1 is empty');
    expect(() => histogram([[1, Number.NaN]], { bins: 3 })).toThrow('histogram: value 1 of sample 0 is NaN');
    expect(() => histogram([[Infinity]], { bins: 3 })).toThrow('there is no finite value');
  });
});

it('quantile is linear between order statistics', () => {
  expect([0, 0.25, 0.5, 0.9, 1].map((p) => quantile([1, 2, 3, 10], p))).toEqual([
    1,
    1.75,
    2.5,
    expect.closeTo(7.9, 12),
    10,
  ]);
  expect(quantile([4], 0.3)).toBe(4);
});

describe('summarise', () => {
  const pair = (ood: string, norms: number, typicality: number, change: Partial<ResultRow> = {}): ResultRow[] =>
    Object.entries({ norms, typicality }).map(([detector, auroc]) => ({
      model: 'glow',
      in: 'shirts',
      ood,
      group: 1,
      detector,
      auroc,
      ...change,
    }));

  const rows = [
    ...pair('a', 0.9, 0.8),
    ...pair('b', 0.5, 0.7),
    ...pair('c', 0.6, 0.6),
    ...pair('d', 1, 0.1),
    ...pair('a', 0.95, 0.99, { group: 5 }),
    ...pair('a', 0.4, 0.3, { model: 'vae' }),
  ];

  it('has averages, quartiles and wins, ties shared, by model and group size', () => {
    const blocks = summarise(rows);
    expect(blocks.map(({ key, pairs }) => [...key, pairs])).toEqual([
      ['glow', 1, 4],
      ['glow', 5, 1],
      ['vae', 1, 1],
    ]);
    expect(blocks[0]!.detectors).toEqual([
      {
        detector: 'norms',
        mean: 0.75,
        min: 0.5,
        q1: expect.closeTo(0.575, 12),
        median: 0.75,
        q3: expect.closeTo(0.925, 12),
        max: 1,
        wins: 2.5,
      },
      {
        detector: 'typicality',
        mean: expect.closeTo(0.55, 12),
        min: 0.1,
        q1: expect.closeTo(0.475, 12),
        median: expect.closeTo(0.65, 12),
        q3: expect.closeTo(0.725, 12),
        max: 0.8,
        wins: 1.5,
      },
    ]);
    expect(summarise(rows, []).map(({ pairs }) => pairs)).toEqual([6]);
    expect(summarise(rows, [])[0]!.detectors.reduce((sum, d) => sum + d.wins, 0)).toBe(6);
    expect(summarise([])).toEqual([]);
  });

  it('refuses pairs that do not compare', () => {
    expect(() => summarise(rows.slice(1))).toThrow(
      'glow, shirts against a, groups of 1: has 0 results of norms, expected 1',
    );
    expect(() => summarise([...rows, rows[0]!])).toThrow('has 2 results of norms, expected 1');
    expect(() => summarise(pair('a', 1.5, 0))).toThrow('AUROC of norms is 1.5, expected 0 to 1');
  });
});
