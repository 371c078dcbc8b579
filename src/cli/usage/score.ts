// fisher-ood score: how it is called.

import { dataOptions, deviceOption, pixelOption } from './options.ts';
import type { Usage } from './usage.ts';

export const scoreUsage: Usage = {
  synopsis: 'DETECTOR --data DATA',
  about: 'Tells for every input how surprising it is and whether it is out of distribution.',
  details: [
    'The combined detector judges, or that of --detector: combined-gradient (the gradients alone), layer-norms (the paper), likelihood,\n' +
      'typicality, total-norm, chi2, fisher, one-class-svm, isolation-forest.\n' +
      'The p-value is the share of in-distribution inputs that are at least as surprising; an input is called out of distribution\n' +
      'where it is at most --fpr. Higher scores are more out of distribution. Inputs that fill no group of B at the end are judged in\n' +
      'smaller groups that the detector is fitted for, or named. Inputs whose norms are not finite have no verdict; the exit code\n' +
      'is then 1.',
  ],
  examples: [
    'score detector.json --data images/',
    'score detector.json --data mnist:test --group 5 --fpr 0.01 --top 20',
    'score detector.json --data rows.parquet --column image --id name --csv',
  ],
  options: {
    data: { type: 'string', value: 'DATA', about: 'the inputs: a file, a folder, or a known set as NAME:split' },
    detector: { type: 'string', value: 'NAME', about: 'combined (default), combined-gradient, layer-norms, …' },
    group: { type: 'string', value: 'B', about: 'judge groups of B inputs from one source together (default 1)' },
    fpr: { type: 'string', value: 'X', about: 'false-positive rate of the verdict (default 0.05)' },
    csv: { type: 'boolean', about: 'print a line for every input as CSV on stdout, with its name where it has one' },
    top: { type: 'string', value: 'N', about: 'how many of the most surprising inputs to list (default 10)' },
    ...dataOptions,
    ...pixelOption,
    'noise-samples': { type: 'string', value: 'K', about: 'as the detector was fitted with, which is the default' },
    model: { type: 'string', value: 'MODEL', about: 'the model, if it is no longer where the detector says' },
    ...deviceOption,
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
  },
  positionals: 1,
  load: async () => (await import('../score.ts')).scoreCommand,
};
