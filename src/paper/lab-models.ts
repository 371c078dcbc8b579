// A plan in; the directory of its model out, which is trained where it is not there.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dataset } from '../data/index.ts';
import { defined } from '../defined.ts';
import { ModelError } from '../errors.ts';
import { architecture } from '../models/index.ts';
import { isTrained, readInfo, train } from '../node/index.ts';
import { differences, type ModelInfo } from '../store/index.ts';
import type { ModelPlan } from './plan.ts';
import { keyOf } from './stages.ts';

/** Checkpoints that come with the program, by the name of the plan they were trained by. */
const shipped = (id: string) => fileURLToPath(new URL(`../../models/${id}`, import.meta.url));

export interface TrainingOptions {
  readonly seed: number;
  readonly machine: { readonly threads?: number };
  readonly progress: (what: string) => void;
}

/**
 * Where the plan's model is, among those in `folder` and those that come with the program; it is trained where there is
 * none yet.
 */
export async function trainedIn(
  folder: string,
  { plan, data }: { readonly plan: ModelPlan; readonly data: Dataset },
  { seed, machine, progress }: TrainingOptions,
): Promise<string> {
  const info = infoOf(plan, data, seed);
  const [own, changed] = foldersOf(folder, plan, info);
  const there = await foundIn(folder, { plan, data }, seed);
  if (there !== undefined) return there;
  const dir = existsSync(join(own, 'model.json')) && !(await isOf(own, info)) ? changed : own;
  await train({
    info,
    arch: architecture(plan.family),
    data,
    dir,
    ...machine,
    onProgress: (p) =>
      progress(`trains ${plan.id}: step ${p.step} of ${p.steps}, ${p.examplesPerSecond.toFixed(0)} examples/s`),
  });
  return dir;
}

/** As `trainedIn`, where there is one. */
export async function foundIn(
  folder: string,
  { plan, data }: { readonly plan: ModelPlan; readonly data: Dataset },
  seed: number,
): Promise<string | undefined> {
  const info = infoOf(plan, data, seed);
  for (const dir of [...foldersOf(folder, plan, info), shipped(plan.id)]) {
    if ((await isTrained(dir)) && (await isOf(dir, info))) return dir;
  }
  return undefined;
}

/** Its folder; and where the preset has changed since, another, so that the model of before stays where it is. */
function foldersOf(folder: string, plan: ModelPlan, info: ModelInfo): readonly [own: string, changed: string] {
  const own = join(folder, plan.id);
  return [own, `${own}-${keyOf(info)}`];
}

/** Whether the model in `dir` is what `train` makes for `info`. */
const isOf = async (dir: string, info: ModelInfo): Promise<boolean> =>
  differences(await readInfo(dir), info).length === 0;

/** What `train` writes for the same wishes. */
function infoOf(plan: ModelPlan, data: Dataset, seed: number): ModelInfo {
  const shape = [...data.shapes.x!];
  const { steps, batch = 64, learningRate, warmUp = 100, ema } = plan;
  if (steps < 1) throw new ModelError(`${plan.id}: has ${steps} training steps, expected at least 1`);
  const config = JSON.parse(JSON.stringify(architecture(plan.family).configure(plan.config ?? {}, shape))) as unknown;
  return {
    version: 1,
    arch: plan.family,
    config,
    data: shape,
    ...plan.preparation,
    training: {
      data: data.name,
      fingerprint: data.fingerprint,
      steps,
      batch,
      learningRate,
      warmUp,
      seed,
      ...defined({ ema }),
    },
  };
}
