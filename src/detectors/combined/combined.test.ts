// The combined detector on features of which the truth is known: what it tells apart, how often it is wrong, that its
// shares add up, and its file.

import { describe, expect, it } from 'vitest';
import { contrasts, fitContrast, leftOutContrasts } from '../../densities/contrast.ts';
import { meansOf, pick, type Rows, rowsOver } from '../../densities/rows.ts';
import { distances, fitShrunkNormal, leftOutDistances } from '../../densities/shrunk-normal.ts';
import { type FeatureTable, pickRows } from '../../features/table.ts';
import { RandomStream } from '../../tensor/random.ts';
import {
  asStored,
  type CombinedKind,
  combinedPValues,
  explainCombined,
  fitCombined,
  missingGroups,
  missingViews,
  openCombined,
  scoreCombined,
  storeCombined,
} from './index.ts';

const L = 6;
const names = Array.from({ length: L }, (_, j) => `layer${j}`);

/**
 * n inputs whose log norms have a common cause; `shift` moves the signed view of the first layer, `spread` widens it.
 */
function table(name: string, n: number, { shift = 0, spread = 1, carry = 0 } = {}): FeatureTable {
  const noise = new RandomStream(5, name);
  const [sqNorms, radial, fisher] = [0, 1, 2].map(() => new Float64Array(n * L)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const nll = new Float64Array(n);
  const z = new Float64Array(3 * L + 2);
  let before = 0;
  for (let i = 0; i < n; i++) {
    noise.normal(i, z);
    const common = carry * before + Math.sqrt(1 - carry ** 2) * z[3 * L]!;
    before = common;
    for (let j = 0; j < L; j++) {
      sqNorms[i * L + j] = Math.exp(common + 0.5 * z[j]!);
      radial[i * L + j] = spread * (common + z[L + j]!) + (j === 0 ? shift : 0);
      fisher[i * L + j] = Math.exp(0.7 * common + 0.4 * z[2 * L + j]!);
    }
    nll[i] = 100 + z[3 * L + 1]!;
  }
  const meta = { model: 'model', data: name, dataFingerprint: name, seed: 3, noise: 'content', start: 0 } as const;
  return {
    names,
    group: 1,
    meta: { ...meta, views: ['radial', 'fisher'], metric: 'metric' },
    nll,
    sqNorms,
    views: { radial, fisher },
  };
}

const learned = table('fit', 400);
const fit = asStored(
  fitCombined(learned, [table('way 1', 60, { shift: 1.5 }), table('way 2', 60, { shift: -1.5 })], {
    groups: [1, 5, 20],
  }),
);
const fresh = table('fresh', 2000);
const kinds: readonly CombinedKind[] = ['combined', 'combined-gradient'];

describe('few fit inputs', () => {
  it('are calibrated in groups of neighbours where these resemble each other, whichever folds hold a whole group', () => {
    for (let seed = 0; seed < 5; seed++) {
      const film = table(`film ${seed}`, 68, { carry: 0.9 });
      const { related, groups } = fitCombined(film, [], { groups: [1, 5], seed });
      expect([related, groups.map(({ group }) => group)]).toEqual([true, [1, 5]]);
    }
  });

  it('are seldom taken for neighbours that resemble each other when they do not', () => {
    const found = Array.from(
      { length: 20 },
      (_, k) => fitCombined(table(`apart ${k}`, 60), [], { groups: [1] }).related,
    );
    expect(found.filter(Boolean).length).toBeLessThan(4);
  });
});

const auroc = (ours: Float64Array, theirs: Float64Array) =>
  theirs.reduce((sum, t) => sum + ours.reduce((n, o) => n + (o < t ? 1 : o === t ? 0.5 : 0), 0), 0) /
  (ours.length * theirs.length);

describe('the combined detector', () => {
  it('tells what is shifted or spread, the better the larger the group', () => {
    for (const kind of kinds) {
      const odd = table('odd', 1000, { shift: 2.5 });
      const wide = table('wide', 1000, { spread: 2 });
      const of = (t: FeatureTable, B: number) =>
        auroc(scoreCombined(fit, fresh, B, kind), scoreCombined(fit, t, B, kind));
      expect(of(odd, 1)).toBeGreaterThan(0.8);
      expect(of(odd, 5)).toBeGreaterThan(0.99);
      expect(of(wide, 1)).toBeGreaterThan(0.7);
      expect(of(fresh, 5)).toBeCloseTo(0.5, 10);
    }
  });

  it('is wrong about fresh inputs as often as it is asked to, for every group size', () => {
    for (const kind of kinds) {
      for (const [B, most] of [
        [1, 0.075],
        [5, 0.1],
        [20, 0.15],
      ] as const) {
        const p = combinedPValues(fit, scoreCombined(fit, fresh, B, kind), B, kind);
        const share = p.filter((v) => v <= 0.05).length / p.length;
        expect(share).toBeGreaterThan(B === 1 ? 0.03 : 0);
        expect(share).toBeLessThan(most);
      }
    }
  });

  it('has shares of views and layers that add up to the score', () => {
    const odd = table('odd', 40, { shift: 4 });
    for (const kind of kinds) {
      for (const B of [1, 5]) {
        const scores = scoreCombined(fit, odd, B, kind);
        for (const [g, { views, layers, likelihood }] of explainCombined(fit, odd, B, kind).entries()) {
          const sum = (all: readonly { share: number }[]) => all.reduce((total, { share }) => total + share, 0);
          expect(sum(views)).toBeCloseTo(scores[g]!, 8);
          expect(sum(layers) + likelihood).toBeCloseTo(scores[g]!, 8);
          expect(kind === 'combined' || likelihood === 0).toBe(true);
        }
        const first = explainCombined(fit, odd, B, kind).map(({ layers }) =>
          layers.reduce((most, one) => (one.share > most.share ? one : most)),
        );
        expect(first.filter(({ name }) => name === 'layer0').length).toBeGreaterThan(0.8 * first.length);
      }
    }
  });

  it('comes back from its file as it was', () => {
    const again = openCombined(JSON.parse(JSON.stringify(storeCombined(fit))), names, 'file');
    for (const kind of kinds) {
      expect(scoreCombined(again, fresh, 5, kind)).toEqual(scoreCombined(fit, fresh, 5, kind));
    }
  });

  it('knows neighbours that resemble each other, and then measures groups of neighbours', () => {
    const films = fitCombined(table('films', 600, { carry: 0.95 }), [], { groups: [1, 5] });
    expect([fit.related, films.related]).toEqual([false, true]);
    const p = combinedPValues(
      films,
      scoreCombined(films, table('other films', 3000, { carry: 0.95 }), 5, 'combined'),
      5,
      'combined',
    );
    expect(p.filter((v) => v <= 0.05).length / p.length).toBeLessThan(0.12);
  });

  it('says nothing of inputs that are not finite, and does without a contrast', () => {
    const odd: FeatureTable = { ...fresh, sqNorms: fresh.sqNorms.map((v, k) => (k === 7 * L ? Number.NaN : v)) };
    const scores = scoreCombined(fit, odd, 5, 'combined');
    expect(scores[1]).toBeNaN();
    expect(scores.filter(Number.isNaN)).toHaveLength(1);
    const plain = fitCombined(learned, [], { groups: [1] });
    expect(plain.views.map(({ view }) => view.name)).toEqual(['metric', 'surroundings', 'likelihood']);
  });

  it('says which views it does without, and why; of an old file that it does not say', () => {
    const flat = { ...learned, nll: learned.nll.map(() => 3) };
    const reasons = { contrast: 'of one number each', activations: 'no products' };
    const { without, ...rest } = storeCombined(fitCombined(flat, [], { groups: [1], reasons }));
    const found = [
      { view: 'contrast', reason: 'of one number each' },
      { view: 'activations', reason: 'no products' },
      { view: 'likelihood', reason: 'it is the same for all 400 inputs' },
    ];
    expect(without).toEqual(found);
    expect(missingViews({ ...rest, without: without! })).toEqual(found);
    const old = { ...rest, groups: rest.groups };
    expect(missingViews(old)).toEqual(
      found.map(({ view }) => ({ view, reason: 'the detector file is of a version that does not say why' })),
    );
    expect(openCombined(old, names, 'file').without).toBeUndefined();
    const odd = table('way', 20);
    const none = { ...odd, sqNorms: odd.sqNorms.map(() => Number.NaN) };
    expect(fitCombined(learned, [none], { groups: [1], reasons }).without![0]!.reason).toBe(
      'no features of recombined inputs are finite',
    );
    // Two aspects of three layers each, of which the second has one loss for all.
    const parts = Float64Array.from({ length: 800 }, (_, k) => (k % 2 === 0 ? learned.nll[k / 2]! : 3));
    const two = {
      ...learned,
      views: { ...learned.views, parts },
      meta: { ...learned.meta, views: ['radial', 'fisher', 'parts'] as const, columns: { parts: ['one', 'two'] } },
    };
    const stored = storeCombined(fitCombined(two, [], { groups: [1], aspects: ['one', 'two'] }));
    expect(missingViews(stored).at(-1)).toEqual({
      view: 'likelihood',
      aspect: 'two',
      reason: 'it is the same for all 400 inputs',
    });
    const { without: _, ...before } = stored;
    expect(missingViews(before).map(({ view, aspect }) => [view, aspect])).toEqual([
      ['contrast', undefined],
      ['activations', undefined],
      ['likelihood', 'two'],
    ]);
    expect(() => openCombined({ ...stored, without: [{ view: 'none', reason: 'x' }] }, names.slice(0, 3), 'f')).toThrow(
      "without the unknown view 'none'",
    );
  });

  it('says how many inputs repeat others', () => {
    const twice = pickRows(
      learned,
      Array.from({ length: 60 }, (_, i) => i % 40),
    );
    expect(storeCombined(fitCombined(twice, [], { groups: [1] })).repeats).toBe(20);
    expect(fit.repeats).toBeUndefined();
  });

  it('takes group sizes in any order, and says of those that it has too few inputs for', () => {
    const fit = fitCombined(learned, [], { groups: [20, 1, 5, 1, 100] });
    expect(fit.groups.map(({ group }) => group)).toEqual([1, 5, 20]);
    expect(missingGroups(storeCombined(fit), [1, 100])).toEqual([
      { group: 100, reason: 'it is fitted on 400 inputs, groups of 100 take 1000' },
    ]);
    expect(() => fitCombined(learned, [], { groups: [100] })).toThrow(
      '400 inputs to fit the combined detector on, and groups of 100 take 1000',
    );
  });

  it('fits on twenty inputs and refuses fewer, other layers and groups it was not fitted for', () => {
    const few = fitCombined(table('few', 20), [table('way', 20)], { groups: [1, 2, 5] });
    expect(few.groups.map(({ group }) => group)).toEqual([1, 2]);
    expect(scoreCombined(few, fresh, 1, 'combined').every(Number.isFinite)).toBe(true);
    expect(() => fitCombined(table('fewer', 19), [], { groups: [1] })).toThrow(
      '19 inputs to fit the combined detector',
    );
    expect(() => scoreCombined(fit, fresh, 3, 'combined')).toThrow('fitted for 1, 5, 20');
    const other = { ...fresh, names: names.map((name) => `${name}x`) };
    expect(() => scoreCombined(fit, other, 1, 'combined')).toThrow('other layers');
  });

  it('refuses files that are damaged', () => {
    const stored = storeCombined(fit);
    const [first, ...others] = stored.views;
    const damaged: [object, string][] = [
      [{ ...stored, views: [{ ...first!, name: 'none' }, ...others] }, "unknown view 'none'"],
      [{ ...stored, views: [{ ...first!, model: { density: 'normal', precision: 'AAAA' } }, ...others] }, '3 bytes'],
      [{ ...stored, views: [{ ...first!, model: { density: 'normal', precision: '*' } }, ...others] }, 'not base64'],
      [{ ...stored, floors: { ...stored.floors, norms: [1] } }, 'floors'],
      [{ ...stored, groups: stored.groups.toReversed() }, 'do not ascend'],
      [{ ...stored, groups: stored.groups.map((g) => ({ ...g, inner: g.inner.slice(1) })) }, 'other maps'],
      [{ ...stored, views: [{ ...first!, standard: { ...first!.standard, columns: [3, 1] } }, ...others] }, 'columns'],
      [{ ...stored, n: 0 }, "at 'n'"],
    ];
    for (const [value, message] of damaged) expect(() => openCombined(value, names, 'file')).toThrow(message);
  });
});

describe('leaving fit rows out', () => {
  const random = (n: number, p: number, name: string): Rows => {
    const data = new Float64Array(n * p);
    new RandomStream(1, name).normal(0, data);
    return rowsOver(data, p);
  };
  const [rows, other] = [random(300, 8, 'rows'), random(40, 8, 'other')];
  const groups = [4, 9, 200, 17, 33, 298];

  it('is what fitting without them gives, up to what their number changes', () => {
    for (const B of [1, 3]) {
      const normal = leftOutDistances(rows, 0.3)(groups, B);
      const contrast = leftOutContrasts(fitContrast(rows, [other]), rows)(groups, B)[0]!;
      for (let g = 0; g < groups.length / B; g++) {
        const members = groups.slice(g * B, (g + 1) * B);
        const rest = pick(
          rows,
          Array.from({ length: rows.n }, (_, i) => i).filter((i) => !members.includes(i)),
        );
        const mean = meansOf(pick(rows, members), B);
        const [along] = contrasts(fitContrast(rest, [other]), mean, B);
        expect(Math.abs(contrast[g]! - along![0]!)).toBeLessThan(0.05);
        const [own] = distances(fitShrunkNormal(rest, 0.3), mean, B);
        expect(normal[g]! / own!).toBeGreaterThan(0.97);
        expect(normal[g]! / own!).toBeLessThan(1.06);
      }
    }
  });
});
