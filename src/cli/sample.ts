// fisher-ood sample: a model in, a PNG grid of images drawn from it out.

import { encodePng, imageGrid } from '../data/index.ts';
import { defined } from '../defined.ts';
import { ModelError } from '../errors.ts';
import { drawSamples } from '../node/defaults.ts';
import { writeFileAtomic } from '../node/index.ts';
import type { Command } from './command.ts';
import { runtimeOf } from './machine.ts';
import { openBuiltIn } from './models.ts';
import { positive, required, whole } from './options.ts';
import { print, say } from './terminal.ts';

/** Images: they become one picture. */
const MOST = 100_000;

export const sampleCommand: Command = {
  writes: ([path], values) => ({ files: [required(values, 'out')], reads: [path] }),

  async run([path], values, options) {
    const out = required(values, 'out');
    const n = whole(values, 'n', 1, MOST) ?? 64;
    const steps = whole(values, 'steps', 1);
    const model = await openBuiltIn(path!);
    if (model.arch.takes !== 'images')
      throw new ModelError(`${path}: is a model of ${model.arch.takes}, not of images`);
    const images = await drawSamples(model, {
      n,
      seed: options.seed,
      temperature: positive(values, 'temperature') ?? 1,
      ...defined({ steps }),
      onDiverged: (count) => say(`${count} samples diverged and were drawn anew; a lower --temperature avoids that`),
      runtime: runtimeOf(options),
      ...defined({ threads: options.threads }),
    });
    await writeFileAtomic(out, encodePng(imageGrid(images, { columns: Math.ceil(Math.sqrt(n)), gap: 2 })));
    print(options.json ? JSON.stringify({ out, n }) : `${out}: ${n} images`);
  },
};
