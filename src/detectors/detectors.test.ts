import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import { DataError, ModelError, UsageError } from '../errors.ts';
import type { FeatureTable } from '../features/table.ts';
import { readDetector, writeDetector } from '../node/detector-files.ts';
import { calibrate, pValues, threshold, verdicts } from './calibration.ts';
import { detectorNamed, detectorNames, detectors } from './detectors.ts';
import { fitDetectors } from './fit.ts';
import type { DetectorFile } from './fitted.ts';
import { formatDetector, parseDetector } from './format.ts';
import { explain, fisher, layerNorms } from './normal.ts';
import { overlapsFit, scoreTable } from './score.ts';

const E = Math.E;

function message(run: () => unknown): string {
  try {
    run();
    return 'no error';
  } catch (error) {
    return String(error);
  }
}

describe('layer-norms', () => {
  // Logs of the layers: 0, 2 (mean 1, unbiased variance 2) and 0, 4 (mean 2, variance 8).
  const fit = tableOf([
    [1, 1],
    [E ** 2, E ** 4],
  ]);

  it('equals the normal log-density computed by hand', () => {
    const params = layerNorms.fit(fit);
    const expected = (a: number, b: number) =>
      (a - 1) ** 2 / 4 + 0.5 * Math.log(2 * Math.PI * 2) + (b - 2) ** 2 / 16 + 0.5 * Math.log(2 * Math.PI * 8);
    const scores = layerNorms.score(
      params,
      tableOf([
        [E, E ** 2],
        [E ** 5, E ** -1],
      ]),
    );
    expect(scores[0]).toBeCloseTo(expected(1, 2), 12);
    expect(scores[1]).toBeCloseTo(expected(5, -1), 12);
    const { names, zScores } = explain(params, tableOf([[E ** 5, E ** -1]]));
    expect(names).toEqual(['a.0', 'a.1']);
    expect(zScores[0]).toBeCloseTo(4 / Math.SQRT2, 12);
    expect(zScores[1]).toBeCloseTo(-3 / Math.sqrt(8), 12);
  });

  it('does not change its ranking when a layer is scaled (other units, a larger network)', () => {
    const table = syntheticTable();
    const scaled = (t: FeatureTable) => ({ ...t, sqNorms: t.sqNorms.map((f, k) => (k % 3 === 1 ? f * 1e6 : f)) });
    const other = syntheticTable({ seed: 5 });
    const plain = layerNorms.score(layerNorms.fit(table), other);
    const changed = layerNorms.score(layerNorms.fit(scaled(table)), scaled(other));
    for (const [i, score] of plain.entries()) expect(changed[i]).toBeCloseTo(score, 9);
  });

  it('drops layers without spread or with a zero norm in most groups and says why', () => {
    const rows = [
      [1, 5, 0],
      [2, 5, 0],
      [4, 5, 1],
    ];
    const params = layerNorms.fit(tableOf(rows));
    expect(params.layers.map((layer) => layer.name)).toEqual(['a.0']);
    expect(params.dropped).toMatchInlineSnapshot(`
      [
        {
          "name": "a.1",
          "reason": "log squared norm is constant (standard deviation 0)",
        },
        {
          "name": "a.2",
          "reason": "squared norm is 0 in 2 of 3 fit groups",
        },
      ]
    `);
    expect(explain(params, tableOf(rows)).zScores).toHaveLength(3);
    expect(layerNorms.score(params, tableOf([[2, 1e9, 0]]))).toEqual(layerNorms.score(params, tableOf([[2, 1, 1]])));
    expect(message(() => layerNorms.fit(tableOf([[0], [0]])))).toMatchInlineSnapshot(
      `"DataError: synthetic: none of the 1 layers can be fitted ('a.0': squared norm is 0 in all of 2 fit groups, …)"`,
    );
    expect(message(() => layerNorms.fit(tableOf([[1]])))).toMatchInlineSnapshot(
      `"DataError: synthetic: has 1 group, a standard deviation needs at least 2"`,
    );
  });

  it('finds a zero norm more surprising than any other, and finite', () => {
    const params = layerNorms.fit(syntheticTable());
    const score = (f: number) => layerNorms.score(params, tableOf([[f, E, E ** 2]]))[0]!;
    expect(score(0)).toBe(score(2 ** -149));
    expect(score(0)).toBeGreaterThan(score(2 ** -148));
    expect(score(0)).toBeGreaterThan(1000);
    expect(Number.isFinite(score(0))).toBe(true);
  });
});

