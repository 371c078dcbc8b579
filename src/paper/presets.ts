// The presets: `smoke` shows that everything runs, `cpu` is what we publish, `paper` has the paper's sizes and sets.

import { defined } from '../defined.ts';
import { UsageError } from '../errors.ts';
import type { ArchitectureName } from '../models/index.ts';
import type { Making, ModelPlan, Preset, SetPlan } from './plan.ts';

const grey = [1, 28, 28] as const;
const colour = [3, 32, 32] as const;
const window = [128] as const;
const spectrogram = [1, 32, 32] as const;

const known = (name: string, shape: SetPlan['shape'], made?: Making): SetPlan => ({
  train: `${name}:train`,
  test: `${name}:test`,
  shape,
  ...defined({ made }),
});

/**
 * By set, from what those who made them say of them. Where photographs had many sizes, one of them stands for all;
 * where nothing is said of a filter, bilinear does.
 */
const makings = {
  'fashion-mnist': {
    from: [112, 112],
    jpeg: 90,
    filter: 'nearest',
    about: "JPEG photographs of a shop, shrunk by leaving pixels out (Xiao et al. 2017, 'nearest-neighbour')",
  },
  mnist: {
    from: [128, 128],
    filter: 'bilinear',
    about: 'scans of 128×128 without compression, shrunk with grey levels from anti-aliasing (LeCun et al. 1998)',
  },
  kmnist: { from: [64, 64], filter: 'bilinear', about: 'scans of about 64×64, shrunk (Clanuwat et al. 2018)' },
  omniglot: { from: [105, 105], filter: 'lanczos', about: 'drawings of 105×105, shrunk by Lanczos' },
  cifar10: { from: [128, 128], jpeg: 85, filter: 'bicubic', about: 'JPEG photographs of the web, shrunk to 32×32' },
  svhn: {
    from: [48, 48],
    jpeg: 85,
    filter: 'bicubic',
    about: 'digits cut from JPEG photographs of streets, some 48 pixels high, shrunk (Netzer et al. 2011)',
  },
  celeba: {
    from: [74, 74],
    jpeg: 90,
    filter: 'bilinear',
    about: 'JPEG photographs, halved and compressed again, of which the central 74×74 are shrunk',
  },
  gtsrb: { from: [48, 48], filter: 'bilinear', about: 'frames of a film without compression, shrunk bilinearly' },
} satisfies Record<string, Making>;

/** Synthetic sets of 1,000 images each, for every shape of images. */
const synthetic = {
  constant: { test: 'constant:1000', shape: grey, synthetic: true },
  noise: { test: 'noise:1000', shape: grey, synthetic: true },
  'constant-rgb': { test: 'constant:1000', shape: colour, synthetic: true },
  'noise-rgb': { test: 'noise:1000', shape: colour, synthetic: true },
  'noise-spectrogram': { test: 'noise:1000', shape: spectrogram, synthetic: true },
} satisfies Record<string, SetPlan>;

const realSets = {
  'fashion-mnist': known('fashion-mnist', grey, makings['fashion-mnist']),
  mnist: known('mnist', grey, makings.mnist),
  kmnist: { test: 'kmnist:test', shape: grey, made: makings.kmnist },
  omniglot: { test: 'omniglot:test', shape: grey, made: makings.omniglot },
  cifar10: known('cifar10', colour, makings.cifar10),
  svhn: known('svhn', colour, makings.svhn),
  celeba: known('celeba', colour, makings.celeba),
  gtsrb: known('gtsrb', colour, makings.gtsrb),
  imagenet32: known('imagenet32', colour),
  ...synthetic,
  shakespeare: { train: 'tinyshakespeare:train', test: 'tinyshakespeare:test', shape: window },
  german: { test: 'german-quotes', shape: window },
  italian: { test: 'italian-quotes', shape: window },
  python: { test: 'python-stdlib', shape: window },
  'digits 0–7': { train: 'fsdd:train{0-7}', test: 'fsdd:test{0-7}', shape: spectrogram, sorted: true },
  'digits 8 and 9': { test: 'fsdd:train{8,9}', shape: spectrogram },
} satisfies Record<string, SetPlan>;

const greyOthers = (name: string) =>
  ['fashion-mnist', 'mnist', 'kmnist', 'omniglot', 'constant', 'noise'].filter((other) => other !== name);
