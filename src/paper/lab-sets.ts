// A preset's data sets, opened before anything is done with them; what each model meets of them.

import { existsSync } from 'node:fs';
import { asPixels, type Dataset, prepare, select, take } from '../data/index.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { openData } from '../node/index.ts';
import type { NamedData } from '../scoring/index.ts';
import { RandomStream } from '../tensor/random.ts';
import type { ModelPlan, Preset, Sizes } from './plan.ts';
import { remade } from './remade.ts';

/** The sets that one model meets, prepared as it takes them. */
export interface Material {
  /** Of the first and of the second half of the in-distribution test set. */
  readonly fit: NamedData;
  readonly test: NamedData;
  readonly ood: readonly NamedData[];
}

export interface LabSets {
  /** What could not be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
  available(plans: readonly ModelPlan[]): readonly ModelPlan[];
  /** What a model is trained on. */
  training(plan: ModelPlan): Dataset;
  material(plan: ModelPlan, sizes: Sizes): Material;
  /**
   * Learned inputs, those of the test half that come after the first `after`, at most `count`, made again as each of
   * the plan's other sets was, as far as that is known.
   */
  remade(plan: ModelPlan, after: number, count: number): readonly NamedData[];
}

/** Throws a DataError for a `dataDir` that is not there. */
export async function openSets(
  preset: Preset,
  { seed, dataDir }: { readonly seed: number; readonly dataDir?: string | undefined },
): Promise<LabSets> {
  if (dataDir !== undefined && !existsSync(dataDir)) {
    throw new DataError(`\`dataDir: ${dataDir}\`: there is no such folder, expected one with data sets`);
  }
  const missing: Record<string, string> = {};
  const opened = new Map<string, Dataset>();
  for (const [name, { train, test, shape }] of Object.entries(preset.sets)) {
    for (const spec of [test, ...(train === undefined ? [] : [train])]) {
      try {
        opened.set(`${name} ${spec}`, await openData(spec, { like: shape, seed, ...defined({ dataDir }) }));
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        missing[name] = error.message;
      }
    }
  }
  const there = (name: string) => Object.hasOwn(preset.sets, name) && !Object.hasOwn(missing, name);

  /** A split of a set, as the model of the plan takes it. */
  const splitOf = (plan: ModelPlan, name: string, split: 'train' | 'test'): Dataset => {
    const data = asPixels(opened.get(`${name} ${preset.sets[name]![split]}`)!);
    return plan.preparation ? prepare(data, plan.preparation) : data;
  };

  const inMixed = (plan: ModelPlan, data: Dataset) => (preset.sets[plan.set]!.sorted ? mixed(data, seed) : data);

  return {
    missing,
    available: (plans) => plans.flatMap((plan) => (there(plan.set) ? [{ ...plan, ood: plan.ood.filter(there) }] : [])),
    training: (plan) => splitOf(plan, plan.set, 'train'),
    material(plan, { fit, test }) {
      const all = inMixed(plan, splitOf(plan, plan.set, 'test'));
      const half = Math.floor(all.length / 2);
      return {
        fit: { name: plan.set, data: take(all, 0, Math.min(half, fit)) },
        test: { name: plan.set, data: take(all, half, half + Math.min(half, test)) },
        ood: plan.ood.map((name) => {
          const data = splitOf(plan, name, 'test');
          return { name, data: take(data, 0, Math.min(data.length, test)) };
        }),
      };
    },
    remade(plan, after, count) {
      const raw = asPixels(opened.get(`${plan.set} ${preset.sets[plan.set]!.test}`)!);
      const start = Math.floor(raw.length / 2) + after;
      const end = Math.min(raw.length, start + count);
      if (start >= end) return [];
      return plan.ood.flatMap((name) => {
        const { made } = preset.sets[name]!;
        if (!made) return [];
        const images = remade(take(inMixed(plan, raw), start, end), made);
        return [{ name, data: plan.preparation ? prepare(images, plan.preparation) : images }];
      });
    },
  };
}

/** The examples in random order. */
function mixed(data: Dataset, seed: number): Dataset {
  return select(data, new RandomStream(seed, 'mixed').permutation(0, data.length), ` mixed by ${seed}`);
}
