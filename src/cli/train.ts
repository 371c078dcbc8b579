// fisher-ood train: data in, a model directory out.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LENGTH } from '../data/index.ts';
import { UsageError } from '../errors.ts';
import { type Architecture, architecture, architectures } from '../models/index.ts';
import type { ModelInfo } from '../store/index.ts';
import { checkpointFile, type Progress, train } from '../train/index.ts';
import type { Command } from './command.ts';
import { notesOf } from './notes.ts';
import { imageOptions, limited, openExamples, positive, preparationOf, required, text, whole } from './options.ts';
import { endProgress, pace, print, progressLine, say } from './terminal.ts';

export const trainCommand: Command = {
  synopsis: 'ARCH --data DATA --out DIR',
  about: 'Trains a built-in generative model.',
  details: [
    `ARCH is one of ${Object.keys(architectures).join(', ')}. A run that was stopped or killed goes on where its last checkpoint was:\n` +
      'call it again with the same arguments. DIR then holds model.json, weights.safetensors and the log train.log.jsonl. A step takes\n' +
      'a batch of 64 unless --batch says otherwise.',
    `--config, with defaults:\n${Object.values(architectures).map(defaultsOf).join('\n')}`,
  ],
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
    ...imageOptions,
    length: { type: 'string', value: 'N', about: 'cut text into windows of N bytes (default 128)' },
    config: { type: 'string', value: 'JSON', about: "the architecture's sizes; what is left out has defaults" },
    steps: { type: 'string', value: 'N', about: 'training steps (default: 6 epochs)' },
    lr: { type: 'string', value: 'X', about: 'peak learning rate of Adam (default 0.001)' },
    'warm-up': { type: 'string', value: 'N', about: 'steps until the learning rate has its peak (default 100)' },
    ema: { type: 'string', value: 'D', about: 'keep a moving average of the weights, of decay D (such as 0.9999)' },
    limit: { type: 'string', value: 'N', about: 'use the first N examples only' },
    'checkpoint-every': { type: 'string', value: 'N', about: 'steps between checkpoints and log lines (default 200)' },
  },
  positionals: 1,

  writes: (_, values) => ({ folder: required(values, 'out'), data: [required(values, 'data')] }),

  async run([name], values, options, claim) {
    const dir = required(values, 'out');
    const spec = required(values, 'data');
    const preparation = preparationOf(values);
    const length = whole(values, 'length', 1);
    const limit = whole(values, 'limit', 1);
    const batch = options.batch ?? 64;
    const asked = {
      steps: whole(values, 'steps', 1),
      learningRate: positive(values, 'lr') ?? 1e-3,
      warmUp: whole(values, 'warm-up', 0) ?? 100,
    };
    const ema = positive(values, 'ema');
    if (ema !== undefined && ema >= 1) throw new UsageError(`--ema is ${ema}, expected a decay below 1`);
    const checkpointEvery = whole(values, 'checkpoint-every', 1);
    const sizes = parseConfig(text(values, 'config'));
    if (!Object.hasOwn(architectures, name!)) {
      throw new UsageError(`there is no ARCH '${name}'; there are ${Object.keys(architectures).join(', ')}`);
    }
    const arch = architecture(name!);

    const data = limited(await openExamples(arch.takes, spec, options, { ...preparation, length }), limit);
    const shape = [...data.shapes.x!];
    const steps = asked.steps ?? Math.max(1, Math.floor((6 * data.length) / batch));
    const { seed, threads } = options;
    const info: ModelInfo = {
      version: 1,
      arch: name!,
      config: arch.configure(sizes, shape),
      data: shape,
      ...preparation,
      training: {
        data: data.name,
        fingerprint: data.fingerprint,
        ...asked,
        steps,
        batch,
        seed,
        ...(ema === undefined ? {} : { ema }),
      },
    };
    const resumes = existsSync(join(dir, checkpointFile));
    say(
      `${resumes ? 'Goes on training' : 'Trains'} ${name} on ${data.length} examples of ${data.name}, ${steps} steps of ${batch}`,
    );
    const unit = arch.lossName === undefined ? 'bits/dim' : `${arch.lossName} per dimension`;
    const last = await train({
      info,
      arch,
      data,
      dir,
      ...(claim ? { claim } : {}),
      ...(threads === undefined ? {} : { threads }),
      ...(checkpointEvery === undefined ? {} : { checkpointEvery }),
      onProgress: (p) => progressLine(progressText(p, unit)),
    });
    endProgress();
    const held =
      arch.lossName === undefined
        ? { validBitsPerDim: last?.validBitsPerDim ?? null }
        : { validLossPerDim: last?.validLossPerDim ?? null };
    const notes = notesOf(data);
    if (options.json) print(JSON.stringify({ out: dir, steps, ...held, ...notes }));
    else {
      const value = Object.values(held)[0];
      const text = Number.isFinite(value)
        ? `${value!.toFixed(3)} ${unit} held out`
        : 'too few examples to hold any out';
      print(`${dir}: trained ${steps} steps, ${text}`);
    }
  },
};

/** A line of the help: the settings of an architecture. */
function defaultsOf(arch: Architecture<unknown>): string {
  const settings = arch.configure({}, arch.takes === 'images' ? [1, 32, 32] : [DEFAULT_LENGTH]);
  return `  ${arch.name.padEnd(11)} ${JSON.stringify(settings)}`;
}

function progressText(p: Progress, unit: string): string {
  const train = p.trainBitsPerDim ?? p.trainLossPerDim;
  const valid = p.validBitsPerDim ?? p.validLossPerDim;
  const held = valid === undefined || !Number.isFinite(valid) ? '' : `, ${valid.toFixed(3)} held out`;
  const speed = pace(p.examplesPerSecond, p.secondsLeft);
  return `step ${p.step}/${p.steps}  ${train?.toFixed(3)} ${unit}${held}  ${speed}`;
}

function parseConfig(json: string | undefined): unknown {
  try {
    return json === undefined ? {} : JSON.parse(json);
  } catch (error) {
    throw new UsageError(`--config is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}
