// Small models with weights away from their symmetric start, as tests want them; and models of the default sizes as
// they start.

import { architecture, collectSpecs, initialWeights } from '../../src/models/index.ts';
import { builtInModel, type Model, type ModelInfo } from '../../src/store/index.ts';
import type { Weights } from '../../src/tensor/weights.ts';
import { randomData } from './run.ts';

export const smallSizes = {
  ddpm: { config: { channels: 4, multipliers: [1, 1], groups: 2, steps: 20, norm: 'l2' }, data: [1, 4, 4] },
  glow: { config: { levels: 2, steps: 2, hidden: 4 }, data: [1, 8, 8] },
  pixelcnn: { config: { layers: 2, channels: 4, mixtures: 2 }, data: [3, 5, 4] },
  pixelvae: { config: { hidden: 1, latent: 2, layers: 2, channels: 2, mixtures: 2 }, data: [1, 8, 8] },
  transformer: { config: { layers: 1, width: 4, heads: 2 }, data: [5] },
  vae: { config: { hidden: 4, latent: 3 }, data: [1, 8, 8] },
} as const satisfies Record<string, { config: object; data: readonly number[] }>;

export type SmallName = keyof typeof smallSizes;

export function smallModel(name: SmallName): Model {
  const arch = architecture(name);
  const data = [...smallSizes[name].data];
  const config = arch.configure(smallSizes[name].config, data);
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  const initial = initialWeights(specs, 1);
  const weights: Weights = Object.fromEntries(
    specs.map(({ name: key, trainable }) => {
      const { shape, data: start } = initial[key]!;
      const shift = randomData(key, start.length, trainable ? 0.1 : 0);
      return [key, { shape, data: start.map((v, i) => v + shift[i]!) }];
    }),
  );
  return builtInModel(infoOf(name, config, data), weights, `small ${name}`);
}

/** Of the sizes that `train` takes without --config, on grey 32×32 images or so many bytes. */
export function defaultModel(name: SmallName, length = 128): Model {
  const arch = architecture(name);
  const data = arch.takes === 'bytes' ? [length] : [1, 32, 32];
  const config = arch.configure({}, data);
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  return builtInModel(infoOf(name, config, data), initialWeights(specs, 0), `default ${name}`);
}

const infoOf = (arch: string, config: unknown, data: number[]): ModelInfo => ({
  version: 1,
  arch,
  config,
  data,
  training: { data: 'none', fingerprint: 'none', steps: 1, batch: 1, learningRate: 1, warmUp: 0, seed: 0 },
});
