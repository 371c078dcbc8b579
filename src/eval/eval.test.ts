import logcdf from '@stdlib/stats-base-dists-normal-logcdf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntheticTable } from '../../test/detectors/tables.ts';
import { quantile } from '../densities/quantile.ts';
import { fitDetectors } from '../detectors/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { aurocInterval } from './bootstrap.ts';
import { evaluate } from './evaluate.ts';
import { formatResults } from './format.ts';
import { aupr, auroc, fpr95, rank, rocCurve } from './metrics.ts';

/** n normals of mean `mean`, a different draw per index. */
function normals(n: number, mean: number, index: number): Float64Array {
  const out = new Float64Array(n);
  new RandomStream(3, 'eval-test').normal(index, out);
  return out.map((z) => z + mean);
}

/** P(ood > in) + ½ P(equal) by all pairs. */
function bruteAuroc(inScores: ArrayLike<number>, oodScores: ArrayLike<number>): number {
  let sum = 0;
  for (const a of Array.from(inScores)) for (const b of Array.from(oodScores)) sum += b > a ? 1 : b === a ? 0.5 : 0;
  return sum / (inScores.length * oodScores.length);
}

/** FPR95 and average precision by trying every threshold. */
function brute(inScores: readonly number[], oodScores: readonly number[]): { fpr: number; ap: number } {
  const accepted = (scores: readonly number[], t: number) => scores.filter((s) => s <= t).length;
  const thresholds = [...new Set([...inScores, ...oodScores])].sort((a, b) => a - b);
  const t95 = thresholds.find((t) => accepted(inScores, t) / inScores.length >= 0.95)!;
  let ap = 0;
  let before = 0;
  for (const t of thresholds) {
    const hits = accepted(inScores, t);
    ap += ((hits - before) / inScores.length) * (hits / (hits + accepted(oodScores, t)));
    before = hits;
  }
  return { fpr: accepted(oodScores, t95) / oodScores.length, ap };
}

/** Few distinct values, so that ties are common; infinities and both zeros among them. */
const scores = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(-0, Infinity, -Infinity, 0.5)), {
  minLength: 1,
  maxLength: 30,
});

describe('metrics', () => {
  it('equal brute force, ties and infinities included', () => {
    fc.assert(
      fc.property(scores, scores, (a, b) => {
        expect(auroc(a, b)).toBeCloseTo(bruteAuroc(a, b), 12);
        const { fpr, ap } = brute(a, b);
        expect(fpr95(a, b)).toBe(fpr);
        expect(aupr(a, b)).toBeCloseTo(ap, 12);
      }),
      { numRuns: 300, seed: 20240303 },
    );
  });

  it('agree with hand-computed cases', () => {
    expect(auroc([1, 2, 3], [2, 4])).toBe((1.5 + 3) / 6);
    // Accepting upwards: 1 in (P 1/1), then 2: one of each (P 2/3), then 3 in (P 3/4), then 4.
    expect(aupr([1, 2, 3], [2, 4])).toBeCloseTo((1 + 2 / 3 + 3 / 4) / 3, 15);
    expect(fpr95([1, 2, 3], [2, 4])).toBe(0.5);
    expect([auroc([1], [1]), aupr([1], [1]), fpr95([1], [1])]).toEqual([0.5, 0.5, 1]);
    // 19 of 20 suffice for 95 %.
    const twenty = Array.from({ length: 20 }, (_, i) => i);
    expect(fpr95(twenty, [18, 18.5])).toBe(0.5);
  });

  it('gives Φ(d / √2) for two normals d apart', () => {
    const n = 20_000;
    const expected = Math.exp(logcdf(1 / Math.SQRT2, 0, 1));
    // Standard error of an AUROC near 0.76 at n = 20,000 each: about 0.0024; five of them.
    expect(Math.abs(auroc(normals(n, 0, 0), normals(n, 1, 1)) - expected)).toBeLessThan(0.012);
  });

  it('is symmetric: swapping the sets or negating the scores gives 1 − AUROC', () => {
    fc.assert(
      fc.property(scores, scores, (a, b) => {
        expect(auroc(b, a)).toBeCloseTo(1 - auroc(a, b), 12);
        const negate = (list: number[]) => list.map((s) => -s);
        expect(auroc(negate(a), negate(b))).toBeCloseTo(1 - auroc(a, b), 12);
      }),
    );
  });

  it('refuse NaN and empty lists', () => {
    expect(() => auroc([1, Number.NaN], [1])).toThrowErrorMatchingInlineSnapshot(
      `[DataError: in-distribution score 1 is NaN, expected a number]`,
    );
    expect(() => aupr([1], [])).toThrowErrorMatchingInlineSnapshot(
      `[DataError: there are no out-of-distribution scores, expected at least 1]`,
    );
  });
});

