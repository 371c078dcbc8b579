// fisher-ood reproduce: a preset in; the paper's tables and figures out.

import { defined } from '../defined.ts';
import { presetNamed } from '../paper/presets.ts';
import type { Command } from './command.ts';
import { required } from './options.ts';
import { endProgress, print, progressLine, say, throttled } from './terminal.ts';
import { defaultPreset } from './usage/reproduce.ts';

export const reproduceCommand: Command = {
  async run([name = defaultPreset], values, options) {
    const preset = presetNamed(name);
    const out = required(values, 'out');
    const began = performance.now();
    const { reproduce } = await import('../paper/run.ts'); // with all that draws figures, see `figures`
    const { report, results, findings, missing } = await reproduce(preset, {
      out,
      seed: options.seed,
      ...defined({ dataDir: options.dataDir, memory: options.memory, threads: options.threads }),
      onProgress: throttled((what: string) => progressLine(what)),
      onMissing: (set, reason) => say(`Leaves out ${set}: ${reason}`),
    });
    endProgress();
    if (options.json) {
      print(JSON.stringify({ report, results, missing: Object.keys(missing) }));
      return;
    }
    for (const { title, finding } of findings) print(`${title}\n  ${finding}\n`);
    print(`${report}, ${results}`);
    say(`Took ${((performance.now() - began) / 60_000).toFixed(1)} minutes, without what was done before`);
  },
};
