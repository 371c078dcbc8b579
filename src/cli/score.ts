// fisher-ood score: a detector and data in; for every input its score, p-value and verdict out.

import { detectorNamed, explain, scoreTable, verdicts } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import { openExtractor, wholeGroups } from '../features/index.ts';
import type { Command } from './command.ts';
import { openDetector, openFor } from './models.ts';
import { extractorOptions, limited, positive, required, text, whole } from './options.ts';
import { endProgress, pace, print, printPart, progressLine, say, throttled } from './terminal.ts';

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
    const top = whole(values, 'top', 0) ?? 10;
    const normal = fitted.detectors['layer-norms']?.params;
    const { start, end } = wholeGroups(data, group, {});
    const n = (end - start) / group;
    const began = performance.now();
    const show = throttled((done: number) => {
      const speed = (1000 * done * group) / (performance.now() - began);
      const left = ((n - done) * group) / speed;
      progressLine(`${data.name}: ${done * group}/${n * group}  ${pace(speed, left)}`);
    });
    let [done, outside] = [0, 0];
    let surprising: readonly Row[] = [];
    // Run by run, so that a data set of any length takes no more memory than a short one.
    const extractor = await openExtractor(model, { ...extractorOptions(options), group, seed: detector.seed });
    try {
      for await (const table of extractor.tables(data)) {
        const scored = scoreTable(detector, table, [name])[0]!;
        const out = verdicts(scored, alpha);
        const layers = !options.json && normal ? explain(normal, table) : undefined;
        const rows = out.map((ood, i) => ({
          index: table.meta.start + i * group,
          score: scored.scores[i]!,
          pValue: scored.pValues[i]!,
          ood,
          why: layers ? loudest(layers, i) : '',
        }));
        if (options.json) {
          const head = JSON.stringify({ detector: name, group, fpr: alpha, n, results: [] }).slice(0, -2);
          const lines = rows.map(({ why: _, ...row }) => JSON.stringify(row)).join();
          await printPart(done === 0 ? `${head}${lines}` : `,${lines}`);
        } else {
          surprising = [...surprising, ...rows].sort((a, b) => b.score - a.score).slice(0, top);
        }
        outside += out.filter(Boolean).length;
        done += out.length;
        show(done);
      }
    } finally {
      await extractor.dispose();
    }
    endProgress();
    if (options.json) return print(']}');
    if (surprising.length > 0) {
      const lines = surprising.map(({ index, score, pValue, ood, why }) => [
        String(index),
        score.toFixed(1),
        pValue.toPrecision(2),
        ood ? 'out' : 'in',
        why,
      ]);
      say(`The most surprising of ${data.name}:`);
      print(alignColumns([['example', 'score', 'p', 'verdict', 'layers furthest from normal (z)'], ...lines]));
    }
    const what = group === 1 ? 'inputs' : `groups of ${group}`;
    print(`${outside} of ${n} ${what} out of distribution by ${name} at a false-positive rate of ${alpha}`);
  },
};

interface Row {
  readonly index: number;
  readonly score: number;
  readonly pValue: number;
  readonly ood: boolean;
  /** The layers that make it surprising, for people. */
  readonly why: string;
}

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
