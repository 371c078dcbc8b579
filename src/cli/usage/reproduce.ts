// fisher-ood reproduce: how it is called.

import type { Usage } from './usage.ts';

export const defaultPreset = 'cpu';

export const reproduceUsage: Usage = {
  synopsis: '[PRESET] --out DIR',
  about:
    'Reproduces the paper: trains its models, runs its experiments, writes one report with all tables and figures.',
  details: async () => {
    const { presets } = await import('../../paper/presets.ts');
    return [
      `PRESET is\n${Object.values(presets)
        .map(({ name, about }) => `  ${name.padEnd(6)} ${about}${name === defaultPreset ? ' (the default)' : ''}`)
        .join('\n')}`,
      'DIR then holds report.html, results.json, and in models/, features/ and stages/ everything they were made from. A run that was stopped goes on\n' +
        'where it was: call it again with the same arguments. Data sets that are not found are left out, and the report says so.',
    ];
  },
  examples: ['reproduce smoke --out smoke', 'reproduce cpu --data-dir data --out results'],
  options: { out: { type: 'string', value: 'DIR', about: 'where everything is kept' } },
  positionals: { least: 0, most: 1 },
  load: async () => (await import('../reproduce.ts')).reproduceCommand,
};