describe('rocCurve', () => {
  const area = (points: readonly { fpr: number; tpr: number }[]) =>
    points.slice(1).reduce((sum, p, k) => sum + ((p.fpr - points[k]!.fpr) * (p.tpr + points[k]!.tpr)) / 2, 0);

  it('has the area of the AUROC and ends in the corners', () => {
    fc.assert(
      fc.property(scores, scores, (a, b) => {
        const points = rocCurve(a, b);
        expect(area(points)).toBeCloseTo(auroc(a, b), 12);
        expect([points[0], points.at(-1)]).toEqual([
          { fpr: 0, tpr: 0 },
          { fpr: 1, tpr: 1 },
        ]);
      }),
    );
  });

  it('thins long curves without bending them', () => {
    const [a, b] = [normals(3000, 0, 0), normals(3000, 1, 1)];
    for (const limit of [2, 3, 50, 200]) {
      const points = rocCurve(a, b, limit);
      expect(points.length).toBeLessThanOrEqual(limit);
      expect(points.at(-1)).toEqual({ fpr: 1, tpr: 1 });
      for (const [k, p] of points.slice(1).entries()) {
        expect(p.fpr >= points[k]!.fpr && p.tpr >= points[k]!.tpr).toBe(true);
      }
    }
    expect(rocCurve(a, b).length).toBeGreaterThan(150);
    expect(Math.abs(area(rocCurve(a, b)) - auroc(a, b))).toBeLessThan(1e-3);
  });
});

describe('bootstrap', () => {
  it('covers the true AUROC about as often as it says', () => {
    const truth = Math.exp(logcdf(1 / Math.SQRT2, 0, 1));
    let covered = 0;
    for (let k = 0; k < 200; k++) {
      const ranking = rank(normals(100, 0, 2 * k), normals(100, 1, 2 * k + 1));
      const { low, high } = aurocInterval(ranking, { seed: k, resamples: 200 });
      if (low <= truth && truth <= high) covered++;
    }
    // 95 % of 200 is 190, standard deviation 3; the percentile interval is a little short at n = 100.
    expect(covered).toBeGreaterThan(175);
    expect(covered).toBeLessThan(200);
  });

  it('has the width the theory gives', () => {
    const { low, high } = aurocInterval(rank(normals(1000, 0, 0), normals(1000, 0, 1)), { seed: 1 });
    // Under the null the variance is (nIn + nOod + 1) / (12 nIn nOod).
    const expected = 2 * 1.96 * Math.sqrt(2001 / 12e6);
    expect(high - low).toBeGreaterThan(0.85 * expected);
    expect(high - low).toBeLessThan(1.15 * expected);
  });

  it('is determined by the seed, and collapses where nothing varies', () => {
    const ranking = rank(normals(50, 0, 0), normals(60, 1, 1));
    expect(aurocInterval(ranking, { seed: 1 })).toEqual(aurocInterval(ranking, { seed: 1 }));
    expect(aurocInterval(ranking, { seed: 1 })).not.toEqual(aurocInterval(ranking, { seed: 2 }));
    expect(aurocInterval(rank([1, 2], [3, 4]), { seed: 0 })).toEqual({ low: 1, high: 1 });
    expect(() => aurocInterval(ranking, { seed: 0, resamples: 0 })).toThrow('resamples is 0');
  });

  it('draws 1,000 resamples of 1,000 against 1,000 in under a second', () => {
    const ranking = rank(normals(1000, 0, 0), normals(1000, 1, 1));
    const best = Math.min(
      ...[0, 1, 2].map((seed) => {
        const start = performance.now();
        aurocInterval(ranking, { seed });
        return performance.now() - start;
      }),
    );
    expect(best).toBeLessThan(1000);
  });

  it('interpolates quantiles', () => {
    expect([0, 0.25, 0.5, 1].map((q) => quantile(Float64Array.of(0, 1, 2, 3, 10), q))).toEqual([0, 1, 2, 10]);
    expect(quantile(Float64Array.of(4), 0.3)).toBe(4);
  });
});

