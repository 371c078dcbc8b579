// Detectors where numbers end: parameters and norms at the limits of a double, norms of zero, fit sets of nearly equal
// rows, rows that are not finite. No score that is not a finite number may become a verdict.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import { DataError } from '../errors.ts';
import { type FeatureTable, finiteRows } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { verdicts } from './calibration.ts';
import { detectorNames } from './detectors.ts';
import { fitDetectors } from './fit.ts';
import type { DetectorFile } from './fitted.ts';
import { formatDetector, parseDetector } from './format.ts';
import { scoreTable, sharedWithFit } from './score.ts';

/** Numbers at which arithmetic or a reader may trip. */
const extremes = [0, -0, 5e-324, 1e-320, 1e-308, 1e-160, 1e-40, 1e40, 1e154, 1e160, 1e300, 1e308, Number.MAX_VALUE];

/** Every place of a number in the parameters of a detector, as a path. */
function numbersIn(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value === 'number') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => numbersIn(inner, [...path, key]));
}

function put(target: unknown, [key, ...rest]: readonly (string | number)[], value: number): void {
  const inner = target as Record<string | number, unknown>;
  if (rest.length === 0) inner[key!] = value;
  else put(inner[key!], rest, value);
}

describe('a detector file with parameters at the limits of numbers', () => {
  const text = formatDetector(fitDetectors([syntheticTable({ n: 12 })]));
  const rows = tableOf(
    [
      [1, 1, 1],
      [0, 0, 0],
      [5e-324, 1e308, 1],
      [1e154, 1e154, 1e154],
      [Number.MAX_VALUE, Number.MAX_VALUE, Number.MAX_VALUE],
    ],
    [100, -1e308, 1e308, 0, 5e-324],
  );

  it.each(detectorNames)('is refused, or its score is, or the score is a finite number: %s', (name) => {
    const places = numbersIn((JSON.parse(text) as DetectorFile).groups[0]!.detectors[name]!.params);
    if (places.length === 0) return;
    let [refused, scored] = [0, 0];
    const place = fc.constantFrom(...places);
    const number = fc.oneof(fc.constantFrom(...extremes, ...extremes.map((x) => -x)), fc.double({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.tuple(place, number), { minLength: 1, maxLength: 3 }), (changes) => {
        const copy = JSON.parse(text) as DetectorFile;
        for (const [path, value] of changes) put(copy.groups[0]!.detectors[name]!.params, path, value);
        let file: DetectorFile;
        try {
          file = parseDetector(JSON.stringify(copy), 'd.json');
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
          refused++;
          return;
        }
        for (let i = 0; i < rows.nll.length; i++) {
          const one = { ...rows, nll: rows.nll.slice(i, i + 1), sqNorms: rows.sqNorms.slice(3 * i, 3 * i + 3) };
          try {
            const [found] = scoreTable(file, one, [name]);
            expect(Number.isFinite(found!.scores[0])).toBe(true);
            expect(verdicts(found!, 0.2)).toHaveLength(1);
            scored++;
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
            expect(String(error)).toMatch(/row 0/);
          }
        }
      }),
      { numRuns: 400, seed: 20240303 },
    );
    expect(refused + scored).toBeGreaterThan(100);
  });

  it('names the place of a standard deviation or a mean that no fit can have', () => {
    const changed = (path: readonly (string | number)[], value: number) => {
      const copy = JSON.parse(text) as DetectorFile;
      put(copy.groups[0]!.detectors['one-class-svm']!.params, path, value);
      return () => parseDetector(JSON.stringify(copy), 'd.json');
    };
    const at = /^d\.json: at 'groups\[0\]\.detectors\.one-class-svm\.params\.layers\[0\]/;
    expect(changed(['layers', 0, 'sd'], 5e-324)).toThrow(at);
    expect(changed(['layers', 0, 'mean'], 1e308)).toThrow(at);
    expect(changed(['layers', 0, 'mean'], -2)).not.toThrow();
  });

  it('refuses a finite input whose score is not, and says which', () => {
    const file = parseDetector(text, 'd.json');
    const far = { ...rows, sqNorms: rows.sqNorms.map(() => Number.MAX_VALUE) };
    expect(() => scoreTable(file, far, ['total-norm'])).toThrow(
      /synthetic: row 0: total-norm gives the score Infinity/,
    );
  });
});

