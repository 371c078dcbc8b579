// fisher-ood demo: how it is called.

import { noiseOptions } from './options.ts';
import type { Usage } from './usage.ts';

export const demoUsage: Usage = {
  synopsis: '',
  about: 'Shows the method on a shipped model and shipped images, in under two minutes.',
  details: [
    'A Glow that was trained on Fashion-MNIST meets Fashion-MNIST, MNIST, constant and noise images. Its likelihood prefers MNIST to\n' +
      'what it was trained on; the layer-wise gradient norms do not.',
  ],
  examples: ['demo', 'demo --out report.html --json'],
  options: {
    out: { type: 'string', value: 'FILE', about: 'the HTML page (default fisher-ood-demo.html)' },
    model: { type: 'string', value: 'MODEL', about: 'another model of 32×32 grey images in place of the shipped one' },
    ...noiseOptions,
    overview: { type: 'string', value: 'FILE', about: 'also write the two central figures as one SVG' },
  },
  positionals: 0,
  load: async () => (await import('../demo.ts')).demoCommand,
};
