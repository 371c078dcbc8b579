// fisher-ood eval: a detector, in-distribution data and out-of-distribution sets in; AUROC, AUPR and FPR out.

import { writeFileAtomic } from '../data/index.ts';
import { overlapsFit } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { formatResults } from '../eval/index.ts';
import { evaluateDetector } from '../experiment/index.ts';
import { reportHtml } from '../report/index.ts';
import type { Command } from './command.ts';
import { featureOptions, modelPlace, openDetector, openFor } from './models.ts';
import { openDataset, required, text, texts, wholes } from './options.ts';
import { reportOf } from './reporting.ts';
import { endProgress, print, say } from './terminal.ts';

export const evalCommand: Command = {
  synopsis: 'DETECTOR --in DATA --ood NAME=DATA …',
  about: 'Measures how well the detectors tell in-distribution data from other data sets.',
  details: [
    'AUROC with a 95 % bootstrap interval, average precision, and the share of out-of-distribution inputs accepted where 95 % of the\n' +
      'in-distribution ones are; for every detector, set and fitted group size.',
  ],
  examples: ["eval detector.json --in 'fashion-mnist:test[5000:10000]' --ood mnist=mnist:test --ood noise=noise:1000"],
  options: {
    in: { type: 'string', value: 'DATA', about: 'in-distribution inputs that the detector was not fitted on' },
    ood: { type: 'string', multiple: true, value: 'NAME=DATA', about: 'out-of-distribution inputs; may be repeated' },
    group: { type: 'string', value: 'B,…', about: 'group sizes (default: all that are fitted)' },
    report: { type: 'string', value: 'FILE', about: 'write an HTML page with the figures' },
    model: { type: 'string', value: 'MODEL', about: 'the model, if it is no longer where the detector says' },
  },
  positionals: 1,

  writes: async ([path], values) => ({
    files: [text(values, 'report')],
    reads: [path, await modelPlace(path!, values)],
    data: [text(values, 'in'), ...texts(values, 'ood').map((pair) => parsePair(pair).spec)],
  }),

  async run([path], values, options) {
    const pairs = texts(values, 'ood').map(parsePair);
    if (pairs.length === 0) throw new UsageError('--ood NAME=DATA is needed at least once');
    const { detector, model } = await openDetector(path!, values);
    const known = detector.groups.map((g) => g.group);
    const groups = wholes(values, 'group', 1) ?? known;
    const missing = groups.find((g) => !known.includes(g));
    if (missing !== undefined) {
      throw new UsageError(`${path} is not fitted for groups of ${missing}; it is for ${known.join(', ')}`);
    }
    const raw = await openDataset(required(values, 'in'), options);
    const inSet = { name: raw.name, data: await openFor(model, required(values, 'in'), options) };
    const oodSets = await Promise.all(
      pairs.map(async ({ name, spec }) => ({ name, data: await openFor(model, spec, options, raw.shapes.x) })),
    );
    const result = await evaluateDetector(
      model,
      detector,
      inSet,
      oodSets,
      featureOptions(options, groups, detector.seed),
    );
    endProgress();
    if (result.inSet.tables.some((table) => overlapsFit(detector, table))) {
      say('Warning: some of the in-distribution inputs are among those the detector was fitted on');
    }
    const report = text(values, 'report');
    if (report !== undefined) {
      const command = `fisher-ood eval ${path} --in ${required(values, 'in')} …`;
      await writeFileAtomic(report, reportHtml(await reportOf(model, result, `${inSet.name} and others`, command)));
      say(`Wrote ${report}`);
    }
    print(options.json ? JSON.stringify({ results: result.rows }) : formatResults(result.rows));
  },
};

function parsePair(pair: string): { name: string; spec: string } {
  const at = pair.indexOf('=');
  if (at < 1 || at === pair.length - 1) throw new UsageError(`--ood is '${pair}', expected NAME=DATA`);
  return { name: pair.slice(0, at), spec: pair.slice(at + 1) };
}
