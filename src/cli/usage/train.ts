// fisher-ood train: how it is called.

import type { Architecture } from '../../models/index.ts';
import { dataOptions, deviceOption, imageOptions, pixelOption } from './options.ts';
import type { Usage } from './usage.ts';

export const trainUsage: Usage = {
  synopsis: 'ARCH --data DATA --out DIR',
  about: 'Trains a built-in generative model.',
  details: async () => {
    const { architectures } = await import('../../models/index.ts');
    return [
      `ARCH is one of ${Object.keys(architectures).join(', ')}. A run that was stopped or killed goes on where its last checkpoint was:\n` +
        'call it again with the same arguments. DIR then holds model.json, weights.safetensors and the log train.log.jsonl. A step takes\n' +
        'a batch of 64 unless --batch says otherwise.',
      `--config, with defaults:\n${Object.values(architectures).map(defaultsOf).join('\n')}`,
    ];
  },
  examples: [
    'train glow --data fashion-mnist:train --pad 32 --out models/glow',
    'train transformer --data tinyshakespeare:train --length 128 --out models/text',
    'train vae --data images/ --config \'{"latent": 32}\' --steps 5000 --out models/vae',
  ],
  options: {
    data: {
      type: 'string',
      value: 'DATA',
      about: 'what to learn, images, recordings or text: a file, a folder, or a known set as NAME:split',
    },
    out: { type: 'string', value: 'DIR', about: 'the model directory' },
    ...dataOptions,
    ...pixelOption,
    ...imageOptions,
    length: { type: 'string', value: 'N', about: 'cut text into windows of N bytes (default 128)' },
    config: { type: 'string', value: 'JSON', about: "the architecture's sizes; what is left out has defaults" },
    steps: { type: 'string', value: 'N', about: 'training steps (default: 6 epochs)' },
    lr: { type: 'string', value: 'X', about: 'peak learning rate of Adam (default 0.001)' },
    'warm-up': { type: 'string', value: 'N', about: 'steps until the learning rate has its peak (default 100)' },
    ema: { type: 'string', value: 'D', about: 'keep a moving average of the weights, of decay D (such as 0.9999)' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    'checkpoint-every': { type: 'string', value: 'N', about: 'steps between checkpoints and log lines (default 200)' },
    ...deviceOption,
  },
  positionals: 1,
  load: async () => (await import('../train.ts')).trainCommand,
};

/** A line of the help: the settings of an architecture. */
function defaultsOf(arch: Architecture<unknown>): string {
  const settings = arch.configure({}, arch.takes === 'images' ? [1, 32, 32] : [128]);
  return `  ${arch.name.padEnd(11)} ${JSON.stringify(settings)}`;
}
