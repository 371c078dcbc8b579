// fisher-ood data: how it is called.

import type { Usage } from './usage.ts';

export const dataUsage: Usage = {
  synopsis: 'list | get NAME...',
  about: 'Lists the known data sets and where they lie; downloads them.',
  details: async () => {
    const { downloadable } = await import('../../node/known.ts');
    return [
      `get knows ${downloadable.join(', ')}. Files go to --data-dir, else to $FISHER_OOD_DATA, else to\n` +
        '~/.cache/fisher-ood/data, and are checked against published checksums. A download that broke off goes on where it was:\n' +
        'call it again. Every set has its own licence; see where it comes from.',
    ];
  },
  examples: ['data list', 'data get fashion-mnist mnist', 'data get cifar10 --data-dir data'],
  options: {
    from: { type: 'string', value: 'URL', about: 'a folder with the same files, in place of the official address' },
  },
  positionals: { least: 1, most: 100 },
  load: async () => (await import('../data.ts')).dataCommand,
};
