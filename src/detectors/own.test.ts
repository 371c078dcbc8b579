// Detectors that others define, and ours with options: fitted, written, read and scored beside the rest.

import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { syntheticTable } from '../../test/detectors/tables.ts';
import { evaluate } from '../eval/index.ts';
import {
  defineDetector,
  fitDetectors,
  formatDetector,
  isolationForest,
  oneClassSvm,
  parseDetector,
  scoreTable,
} from './index.ts';

/** By how much the first layer's norm is above the largest of the fit set. */
const first = defineDetector({
  name: 'first-layer',
  about: 'norm of the first layer over the mean of the fit set',
  params: z.strictObject({ mean: z.number().positive() }),
  fit: ({ nll, names, sqNorms }) => ({
    mean: nll.reduce((sum, _, i) => sum + sqNorms[i * names.length]!, 0) / nll.length,
  }),
  score: ({ mean }, { nll, names, sqNorms }) => nll.map((_, i) => sqNorms[i * names.length]! / mean),
});

describe('a detector of one’s own', () => {
  const table = syntheticTable();
  const file = fitDetectors([table], { detectors: [first, 'likelihood'] });

  it('is fitted and calibrated as ours are, which come first', () => {
    expect(Object.keys(file.groups[0]!.detectors)).toEqual(['likelihood', 'first-layer']);
    expect(file.groups[0]!.detectors['first-layer']!.calibration).toHaveLength(40);
  });

  it('comes back from a file where it is given, and is refused by name where it is not', () => {
    const text = formatDetector(file);
    expect(parseDetector(text, 'f', [first])).toEqual(file);
    expect(() => parseDetector(text, 'f')).toThrow(/^f: .*first-layer/);
    const odd = text.replace(/"mean":[\d.]+/, '"mean":-1');
    expect(() => parseDetector(odd, 'f', [first])).toThrow("at 'groups[0].detectors.first-layer.params.mean'");
  });

  it('scores and is evaluated where it is asked for', () => {
    const scored = scoreTable(file, table, [first, 'likelihood']);
    expect(scored.map(({ detector }) => detector)).toEqual(['likelihood', 'first-layer']);
    const { mean } = file.groups[0]!.detectors['first-layer']!.params as { mean: number };
    expect(scored[1]!.scores).toEqual(first.score({ mean }, table));
    expect(scoreTable(file, table).map(({ detector }) => detector)).toEqual(['likelihood']);
    const far = syntheticTable({ shift: 50, seed: 1 });
    const rows = evaluate(file, [table], [{ name: 'far', tables: [far] }], { seed: 0, detectors: [first] });
    expect(rows.map(({ detector, auroc }) => [detector, auroc])).toEqual([['first-layer', 1]]);
  });

  it('needs a name that no other has', () => {
    const named = (name: string) => defineDetector({ ...first, name });
    expect(() => named('First layer')).toThrow("a detector is named 'First layer', expected small letters");
    expect(() => fitDetectors([table], { detectors: ['likelihood', named('likelihood')] })).toThrow(
      "two detectors are named 'likelihood'",
    );
  });
});

describe('ours with options', () => {
  const table = syntheticTable();
  const fitted = (detector: Parameters<typeof scoreTable>[2] & object) =>
    fitDetectors([table], { detectors: detector }).groups[0]!.detectors;

  it('are fitted with them and need none when they score', () => {
    expect(fitted([isolationForest({ trees: 7, sample: 16 })])['isolation-forest']!.params).toMatchObject({
      sample: 16,
    });
    expect(fitted([isolationForest({ trees: 7 })])['isolation-forest']!.params.trees).toHaveLength(7);
    expect(fitted([isolationForest()])).toEqual(fitted(['isolation-forest']));
    const many = fitted([oneClassSvm({ nu: 0.8 })])['one-class-svm']!.params.vectors.length;
    expect(many).toBeGreaterThan(fitted(['one-class-svm'])['one-class-svm']!.params.vectors.length);
    const file = fitDetectors([table], { detectors: [isolationForest({ trees: 7 })] });
    expect(scoreTable(parseDetector(formatDetector(file), 'f'), table)).toEqual(scoreTable(file, table));
  });

  it('refuse what makes no sense', () => {
    expect(() => oneClassSvm({ nu: 1 })).toThrow('one-class-svm: nu is 1, expected between 0 and 1');
    expect(() => isolationForest({ trees: 0 })).toThrow(
      'isolation-forest: trees is 0, expected a whole number of at least 1',
    );
    expect(() => isolationForest({ sample: 1.5 })).toThrow('isolation-forest: sample is 1.5');
  });
});
