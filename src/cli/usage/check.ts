// fisher-ood check: how it is called.

import { deviceOption, modelOptions } from './options.ts';
import type { Usage } from './usage.ts';

export const checkUsage: Usage = {
  synopsis: 'MODEL.onnx ANSWERS.npz',
  about: 'Compares a model with right answers for a few examples, layer by layer.',
  details: [
    'ANSWERS.npz is what examples/pytorch/fisher_ood_export.py writes: nll [n] and sqnorm [n, L] in float64, names [L], and every input as\n' +
      'input.NAME [n, ...], the random ones too, so that none is drawn here. Exit code 1 where the model is not exact.',
  ],
  examples: ['check vae.onnx vae.check.npz', 'check flow.onnx answers.npz --objective flow --inputs examples.npz'],
  options: {
    inputs: { type: 'string', value: 'FILE', about: 'an .npz with the inputs by name, where ANSWERS.npz has none' },
    ...modelOptions,
    ...deviceOption,
  },
  positionals: 2,
  load: async () => (await import('../check.ts')).checkCommand,
};
