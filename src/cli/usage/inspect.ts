// fisher-ood inspect: how it is called.

import { modelOptions } from './options.ts';
import type { Usage } from './usage.ts';

export const inspectUsage: Usage = {
  synopsis: 'MODEL | DETECTOR.json',
  about:
    'Lists inputs, parameters, and how the norm of each will be computed at what cost; or what a detector was fitted on.',
  details: [
    'Plans: direct (the product of activations and cotangents, then its norm), gram (from two Gram matrices, without the gradient),\n' +
      'gradient (a gradient that passes through other operations). Costs are multiplications per example beyond the backward pass.',
  ],
  examples: ['inspect models/glow-fashion-mnist', 'inspect models/vae --group 5 --json'],
  options: { group: { type: 'string', value: 'B', about: 'plan for groups of B inputs (default 1)' }, ...modelOptions },
  positionals: 1,
  load: async () => (await import('../inspect.ts')).inspectCommand,
};
