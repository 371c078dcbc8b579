// fisher-ood features: a model and data in, a feature table on disk out.

import { defined, filled } from '../defined.ts';
import { UsageError } from '../errors.ts';
import { leftOver, shardRows } from '../features/index.ts';
import { openExtractor } from '../node/defaults.ts';
import { runFeatures, tableFormatOf } from '../node/index.ts';
import type { Command } from './command.ts';
import { limited } from './datasets.ts';
import { extractorOptions } from './machine.ts';
import { noiseOf, openModelAndData, sayDraws } from './models.ts';
import { failOnOdd, type Odd, oddOf, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { required, text, whole } from './options.ts';
import { foldedNames, parameterNotes } from './parameters.ts';
import { endProgress, pace, print, progressLine, say, throttled } from './terminal.ts';
import { metricFrom, viewsOf } from './views.ts';

export const featuresCommand: Command = {
  writes: ([path], values) => ({
    files: [required(values, 'out')],
    beside: ['.partial'],
    reads: [path, text(values, 'metric')],
    data: [required(values, 'data')],
  }),

  async run([path], values, options, claim) {
    const out = required(values, 'out');
    tableFormatOf(out);
    const group = whole(values, 'group', 1) ?? 1;
    const shard = parseShard(text(values, 'shard'));
    const views = viewsOf(values);
    const metricFile = text(values, 'metric');
    if (views.includes('fisher') !== (metricFile !== undefined)) {
      throw new UsageError(
        '--features fisher and --metric DETECTOR go together: the detector keeps what is measured by',
      );
    }
    const opened = await openModelAndData(path!, values, required(values, 'data'), options);
    const { model } = opened;
    for (const line of parameterNotes(model)) say(line);
    const metric = metricFile === undefined ? undefined : await metricFrom(metricFile, model);
    const data = limited(opened.data, whole(values, 'limit', 1));
    const noise = noiseOf(values);
    const { seed } = options;
    const noiseSamples = whole(values, 'noise-samples', 1) ?? 1;
    const extractor = await openExtractor(model, {
      ...extractorOptions(options),
      group,
      seed,
      noise,
      noiseSamples,
      views,
      ...defined({ metric }),
    });
    sayDraws(values, extractor.noiseSamples);
    try {
      const odd: Odd[] = [];
      const { rows, names, examplesPerSecond, resumed } = await runFeatures({
        extractor,
        data,
        out,
        ...defined({ claim }),
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
          ...filled({ folded, roles: opened.roles }),
          ...notes,
          ...filled({ leftOver: left, notFinite: odd.map(({ index }) => index) }),
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
