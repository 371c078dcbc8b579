// fisher-ood sample: how it is called.

import { deviceOption } from './options.ts';
import type { Usage } from './usage.ts';

export const sampleUsage: Usage = {
  synopsis: 'MODEL --out grid.png',
  about: 'Draws images from a model, as a PNG grid.',
  examples: ['sample models/glow-fashion-mnist --out samples.png --n 100 --temperature 0.7'],
  options: {
    out: { type: 'string', value: 'FILE', about: 'the PNG file' },
    n: { type: 'string', value: 'N', about: 'how many images (default 64)' },
    steps: { type: 'string', value: 'N', about: 'ddpm: denoising steps (default: as many as in training)' },
    temperature: {
      type: 'string',
      value: 'T',
      about: 'scales the standard deviation of the latents or noise (default 1)',
    },
    ...deviceOption,
  },
  positionals: 1,
  load: async () => (await import('../sample.ts')).sampleCommand,
};