describe('fisher', () => {
  it('is −2 Σ log of the two-sided p-values', () => {
    const params = {
      layers: [
        { name: 'a.0', mean: 0, sd: 1 },
        { name: 'a.1', mean: 0, sd: 1 },
      ],
      dropped: [],
    };
    // 2 Φ(−1.96) = 0.04999579, 2 Φ(0) = 1
    const [one, far] = fisher.score(
      params,
      tableOf([
        [E ** -1.96, 1],
        [E ** 60, 1],
      ]),
    );
    expect(one).toBeCloseTo(-2 * Math.log(0.04999579029644087), 10);
    // p underflows at 60 standard deviations; log p ≈ −60²/2 − log(60 √(π/2)).
    expect(far).toBeCloseTo(3600 + 2 * Math.log(60 * Math.sqrt(Math.PI / 2)), 2);
  });
});

describe('chi2', () => {
  const { chi2 } = detectors;
  const withDims = (table: FeatureTable, ...dims: number[]): FeatureTable => ({ ...table, dims });

  it('equals the χ² density computed by hand', () => {
    const params = chi2.fit(
      withDims(
        tableOf([
          [3, 0],
          [5, 0],
        ]),
        2,
        3,
      ),
    );
    expect(params).toEqual({
      layers: [{ name: 'a.0', dim: 2, scale: 2 }],
      dropped: [{ name: 'a.1', reason: 'squared norm is 0 in all of 2 fit groups' }],
    });
    // χ²_2 is exponential of mean 2: density of u is e^(−u/2)/2, of log u it is u e^(−u/2)/2. Here u = 6/2.
    const [score] = chi2.score(params, tableOf([[6, 1]]));
    expect(score).toBeCloseTo(-Math.log((3 * Math.exp(-1.5)) / 2), 12);
  });

  it('is lowest where the norm is its expectation, and rises on both sides', () => {
    const params = { layers: [{ name: 'a.0', dim: 1_000_000, scale: 0.5 }], dropped: [] };
    const scores = chi2.score(params, tableOf([[0], [499_000], [500_000], [501_000], [1e300]]));
    expect(scores[2]).toBeLessThan(scores[1]!);
    expect(scores[2]).toBeLessThan(scores[3]!);
    expect(scores[0]).toBeGreaterThan(1e6);
    expect(scores[4]).toBeGreaterThan(1e6);
  });

  it('needs the sizes of the layers', () => {
    expect(message(() => chi2.fit(tableOf([[1], [2]])))).toMatchInlineSnapshot(
      `"DataError: synthetic: the table has no dims (sizes of the layers), which chi2 needs"`,
    );
  });
});

describe('detectors of one number', () => {
  it('are what their names say', () => {
    const table = tableOf(
      [
        [1, 2],
        [3, 4],
      ],
      [10, 20],
    );
    const { likelihood, typicality } = detectors;
    expect(likelihood.score(likelihood.fit(table), table)).toEqual(Float64Array.of(10, 20));
    expect(typicality.score(typicality.fit(table), tableOf([[1], [1], [1]], [15, 5, 40]))).toEqual(
      Float64Array.of(0, 10, 25),
    );
    expect(detectors['total-norm'].score({}, table)).toEqual(Float64Array.of(3, 7));
    expect(message(() => detectorNamed('toString'))).toBe(
      `UsageError: no detector is named 'toString', expected one of ${detectorNames.join(', ')}`,
    );
  });
});