describe('evaluate', () => {
  const file = fitDetectors([syntheticTable({ n: 60, group: 1 }), syntheticTable({ n: 30, group: 5 })], {
    detectors: ['layer-norms', 'likelihood'],
  });
  const inTables = [syntheticTable({ n: 50, seed: 1 }), syntheticTable({ n: 20, seed: 1, group: 5 })];
  const far = { name: 'far', tables: [1, 5].map((group) => syntheticTable({ n: 25, seed: 2, group, shift: 4 })) };
  const near = { name: 'near', tables: [1, 5].map((group) => syntheticTable({ n: 25, seed: 3, group })) };

  it('gives a row for each group size, set and detector', () => {
    const rows = evaluate(file, inTables, [far, near], { seed: 0 });
    expect(Object.keys(rows[0]!)).toEqual('detector group ood auroc aurocLow aurocHigh aupr fpr95 nIn nOod'.split(' '));
    expect(rows.filter((row) => row.ood === 'far' && row.detector === 'layer-norms').every((r) => r.auroc > 0.95)).toBe(
      true,
    );
    for (const row of rows) expect(row.aurocLow <= row.auroc && row.auroc <= row.aurocHigh).toBe(true);
    expect(formatResults(rows)).toMatchInlineSnapshot(`
      "B = 1: AUROC, 95 % interval (50 in-distribution)
                   far (n = 25)         near (n = 25)
      layer-norms  1.000 [1.000-1.000]  0.534 [0.401-0.679]
      likelihood   0.506 [0.381-0.657]  0.458 [0.324-0.616]

      B = 5: AUROC, 95 % interval (20 in-distribution)
                   far (n = 25)         near (n = 25)
      layer-norms  1.000 [1.000-1.000]  0.352 [0.200-0.526]
      likelihood   0.506 [0.330-0.692]  0.518 [0.344-0.700]"
    `);
    expect(formatResults(rows.slice(0, 3), 'fpr95')).toMatchInlineSnapshot(`
      "B = 1: FPR at 95 % in-distribution accepted (50 in-distribution)
                   far (n = 25)  near (n = 25)
      layer-norms         0.000          1.000
      likelihood          0.960              -"
    `);
  });

  it('refuses missing tables and other models', () => {
    const message = (run: () => unknown): string => {
      try {
        run();
        return 'no error';
      } catch (error) {
        return String(error);
      }
    };
    const other = syntheticTable();
    expect([
      message(() => evaluate(file, inTables, [{ name: 'far', tables: far.tables.slice(1) }], { seed: 0 })),
      message(() => evaluate(file, [...inTables, ...inTables], [far], { seed: 0 })),
      message(() => evaluate(file, [], [far], { seed: 0 })),
      message(() => evaluate(file, inTables, [], { seed: 0 })),
      message(() => evaluate(file, [{ ...other, meta: { ...other.meta, model: 'x' } }], [far], { seed: 0 })),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: far: has 0 tables for groups of 1, expected 1",
        "DataError: in-distribution: has 2 tables for groups of 1, expected 1",
        "DataError: no in-distribution features, expected one table per group size",
        "DataError: no out-of-distribution sets, expected at least 1",
        "ModelError: synthetic: cannot score: model is x, expected abababababab… (of the detector)",
      ]
    `);
  });
});
