// fisher-ood score: a detector and data in; for every input its score, p-value and verdict out.

import { detectorNamed, explain, type Scored, scoreTable, verdicts } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import { featuresOf } from '../experiment/index.ts';
import { type FeatureTable, rowsOf } from '../features/index.ts';
import type { Command } from './command.ts';
import { featureOptions, openDetector, openFor } from './models.ts';
import { limited, positive, required, text, whole } from './options.ts';
import { endProgress, print, say } from './terminal.ts';

export const scoreCommand: Command = {
  synopsis: 'DETECTOR --data DATA',
  about: 'Tells for every input how surprising it is and whether it is out of distribution.',
  details: [
    'The p-value is the share of in-distribution inputs that are at least as surprising; an input is called out of distribution\n' +
      'where it is at most --fpr. Higher scores are more out of distribution.',
  ],
  examples: [
    'score detector.json --data images/',
    'score detector.json --data mnist:test --group 5 --fpr 0.01 --top 20',
  ],
  options: {
    data: { type: 'string', value: 'DATA', about: 'the inputs: a file, a folder, or a known set as NAME:split' },
    detector: { type: 'string', value: 'NAME', about: 'layer-norms (default), likelihood, typicality, …' },
    group: { type: 'string', value: 'B', about: 'judge groups of B inputs from one source together (default 1)' },
    fpr: { type: 'string', value: 'X', about: 'false-positive rate of the verdict (default 0.05)' },
    top: { type: 'string', value: 'N', about: 'how many of the most surprising inputs to list (default 10)' },
    model: { type: 'string', value: 'MODEL', about: 'the model, if it is no longer where the detector says' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
  },
  positionals: 1,

  async run([path], values, options) {
    const name = detectorNamed(text(values, 'detector') ?? 'layer-norms');
    const group = whole(values, 'group', 1) ?? 1;
    const alpha = positive(values, 'fpr') ?? 0.05;
    const { detector, model } = await openDetector(path!, values);
    const fitted = detector.groups.find((entry) => entry.group === group);
    if (!fitted?.detectors[name]) {
      const there = detector.groups.map((g) => `B = ${g.group}: ${Object.keys(g.detectors).join(', ')}`).join('; ');
      throw new UsageError(`${path}: ${name} is not fitted for groups of ${group}; there are ${there}`);
    }
    const data = limited(await openFor(model, required(values, 'data'), options), whole(values, 'limit', 1));
    const [[table]] = (await featuresOf(
      model,
      [{ name: data.name, data }],
      featureOptions(options, [group], detector.seed),
    )) as [[FeatureTable]];
    endProgress();
    const scored = scoreTable(detector, table, [name])[0]!;
    const out = verdicts(scored, alpha);
    const rows = Array.from({ length: rowsOf(table) }, (_, i) => ({
      index: table.meta.start + i * group,
      score: scored.scores[i]!,
      pValue: scored.pValues[i]!,
      ood: out[i]!,
    }));
    if (options.json) {
      print(JSON.stringify({ detector: name, group, fpr: alpha, n: rows.length, results: rows }));
      return;
    }
    const order = [...rows.keys()].sort((a, b) => rows[b]!.score - rows[a]!.score);
    const normal = fitted.detectors['layer-norms']?.params;
    const layers = normal ? explain(normal, table) : undefined;
    const lines = order.slice(0, whole(values, 'top', 0) ?? 10).map((i) => {
      const row = rows[i]!;
      return [
        String(row.index),
        row.score.toFixed(1),
        row.pValue.toPrecision(2),
        row.ood ? 'out' : 'in',
        layers ? loudest(layers, i) : '',
      ];
    });
    if (lines.length > 0) {
      say(`The most surprising of ${data.name}:`);
      print(alignColumns([['example', 'score', 'p', 'verdict', 'layers furthest from normal (z)'], ...lines]));
    }
    print(summary(scored, out, group, alpha));
  },
};

function loudest(
  { names, zScores }: { readonly names: readonly string[]; readonly zScores: Float64Array },
  row: number,
) {
  const z = zScores.subarray(row * names.length, (row + 1) * names.length);
  const order = [...names.keys()].sort((a, b) => Math.abs(z[b]!) - Math.abs(z[a]!));
  return order
    .slice(0, 3)
    .map((j) => `${names[j]} ${z[j]! > 0 ? '+' : ''}${z[j]!.toFixed(1)}`)
    .join(', ');
}

function summary(scored: Scored, out: readonly boolean[], group: number, alpha: number): string {
  const count = out.filter(Boolean).length;
  const what = group === 1 ? 'inputs' : `groups of ${group}`;
  return `${count} of ${out.length} ${what} out of distribution by ${scored.detector} at a false-positive rate of ${alpha}`;
}
