// fisher-ood fit: a model and in-distribution data in, a detector file out.

import { fitDetectors, writeDetector } from '../detectors/index.ts';
import { featuresOf } from '../experiment/index.ts';
import type { Command } from './command.ts';
import { featureOptions, modelOptions, modelRecipe, openFor, openModel, placeFrom } from './models.ts';
import { limited, required, whole, wholes } from './options.ts';
import { endProgress, print } from './terminal.ts';

export const fitCommand: Command = {
  synopsis: 'MODEL --data DATA --out DETECTOR.json',
  about: 'Fits the detectors on in-distribution data that the model was not trained on.',
  details: [
    'All detectors are fitted, for every group size asked for. DATA[i:j] takes examples i to j - 1 of a data set, so that one half\n' +
      'can be fitted on and the other evaluated.',
  ],
  examples: [
    "fit models/glow-fashion-mnist --data 'fashion-mnist:test[0:5000]' --out detector.json",
    'fit models/glow-fashion-mnist --data sample/fashion-mnist --group 1,5,20 --out detector.json',
  ],
  options: {
    data: { type: 'string', value: 'DATA', about: 'in-distribution inputs' },
    out: { type: 'string', value: 'FILE', about: 'the detector file, JSON' },
    group: { type: 'string', value: 'B,…', about: 'group sizes (default 1,5)' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    ...modelOptions,
  },
  positionals: 1,

  writes: ([path], values) => ({ files: [required(values, 'out')], reads: [path], data: [required(values, 'data')] }),

  async run([path], values, options) {
    const out = required(values, 'out');
    const groups = wholes(values, 'group', 1) ?? [1, 5];
    const model = await openModel(path!, values);
    const data = limited(await openFor(model, required(values, 'data'), options), whole(values, 'limit', 1));
    const [tables] = await featuresOf(model, [{ name: data.name, data }], featureOptions(options, groups));
    endProgress();
    const recipe = { model: placeFrom(out, path!), ...modelRecipe(values) };
    const detector = fitDetectors(tables!, { recipe });
    await writeDetector(out, detector);
    const fitted = detector.groups.map(({ group, n, detectors }) => ({ group, n, detectors: Object.keys(detectors) }));
    if (options.json) print(JSON.stringify({ out, groups: fitted }));
    else for (const f of fitted) print(`${out}: B = ${f.group}: ${f.detectors.join(', ')} fitted on ${f.n} groups`);
  },
};