describe('calibration', () => {
  it('counts the scores at or above', () => {
    expect(pValues([1, 2, 2, 3], [0, 1, 2, 2.5, 3, 4])).toEqual(Float64Array.of(1, 1, 4 / 5, 2 / 5, 2 / 5, 1 / 5));
    expect(pValues([1, 2], [Infinity, -Infinity])).toEqual(Float64Array.of(1 / 3, 1));
  });

  it('has a threshold that agrees with the p-values', () => {
    const integers = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(integers, fc.integer({ min: 1, max: 99 }), (list, percent) => {
        const ascending = list.toSorted((a, b) => a - b);
        const alpha = percent / 100;
        if (1 / (list.length + 1) > alpha) {
          expect(() => threshold(ascending, alpha)).toThrow(UsageError);
          return;
        }
        const t = threshold(ascending, alpha);
        const scores = Array.from({ length: 24 }, (_, s) => s - 1);
        const called = verdicts({ pValues: pValues(ascending, scores), calibrationSize: list.length }, alpha);
        expect(called).toEqual(scores.map((s) => s > t));
      }),
      { numRuns: 300, seed: 20240303 },
    );
    expect(message(() => threshold([1, 2, 3], 0.05))).toMatchInlineSnapshot(
      `"UsageError: a false-positive rate of 0.05 needs at least 19 fit groups, the detector has 3"`,
    );
    expect(message(() => threshold([1, 2, 3], 1))).toMatchInlineSnapshot(
      `"UsageError: false-positive rate is 1, expected between 0 and 1"`,
    );
  });

  it('keeps the false-positive rate on inputs from the same source', () => {
    const fit = syntheticTable({ n: 500, layers: 20 });
    const fresh = syntheticTable({ n: 4000, layers: 20, seed: 9 });
    for (const { detector, pValues: p } of scoreTable(fitDetectors([fit]), fresh)) {
      const rate = p.filter((value) => value <= 0.1).length / p.length;
      // The rate given the fit set has a standard deviation of √(0.1 · 0.9 / 500) = 0.013, plus 0.005 of the sample;
      // three of those.
      expect(rate, detector).toBeGreaterThan(0.06);
      expect(rate, detector).toBeLessThan(0.14);
    }
  });

  it('scores every group with a fit that has not seen it, over the layers of the whole fit', () => {
    const table = syntheticTable({ n: 23 });
    // One layer is constant but for one group: the folds that lack it cannot fit the layer.
    const odd = { ...table, sqNorms: table.sqNorms.map((f, k) => (k % 3 === 1 ? (k === 1 ? 2 : 1) : f)) };
    for (const t of [table, odd]) {
      const params = layerNorms.fit(t);
      expect(params.layers).toHaveLength(3);
      const scores = calibrate(layerNorms, params, t, 3);
      expect(scores).toHaveLength(23);
      expect(scores.every(Number.isFinite)).toBe(true);
      expect(scores).toEqual(scores.toSorted((a, b) => a - b));
      expect(calibrate(layerNorms, params, t, 3)).toEqual(scores);
      expect(Math.max(...scores)).toBeGreaterThan(Math.max(...layerNorms.score(params, t)));
    }
    expect(message(() => fitDetectors([syntheticTable({ n: 4 })]))).toMatchInlineSnapshot(
      `"DataError: synthetic: has 4 groups of 1 to fit on, expected at least 5"`,
    );
  });
});

