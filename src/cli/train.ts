// fisher-ood train: data in, a model directory out.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defined } from '../defined.ts';
import { UsageError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { architecture, architectures } from '../models/index.ts';
import { train } from '../node/index.ts';
import type { ModelInfo } from '../store/index.ts';
import { checkpointFile, type Progress } from '../train/index.ts';
import type { Command } from './command.ts';
import { limited, openExamples, preparationOf } from './datasets.ts';
import { runtimeOf } from './machine.ts';
import { notesOf } from './notes.ts';
import { positive, required, text, whole } from './options.ts';
import { endProgress, pace, print, progressLine, say } from './terminal.ts';

export const trainCommand: Command = {
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
    const config = text(values, 'config');
    const sizes = config === undefined ? {} : parseJson(config, '--config', UsageError);
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
        ...defined({ ema }),
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
      runtime: runtimeOf(options),
      ...defined({ claim }),
      ...defined({ threads, checkpointEvery }),
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

function progressText(p: Progress, unit: string): string {
  const train = p.trainBitsPerDim ?? p.trainLossPerDim;
  const valid = p.validBitsPerDim ?? p.validLossPerDim;
  const held = valid === undefined || !Number.isFinite(valid) ? '' : `, ${valid.toFixed(3)} held out`;
  const speed = pace(p.examplesPerSecond, p.secondsLeft);
  return `step ${p.step}/${p.steps}  ${train?.toFixed(3)} ${unit}${held}  ${speed}`;
}
