// fisher-ood fit: how it is called.

import {
  dataOptions,
  deviceOption,
  drawOptions,
  metricOptions,
  modelOptions,
  noiseOptions,
  viewOptions,
} from './options.ts';
import type { Usage } from './usage.ts';

export const fitUsage: Usage = {
  synopsis: 'MODEL --data DATA --out DETECTOR.json',
  about: 'Fits the detectors on in-distribution data that the model was not trained on.',
  details: [
    'All detectors are fitted, for every group size asked for. The combined one takes 30 inputs or more: a metric of gradients from the\n' +
      'first quarter (400 at most), the rest of it from the others and from inputs that are recombined of them. DATA[i:j] takes examples i to j - 1 of a data set, so that one half\n' +
      'can be fitted on and the other evaluated. Layers that a detector cannot use, and inputs that fill no group at the end, are\n' +
      'named. Inputs whose norms are not finite are refused. A group size needs five groups; of the default ones, those for which there\n' +
      'are too few inputs are left out, and said.',
  ],
  examples: [
    "fit models/glow-fashion-mnist --data 'fashion-mnist:test[0:5000]' --out detector.json",
    'fit models/glow-fashion-mnist --data sample/fashion-mnist --group 1,5,20 --out detector.json',
    'fit models/glow-fashion-mnist --data sample/fashion-mnist --fisher-form diagonal --out detector.json',
  ],
  options: {
    data: { type: 'string', value: 'DATA', about: 'in-distribution inputs' },
    out: { type: 'string', value: 'FILE', about: 'the detector file, JSON' },
    group: { type: 'string', value: 'B,…', about: 'group sizes (default 1,5)' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    'skip-not-finite': {
      type: 'boolean',
      about: 'leave out inputs whose norms are not finite, in place of refusing them',
    },
    ...dataOptions,
    ...viewOptions,
    ...metricOptions,
    ...noiseOptions,
    ...drawOptions,
    ...modelOptions,
    ...deviceOption,
  },
  positionals: 1,
  load: async () => (await import('../fit.ts')).fitCommand,
};