const colourOthers = (name: string) =>
  ['cifar10', 'svhn', 'celeba', 'gtsrb', 'imagenet32', 'constant-rgb', 'noise-rgb'].filter((other) => other !== name);

const isGrey = (set: string) => greyOthers('').includes(set);

/** Every image set of the same shape is the other's out-of-distribution set. */
function image(
  family: ArchitectureName,
  set: string,
  steps: number,
  learningRate: number,
  more: Partial<ModelPlan> = {},
): ModelPlan {
  const padded = isGrey(set) && (family === 'glow' || family === 'vae');
  return {
    id: `${family}-${set}`,
    family,
    set,
    ood: isGrey(set) ? greyOthers(set) : colourOthers(set),
    ...(padded ? { preparation: { pad: [32, 32] } } : {}),
    steps,
    learningRate,
    ...more,
  };
}

const vaeConfig = { latent: 64, hidden: 64 };
const glow = (set: string, steps: number) => image('glow', set, steps, 0.002, { warmUp: 200 });
const vae = (set: string, steps: number, more: Partial<ModelPlan> = {}) =>
  image('vae', set, steps, 0.002, { config: vaeConfig, ...more });
const ddpm = (set: string, steps: number) =>
  image('ddpm', set, steps, 0.001, {
    config: { draws: 'logSnr' },
    warmUp: 200,
    ema: 0.999,
    limit: 1000,
    bound: { examples: 64, scored: 300, draws: 4 },
    beyond: { fit: 600, test: 200 },
  });

const text = (steps: number, config: Readonly<Record<string, unknown>> = {}): ModelPlan => ({
  id: 'transformer-shakespeare',
  family: 'transformer',
  set: 'shakespeare',
  ood: ['german', 'italian', 'python'],
  config,
  steps,
  learningRate: 0.001,
});

const audio = (steps: number, config: Readonly<Record<string, unknown>>): ModelPlan => ({
  id: 'vae-digits',
  family: 'vae',
  set: 'digits 0–7',
  ood: ['digits 8 and 9', 'noise-spectrogram'],
  config,
  steps,
  learningRate: 0.002,
});

/** The steps of the paper's ablation. */
const paperTimesteps = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 999];

const cpu: Preset = {
  name: 'cpu',
  about: 'small models of every family on all sets: about four hours on two cores',
  sets: realSets,
  models: {
    images: [
      glow('fashion-mnist', 10_000),
      glow('cifar10', 4000),
      glow('svhn', 2500),
      vae('fashion-mnist', 4000),
      vae('mnist', 1500),
      vae('cifar10', 3000),
      vae('svhn', 1500),
      vae('celeba', 1500),
      vae('gtsrb', 1500),
      ddpm('fashion-mnist', 6500),
      ddpm('cifar10', 5000),
      image('pixelcnn', 'fashion-mnist', 1200, 0.003, { limit: 1000 }),
    ],
    text: [text(800)],
    audio: [audio(1000, vaeConfig)],
  },
  limit: 2000,
  groups: [1, 5],
  fisher: {
    models: ['glow-fashion-mnist', 'vae-fashion-mnist', 'glow-cifar10'],
    samples: 512,
    layers: 100,
    weights: 1000,
  },
  invariance: { models: ['glow-cifar10', 'glow-fashion-mnist'], examples: 500 },
  ablations: {
    timesteps: {
      models: ['ddpm-fashion-mnist', 'ddpm-cifar10'],
      timesteps: paperTimesteps,
      noiseSamples: [1, 2, 4],
      group: 5,
      limit: 250,
    },
    groups: { models: ['glow-fashion-mnist', 'vae-cifar10'], sizes: [1, 2, 5, 10, 20, 50] },
    fitSizes: {
      models: ['glow-fashion-mnist', 'vae-cifar10'],
      sizes: [10, 20, 50, 100, 200, 500, 1000, 2000],
    },
    trainingTime: [
      vae('fashion-mnist', 250, { id: 'vae-fashion-mnist-steps-250' }),
      vae('fashion-mnist', 1000, { id: 'vae-fashion-mnist-steps-1000' }),
      vae('fashion-mnist', 4000),
    ],
    modelSize: [
      ...[16, 32].map((hidden) =>
        vae('fashion-mnist', 1000, { id: `vae-fashion-mnist-hidden-${hidden}`, config: { latent: 64, hidden } }),
      ),
      vae('fashion-mnist', 1000, { id: 'vae-fashion-mnist-steps-1000' }),
    ],
  },
  beyond: {
    fit: 1334,
    test: 300,
    groups: [1, 5, 20],
    summed: { groups: [5], fit: 500 },
    remade: 100,
    shuffled: {
      models: ['glow-fashion-mnist', 'vae-fashion-mnist', 'pixelcnn-fashion-mnist', 'ddpm-fashion-mnist'],
      fit: 400,
      test: 100,
      recombined: 60,
    },
    further: [
      image('pixelvae', 'cifar10', 4000, 0.001, { warmUp: 200 }),
      image('pixelcnn', 'cifar10', 2000, 0.001, { warmUp: 200, beyond: { fit: 750, test: 200 } }),
      // Trained on a GPU by scripts/gpu/train.py:
      image('glow', 'cifar10', 17_800, 0.001, {
        id: 'glow-cifar10-3x16x128',
        config: { levels: 3, steps: 16, hidden: 128 },
        warmUp: 500,
        batch: 128,
      }),
      { ...ddpm('cifar10', 17_800), id: 'ddpm-cifar10-long', ema: 0.9995, batch: 128 },
      image('pixelvae', 'cifar10', 8900, 0.001, { id: 'pixelvae-cifar10-long', warmUp: 200, batch: 128 }),
      image('pixelcnn', 'cifar10', 8900, 0.001, {
        id: 'pixelcnn-cifar10-long',
        warmUp: 200,
        batch: 128,
        beyond: { fit: 750, test: 200 },
      }),
    ],
  },
};

