// fisher-ood reproduce: a preset in; the paper's tables and figures out.

import { presetNamed, presets } from '../reproduce/presets.ts';
import type { Command } from './command.ts';
import { required } from './options.ts';
import { endProgress, print, progressLine, say, throttled } from './terminal.ts';

const defaultPreset = 'cpu';

export const reproduceCommand: Command = {
  synopsis: '[PRESET] --out DIR',
  about:
    'Reproduces the paper: trains its models, runs its experiments, writes one report with all tables and figures.',
  details: [
    `PRESET is\n${Object.values(presets)
      .map(({ name, about }) => `  ${name.padEnd(6)} ${about}${name === defaultPreset ? ' (the default)' : ''}`)
      .join('\n')}`,
    'DIR then holds report.html, results.json, and in models/, features/ and stages/ everything they were made from. A run that was stopped goes on\n' +
      'where it was: call it again with the same arguments. Data sets that are not found are left out, and the report says so.',
  ],
  examples: ['reproduce smoke --out smoke', 'reproduce cpu --data-dir data --out results'],
  options: { out: { type: 'string', value: 'DIR', about: 'where everything is kept' } },
  positionals: { least: 0, most: 1 },

  async run([name = defaultPreset], values, options) {
    const preset = presetNamed(name);
    const out = required(values, 'out');
    const began = performance.now();
    const { reproduce } = await import('../reproduce/run.ts'); // with all that draws figures, see `figures`
    const { report, results, outcomes, missing } = await reproduce(preset, {
      out,
      seed: options.seed,
      ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      onProgress: throttled((what: string) => progressLine(what)),
      onMissing: (set, reason) => say(`Leaves out ${set}: ${reason}`),
    });
    endProgress();
    if (options.json) {
      print(JSON.stringify({ report, results, missing: Object.keys(missing) }));
      return;
    }
    for (const { title, finding } of outcomes) print(`${title}\n  ${finding}\n`);
    print(`${report}, ${results}`);
    say(`Took ${((performance.now() - began) / 60_000).toFixed(1)} minutes, without what was done before`);
  },
};