describe('detector file', () => {
  const tables = [syntheticTable({ n: 20, group: 5 }), syntheticTable({ n: 30 })];
  const file = fitDetectors(tables, { recipe: { model: 'models/glow', batch: 64 } });

  it('comes back from disk as it was', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'detector-'));
    try {
      const path = join(folder, 'detector.json');
      await writeDetector(path, file);
      const read = await readDetector(path);
      expect(read).toEqual(file);
      const table = syntheticTable({ seed: 4, group: 5 });
      expect(scoreTable(read, table)).toEqual(scoreTable(file, table));
      await expect(readDetector(join(folder, 'other.json'))).rejects.toThrow('no such file');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('holds every detector for every group size, chi2 only where sizes are known', () => {
    expect(file.groups.map(({ group, n }) => [group, n])).toEqual([
      [1, 30],
      [5, 20],
    ]);
    expect(scoreTable(file, syntheticTable()).map((scored) => scored.detector)).toEqual(detectorNames);
    const all = scoreTable(file, syntheticTable());
    expect(scoreTable(file, syntheticTable(), ['fisher', 'likelihood'])).toEqual([all[1], all[5]]);
    const { dims: _, ...bare } = syntheticTable();
    expect(Object.keys(fitDetectors([bare]).groups[0]!.detectors)).not.toContain('chi2');
    expect(() => fitDetectors([bare], { detectors: ['chi2'] })).toThrow(DataError);
    expect(file.seed).toBe(7);
  });

  it('knows its own fit data', () => {
    const later = (start: number, data = 'synthetic') => {
      const table = syntheticTable({ data });
      return { ...table, meta: { ...table.meta, start } };
    };
    expect([later(0), later(99), later(100), later(0, 'other')].map((t) => overlapsFit(file, t))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('refuses tables of another model, other layers or another group size', () => {
    const table = syntheticTable();
    const attempt = (change: Partial<FeatureTable>) => message(() => scoreTable(file, { ...table, ...change }));
    expect([
      attempt({ meta: { ...table.meta, model: 'ef'.repeat(32) } }),
      attempt({ names: ['a.0', 'a.1', 'b'] }),
      message(() => scoreTable(file, syntheticTable({ layers: 2 }))),
      attempt({ group: 3 }),
      attempt({ nll: table.nll.map(() => -Infinity) }),
    ]).toMatchInlineSnapshot(`
      [
        "ModelError: synthetic: cannot score: model is efefefefefef…, expected abababababab… (of the detector)",
        "ModelError: synthetic: cannot score: layer 2 is 'b', expected 'a.2' (of the detector)",
        "ModelError: synthetic: cannot score: has 2 layers, expected 3 (of the detector)",
        "ModelError: synthetic: cannot score: group size is 3, the detector was fitted for 1, 5",
        "DataError: synthetic: row 0: nll is -Infinity, expected a finite number",
      ]
    `);
    expect(() => scoreTable(file, { ...table, group: 3 })).toThrow(ModelError);
  });

  it('is not fitted on tables that do not belong together', () => {
    const [five, one] = tables as [FeatureTable, FeatureTable];
    expect([
      message(() => fitDetectors([])),
      message(() => fitDetectors([one, one])),
      message(() => fitDetectors([one, { ...five, meta: { ...five.meta, model: 'other' } }])),
      message(() => fitDetectors([one, { ...five, meta: { ...five.meta, dataFingerprint: 'other' } }])),
      message(() => fitDetectors([one, { ...five, meta: { ...five.meta, seed: 8 } }])),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: no feature tables to fit on, expected one per group size",
        "DataError: synthetic, groups of 1: there are two tables of this group size",
        "ModelError: synthetic, groups of 5: cannot fit together: model is other, expected abababababab…",
        "DataError: synthetic, groups of 5: cannot fit together: other data than groups of 1",
        "DataError: synthetic, groups of 5: cannot fit together: seed is 8, expected 7",
      ]
    `);
  });

  it('is refused when its version is unknown or it is malformed', () => {
    const text = formatDetector(file);
    const changed = (change: (copy: Record<string, unknown> & DetectorFile) => unknown) => {
      const copy = JSON.parse(text);
      change(copy);
      return message(() => parseDetector(JSON.stringify(copy), 'd.json'));
    };
    const first = (copy: DetectorFile) =>
      copy.groups[0]!.detectors as Record<string, { calibration: number[]; params: object }>;
    expect([
      message(() => parseDetector('[]', 'd.json')),
      message(() => parseDetector('', 'd.json')),
      changed((copy) => Object.assign(copy, { version: 2 })),
      changed((copy) => Object.assign(copy, { version: undefined })),
      changed((copy) => Object.assign(copy, { extra: 1 })),
      changed((copy) => Object.assign(copy, { names: ['a.0', 'a.1'] })),
      changed((copy) => Object.assign(first(copy), { 'no-such': {} })),
      changed((copy) => first(copy).typicality!.calibration.reverse()),
      changed((copy) => first(copy).typicality!.calibration.pop()),
      changed((copy) => Object.assign(first(copy).typicality!.params, { meanNll: null })),
      changed((copy) =>
        Object.assign(first(copy)['layer-norms']!.params, { layers: [{ name: 'a.0', mean: 0, sd: 0 }] }),
      ),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: d.json: is not a detector file: Invalid input: expected object, received array",
        "DataError: d.json: is not a detector file: is not valid JSON: Unexpected end of JSON input",
        "DataError: d.json: is a detector file of version 2, expected 1",
        "DataError: d.json: is not a detector file: at 'version': Invalid input: expected nonoptional, received undefined",
        "DataError: d.json: Unrecognized key: "extra"",
        "DataError: d.json: groups of 1: layer-norms has the unknown layer 'a.2'",
        "DataError: d.json: at 'groups[0].detectors': Unrecognized key: "no-such"",
        "DataError: d.json: groups of 1: typicality has calibration scores that do not ascend",
        "DataError: d.json: groups of 1: typicality has 29 calibration scores, expected 30",
        "DataError: d.json: at 'groups[0].detectors.typicality.params.meanNll': Invalid input: expected number, received null",
        "DataError: d.json: at 'groups[0].detectors.layer-norms.params.layers[0].sd': Too small: expected number to be >0, found 0",
      ]
    `);
  });

  it('is refused with a DataError, or is well-formed, whatever byte is changed', () => {
    const text = formatDetector(fitDetectors([syntheticTable({ n: 5, layers: 1 })]));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 0, maxLength: 1 }), (at, character) => {
        try {
          parseDetector(text.slice(0, at) + character + text.slice(at + 1), 'd.json');
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
          expect(String(error)).toContain('d.json');
        }
      }),
      { numRuns: 500, seed: 20240303 },
    );
  });
});