describe('a zero norm', () => {
  /** 60 rows of two layers, log norms N(0, 1); the second layer's norm is 0 in the first `zeros` rows. */
  const withZeros = (zeros: number): FeatureTable => {
    const logs = new Float64Array(120);
    new RandomStream(0, 'zeros').normal(0, logs);
    const table = { ...tableOf([[1, 1]]), dims: [4, 5], nll: new Float64Array(60).fill(1) };
    return { ...table, sqNorms: logs.map((z, k) => (k % 2 === 1 && k < 2 * zeros ? 0 : Math.exp(z))) };
  };
  const layersOf = (file: DetectorFile) =>
    detectorNames.flatMap((name) => {
      const params = file.groups[0]!.detectors[name]?.params;
      return params && 'layers' in params ? [[name, params.layers.length, params.dropped.length] as const] : [];
    });

  it('in some fit groups costs no detector a layer', () => {
    for (const zeros of [0, 1, 30]) {
      const found = layersOf(fitDetectors([withZeros(zeros)]));
      expect(found.map(([, ...rest]) => rest)).toEqual(found.map(() => [2, 0]));
    }
    const dead = layersOf(fitDetectors([withZeros(31)]));
    expect(dead.map(([, ...rest]) => rest)).toEqual(dead.map(() => [1, 1]));
  });

  it('is as ordinary as it was in the fit set, and surprising where there was none', () => {
    const zero = { ...tableOf([[1, 0]]), dims: [4, 5] };
    for (const name of ['layer-norms', 'fisher', 'chi2', 'one-class-svm', 'isolation-forest'] as const) {
      const pOf = (zeros: number) => scoreTable(fitDetectors([withZeros(zeros)]), zero, [name])[0]!.pValues[0]!;
      expect(pOf(6), name).toBeGreaterThan(0.05);
      if (name !== 'isolation-forest') expect(pOf(0), name).toBe(1 / 61);
    }
  });

  it('keeps the scores of layers whose norms are all tiny apart', () => {
    const table = syntheticTable({ n: 60 });
    const tiny = (t: FeatureTable): FeatureTable => ({ ...t, sqNorms: t.sqNorms.map((f) => f * 1e-60) });
    const other = syntheticTable({ n: 20, seed: 3 });
    const scores = (t: FeatureTable, o: FeatureTable) => scoreTable(fitDetectors([t]), o, ['layer-norms'])[0]!.scores;
    const plain = scores(table, other);
    for (const [i, score] of scores(tiny(table), tiny(other)).entries()) expect(score).toBeCloseTo(plain[i]!, 8);
  });
});

describe('a fit set of nearly equal rows', () => {
  const row = (factor: number) => [factor, 2 * factor, 3 * factor];

  it('lets no detector of norms call in what is far away', () => {
    for (const jitter of [0, 1e-9, 1e-7, 1e-5, 1e-3]) {
      const noise = new Float64Array(60);
      new RandomStream(0, 'jitter').normal(0, noise);
      const fit = {
        ...tableOf(Array.from(noise, (z, i) => row(i === 59 ? 1.5 : Math.exp(jitter * z)))),
        dims: [1, 2, 3],
      };
      const file = fitDetectors([fit]);
      // The one other row is 7.6 standard deviations away from the mean by the formula, the first of these as far, the
      // last 46.
      const far = { ...tableOf([row(1.5), row(3), row(1.5 ** 6)]), dims: [1, 2, 3] };
      for (const { detector, pValues } of scoreTable(file, far)) {
        if (['likelihood', 'typicality'].includes(detector)) continue;
        for (const p of pValues) expect(p, `${detector}, jitter ${jitter}`).toBeLessThanOrEqual(2 / 61);
      }
    }
  });

  it('does not make rounding a distance', () => {
    const noise = new Float64Array(40);
    new RandomStream(0, 'rounding').normal(0, noise);
    const fit = tableOf(Array.from(noise, (z) => row(Math.exp(2e-6 * z)))); // above what counts as constant
    const [group] = fitDetectors([fit], { detectors: ['layer-norms'] }).groups;
    expect(group!.detectors['layer-norms']!.params.layers.map(({ sd }) => sd)).toEqual([1e-5, 1e-5, 1e-5]);
  });
});