/** The paper's five sets. */
const paperSets = ['svhn', 'celeba', 'gtsrb', 'cifar10', 'imagenet32'];

/**
 * The paper's sizes: Glow with 32 steps and 512 channels, a U-Net of 32 × (1, 2, 4, 8), 64 latents; 250 epochs of
 * batches of 64.
 */
const paperModel = (family: 'glow' | 'ddpm' | 'vae', set: string): ModelPlan => {
  const config = {
    glow: { levels: 3, steps: 32, hidden: 512 },
    ddpm: { channels: 32, multipliers: [1, 2, 4, 8] },
    vae: { latent: 64, hidden: 64 },
  }[family];
  return image(family, set, 195_000, 0.0005, {
    config,
    ...(family === 'ddpm' ? { ema: 0.9999, bound: { examples: 256, scored: 2000, draws: 16 } } : {}),
  });
};

const paper: Preset = {
  name: 'paper',
  about: "the paper's model sizes and training times: for a machine that is much faster than two cores",
  sets: cpu.sets,
  models: {
    images: [
      ...(['glow', 'ddpm', 'vae'] as const).flatMap((family) => paperSets.map((set) => paperModel(family, set))),
      // Of the workshop paper:
      ...['fashion-mnist', 'mnist'].map((set) =>
        image('pixelcnn', set, 100_000, 0.001, { config: { layers: 15, channels: 64 } }),
      ),
    ],
    text: [text(50_000, { layers: 12, width: 768, heads: 12 })],
    audio: [audio(20_000, vaeConfig)],
  },
  limit: 30_000,
  groups: [1, 5],
  fisher: { models: ['glow-cifar10', 'vae-cifar10'], samples: 1024, layers: 100, weights: 1000 },
  invariance: { models: ['glow-cifar10'], examples: 5000 },
  ablations: {
    timesteps: {
      models: ['ddpm-cifar10'],
      timesteps: paperTimesteps,
      noiseSamples: [1, 2, 4, 8],
      group: 5,
      limit: 5000,
    },
    groups: { models: ['glow-cifar10'], sizes: [1, 2, 5, 10, 20, 50] },
    fitSizes: { models: ['glow-cifar10'], sizes: [10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
    trainingTime: [2000, 20_000, 195_000].map((steps) => ({
      ...paperModel('vae', 'cifar10'),
      id: steps === 195_000 ? 'vae-cifar10' : `vae-cifar10-steps-${steps}`,
      steps,
    })),
    modelSize: [16, 64, 128].map((hidden) => ({
      ...paperModel('vae', 'cifar10'),
      id: `vae-cifar10-hidden-${hidden}`,
      config: { latent: 64, hidden },
    })),
  },
  beyond: {
    fit: 1334,
    test: 2000,
    groups: [1, 5, 20],
    summed: { groups: [5, 20], fit: 1000 },
    remade: 600,
    shuffled: { models: ['glow-cifar10', 'vae-cifar10', 'ddpm-cifar10'], fit: 1334, test: 600 },
    further: [],
  },
};

const tinyVae = { latent: 4, hidden: 4 };
const tiny = (family: ArchitectureName, set: string, config: Readonly<Record<string, unknown>>): ModelPlan => ({
  ...image(family, set, 20, 0.002, { config, batch: 16 }),
  ood: isGrey(set) ? ['mnist', 'noise'] : ['noise-rgb'],
});

const smoke: Preset = {
  name: 'smoke',
  about:
    'tiny models that learn next to nothing, on the images that ship with the program: two minutes, to see that all runs',
  sets: {
    'fashion-mnist': { train: 'sample/fashion-mnist', test: 'sample/fashion-mnist', shape: grey },
    mnist: { test: 'sample/mnist', shape: grey, made: makings.mnist },
    noise: { test: 'noise:100', shape: grey, synthetic: true },
    svhn: realSets.svhn,
    'noise-rgb': { test: 'noise:100', shape: colour, synthetic: true },
    shakespeare: realSets.shakespeare,
    german: realSets.german,
    'digits 0–7': realSets['digits 0–7'],
    'digits 8 and 9': realSets['digits 8 and 9'],
  },
  models: {
    images: [
      tiny('glow', 'fashion-mnist', { levels: 2, steps: 1, hidden: 4 }),
      tiny('vae', 'fashion-mnist', tinyVae),
      {
        ...tiny('ddpm', 'fashion-mnist', { channels: 4, multipliers: [1, 2], groups: 2, steps: 10 }),
        bound: { examples: 4, scored: 20, draws: 1 },
      },
      tiny('pixelcnn', 'fashion-mnist', { layers: 2, channels: 4, mixtures: 2 }),
      tiny('glow', 'svhn', { levels: 2, steps: 1, hidden: 4 }),
    ],
    text: [{ ...text(20, { layers: 1, width: 16, heads: 2 }), ood: ['german'], batch: 16 }],
    audio: [{ ...audio(20, tinyVae), ood: ['digits 8 and 9'], batch: 16 }],
  },
  limit: 60,
  groups: [1, 5],
  fisher: { models: ['glow-fashion-mnist', 'vae-fashion-mnist'], samples: 16, layers: 10, weights: 10 },
  invariance: { models: ['glow-svhn', 'glow-fashion-mnist'], examples: 20 },
  ablations: {
    timesteps: { models: ['ddpm-fashion-mnist'], timesteps: [1, 8], noiseSamples: [1, 2], group: 5, limit: 50 },
    groups: { models: ['glow-fashion-mnist'], sizes: [1, 5, 10] },
    fitSizes: { models: ['glow-fashion-mnist'], sizes: [10, 60] },
    trainingTime: [
      { ...tiny('vae', 'fashion-mnist', tinyVae), id: 'vae-fashion-mnist-steps-10', steps: 10 },
      tiny('vae', 'fashion-mnist', tinyVae),
    ],
    modelSize: [
      tiny('vae', 'fashion-mnist', tinyVae),
      { ...tiny('vae', 'fashion-mnist', { latent: 4, hidden: 8 }), id: 'vae-fashion-mnist-hidden-8' },
    ],
  },
  beyond: {
    fit: 40,
    test: 20,
    groups: [1, 2],
    summed: { groups: [2], fit: 20 },
    remade: 10,
    shuffled: { models: ['vae-fashion-mnist'], fit: 40, test: 10, recombined: 10 },
    further: [],
  },
};

/**
 * The presets by name: `smoke` shows that everything runs, `cpu` takes hours on two cores, `paper` has the sizes and
 * sets of the paper.
 */
export const presets: Readonly<Record<string, Preset>> = { smoke, cpu, paper };

/** The preset of this name. Throws a UsageError for a name that is none. */
export function presetNamed(name: string): Preset {
  if (Object.hasOwn(presets, name)) return presets[name]!;
  throw new UsageError(`there is no preset '${name}'; there are ${Object.keys(presets).join(', ')}`);
}
