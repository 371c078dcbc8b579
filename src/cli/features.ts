// fisher-ood features: a model and data in, a feature table on disk out.

import { UsageError } from '../errors.ts';
import { leftOver, openExtractor, runFeatures, shardRows, tableFormatOf } from '../features/index.ts';
import type { Command } from './command.ts';
import { modelOptions, noiseOf, noiseOptions, openFor, openModel } from './models.ts';
import { failOnOdd, type Odd, oddOf, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { extractorOptions, limited, required, text, whole } from './options.ts';
import { foldedNames, parameterNotes } from './parameters.ts';
import { endProgress, pace, print, progressLine, say, throttled } from './terminal.ts';

export const featuresCommand: Command = {
  synopsis: 'MODEL --data DATA --out FILE',
  about: 'Computes the negative log-likelihood and the squared gradient norm of every layer, for every input.',
  details: [
    'FILE ends in .parquet, .npz or .json and holds nll [n], in nats, and the squared norms [n, L]. A run that was stopped or\n' +
      'killed goes on from FILE.partial when it is called again. Inputs whose norms are not finite are named and have NaN (JSON:\n' +
      'null) in FILE; the exit code is then 1. Inputs that fill no group at the end are named too.',
  ],
  examples: [
    'features models/glow-fashion-mnist --data mnist:test --out mnist.parquet',
    'features models/glow-fashion-mnist --data images/ --group 5 --shard 2/8 --out part2.npz',
  ],
  options: {
    data: { type: 'string', value: 'DATA', about: 'the inputs: a file, a folder, or a known set as NAME:split' },
    out: { type: 'string', value: 'FILE', about: '.parquet, .npz or .json' },
    group: {
      type: 'string',
      value: 'B',
      about: 'inputs per group: the norm of the sum of their gradients (default 1)',
    },
    shard: { type: 'string', value: 'i/n', about: 'only the i-th of n parts of the data' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    ...noiseOptions,
    ...modelOptions,
  },
  positionals: 1,

  writes: ([path], values) => ({
    files: [required(values, 'out')],
    beside: ['.partial'],
    reads: [path],
    data: [required(values, 'data')],
  }),

  async run([path], values, options, claim) {
    const out = required(values, 'out');
    tableFormatOf(out);
    const group = whole(values, 'group', 1) ?? 1;
    const shard = parseShard(text(values, 'shard'));
    const model = await openModel(path!, values);
    for (const line of parameterNotes(model)) say(line);
    const data = limited(await openFor(model, required(values, 'data'), options), whole(values, 'limit', 1));
    const noise = noiseOf(values);
    const extractor = await openExtractor(model, { ...extractorOptions(options), group, seed: options.seed, noise });
    try {
      const odd: Odd[] = [];
      const { rows, names, examplesPerSecond, resumed } = await runFeatures({
        extractor,
        data,
        out,
        ...(claim ? { claim } : {}),
        ...(shard ? { rows: shardRows(data, group, shard.index, shard.count) } : {}),
        onProgress: throttled((p) =>
          progressLine(`${p.done}/${p.of} examples  ${pace(p.examplesPerSecond, p.secondsLeft)}`),
        ),
        onNotFinite: (table) => odd.push(...oddOf(table)),
      });
      endProgress();
      if (resumed > 0) say(`${resumed} examples had been done before`);
      const left = shard && shard.index < shard.count ? [] : leftOver(data, group);
      sayLeftOver(data.name, group, left);
      sayOdd(odd);
      const notes = notesOf(data);
      const folded = foldedNames(model);
      if (options.json) {
        const more = {
          ...(folded.length === 0 ? {} : { folded }),
          ...notes,
          ...(left.length === 0 ? {} : { leftOver: left }),
          ...(odd.length === 0 ? {} : { notFinite: odd.map(({ index }) => index) }),
        };
        print(JSON.stringify({ n: rows, names, out, examplesPerSecond, ...more }));
      } else print(`${out}: ${rows} rows of ${names.length} layers, ${examplesPerSecond.toFixed(0)} examples/s`);
      failOnOdd(odd);
    } finally {
      await extractor.dispose();
    }
  },
};

function parseShard(value: string | undefined): { index: number; count: number } | undefined {
  if (value === undefined) return undefined;
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(value)?.map(Number) ?? [];
  if (!index || !count || index > count) throw new UsageError(`--shard is '${value}', expected i/n with 1 ≤ i ≤ n`);
  return { index, count };
}
