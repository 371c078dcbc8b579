// fisher-ood eval: how it is called.

import { dataOptions, deviceOption, pixelOption } from './options.ts';
import type { Usage } from './usage.ts';

export const evalUsage: Usage = {
  synopsis: 'DETECTOR --in DATA --ood NAME=DATA …',
  about: 'Measures how well the detectors tell in-distribution data from other data sets.',
  details: [
    'AUROC with a 95 % bootstrap interval, average precision, and the share of out-of-distribution inputs accepted where 95 % of the\n' +
      'in-distribution ones are; for every detector, set and fitted group size. Inputs that the detector was fitted on, inputs whose\n' +
      'norms are not finite and inputs that fill no group are named.',
  ],
  examples: ["eval detector.json --in 'fashion-mnist:test[5000:10000]' --ood mnist=mnist:test --ood noise=noise:1000"],
  options: {
    in: { type: 'string', value: 'DATA', about: 'in-distribution inputs that the detector was not fitted on' },
    ood: { type: 'string', multiple: true, value: 'NAME=DATA', about: 'out-of-distribution inputs; may be repeated' },
    group: { type: 'string', value: 'B,…', about: 'group sizes (default: all that are fitted)' },
    report: { type: 'string', value: 'FILE', about: 'write an HTML page with the figures' },
    ...dataOptions,
    ...pixelOption,
    'noise-samples': { type: 'string', value: 'K', about: 'as the detector was fitted with, which is the default' },
    model: { type: 'string', value: 'MODEL', about: 'the model, if it is no longer where the detector says' },
    ...deviceOption,
  },
  positionals: 1,
  load: async () => (await import('../eval.ts')).evalCommand,
};
