// fisher-ood features: how it is called.

import { dataOptions, deviceOption, drawOptions, modelOptions, noiseOptions, viewOptions } from './options.ts';
import type { Usage } from './usage.ts';

export const featuresUsage: Usage = {
  synopsis: 'MODEL --data DATA --out FILE',
  about: 'Computes the negative log-likelihood and the squared gradient norm of every layer, for every input.',
  details: [
    'FILE ends in .parquet, .npz or .json and holds nll [n], in nats, and the squared norms [n, L] (or more: --features). A run\n' +
      'that was stopped or killed goes on from FILE.partial when it is called again. Inputs whose norms are not finite are named\n' +
      'and have NaN (JSON: null) in FILE; the exit code is then 1. Inputs that fill no group at the end are named too.',
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
    ...viewOptions,
    metric: {
      type: 'string',
      value: 'DETECTOR',
      about: 'for --features fisher: the file in which fit has kept what to measure by',
    },
    shard: { type: 'string', value: 'i/n', about: 'only the i-th of n parts of the data' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    ...dataOptions,
    ...noiseOptions,
    ...drawOptions,
    ...modelOptions,
    ...deviceOption,
  },
  positionals: 1,
  load: async () => (await import('../features.ts')).featuresCommand,
};