describe('rows that are not finite', () => {
  const table = syntheticTable({ n: 30 });
  const marked: FeatureTable = {
    ...table,
    nll: table.nll.map((nll, i) => (i === 4 ? Number.NaN : nll)),
    sqNorms: table.sqNorms.map((f, k) => (k === 3 * 20 + 1 ? Number.NaN : f)),
  };

  it('are refused by fit, which names them, unless they are to be left out', () => {
    expect(() => fitDetectors([marked])).toThrow(
      'synthetic, groups of 1: 2 of 30 groups to fit on have no finite norms or nll: examples 4, 20',
    );
    const file = fitDetectors([marked], { leaveOut: true });
    expect(file.groups[0]).toMatchObject({ n: 28, leftOut: [4, 20] });
    expect(parseDetector(formatDetector(file), 'd.json')).toEqual(file);
    const without = finiteRows(marked);
    expect(file.groups[0]!.detectors).toEqual(fitDetectors([without]).groups[0]!.detectors);
  });

  it('get no score, no p-value and no verdict of any detector; the others get theirs', () => {
    const file = fitDetectors([table]);
    const plain = scoreTable(file, table);
    for (const [k, scored] of scoreTable(file, marked).entries()) {
      for (const i of table.nll.keys()) {
        const expected = [4, 20].includes(i) ? Number.NaN : plain[k]!.scores[i];
        expect(scored.scores[i], scored.detector).toBe(expected);
        expect(Number.isNaN(scored.pValues[i])).toBe(Number.isNaN(expected));
      }
      expect(() => verdicts(scored, 0.05)).toThrow(/row 4 has the p-value NaN/);
    }
  });
});

describe('examples that were fitted on', () => {
  const fingerprint = 'ab'.repeat(32);
  const of = (runs: readonly (readonly [number, number])[], n: number, suffix = '') => {
    const table = syntheticTable({ n });
    return { ...table, meta: { ...table.meta, dataFingerprint: fingerprint + suffix, origin: { fingerprint, runs } } };
  };
  const fitted = fitDetectors([of([[0, 60]], 60, '[0:60]')]);

  it('are found in other slices and selections of the source, whatever was done to them', () => {
    expect(sharedWithFit(fitted, of([[30, 90]], 60, '[30:90]'))).toBe(30);
    expect(
      sharedWithFit(
        fitted,
        of(
          [
            [90, 100],
            [59, 60],
            [0, 1],
          ],
          12,
          '{1} resized 8×8',
        ),
      ),
    ).toBe(2); // prettier-ignore
    expect(sharedWithFit(fitted, of([[60, 90]], 30, '[60:90]'))).toBe(0);
    const other = of([[0, 60]], 60);
    const foreign = { ...other, meta: { ...other.meta, origin: { ...other.meta.origin, fingerprint: 'cd' } } };
    expect(sharedWithFit(fitted, foreign)).toBe(0);
    expect(sharedWithFit(parseDetector(formatDetector(fitted), 'd'), of([[30, 90]], 60))).toBe(30);
  });

  it('are found by a file that was written before files said which they were', () => {
    const { origin: _, ...data } = fitted.data;
    const old: DetectorFile = { ...fitted, data };
    expect(sharedWithFit(old, of([[30, 90]], 60, '[30:90]'))).toBe(30);
    expect(sharedWithFit(old, of([[60, 90]], 30, '[60:90]'))).toBe(0);
    const named = { ...old, data: { name: 'x', fingerprint: 'no hash' } };
    expect(sharedWithFit(named, of([[30, 90]], 60))).toBe(0);
  });
});
