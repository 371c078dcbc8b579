// The directory of a reproduction: trained models, feature tables and results of stages, each made once and found again by what
// it was made from. So a run that was stopped anywhere goes on, and a preset that changed does only what is new.

import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asPixels, type Dataset, fingerprintOf, prepare, select, take } from '../data/index.ts';
import { DataError, ModelError } from '../errors.ts';
import { describeExamples, type FeatureTable, notFinite, whatIsNotFinite } from '../features/index.ts';
import { architecture } from '../models/index.ts';
import { openExtractor } from '../node/defaults.ts';
import {
  isTrained,
  loadModel,
  openData,
  readFileBytes,
  readInfo,
  readTable,
  reasonOf,
  removeLeftovers,
  runFeatures,
  train,
  writeFileAtomic,
} from '../node/index.ts';
import type { NamedData } from '../scoring/index.ts';
import { differences, type Model, type ModelInfo } from '../store/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { allModels, type ModelPlan, type Preset } from './plan.ts';

export interface LabOptions {
  readonly out: string;
  readonly seed: number;
  readonly dataDir?: string;
  readonly threads?: number;
  /** Bytes that a run may take. */
  readonly memory?: number;
  /** What is being done, for people: a stage, and how far it is. */
  readonly onProgress?: (what: string) => void;
  /** A set that is left out, and why; before anything is done. */
  readonly onMissing?: (set: string, reason: string) => void;
}

/** The sets that one model meets, prepared as it takes them. */
export interface Material {
  /** First and second half of the in-distribution test set, each of at most `limit` examples. */
  readonly fit: NamedData;
  readonly test: NamedData;
  readonly ood: readonly NamedData[];
}

export interface Lab {
  readonly preset: Preset;
  readonly seed: number;
  readonly threads: { readonly threads?: number };
  readonly progress: (what: string) => void;
  /** What could not be had, and why: such models and sets are left out. */
  readonly missing: Readonly<Record<string, string>>;
  /** Those of `plans` whose training and test data are there. */
  available(plans: readonly ModelPlan[]): readonly ModelPlan[];
  /** The plan of this name; undefined where its data are missing. */
  planOf(id: string): ModelPlan | undefined;
  /** Trained if it is not yet. `scoring` in place of the plan's. */
  model(plan: ModelPlan, scoring?: ModelPlan['scoring']): Promise<Model>;
  material(plan: ModelPlan, limit?: number): Promise<Material>;
  /** One table per group size, in their order. */
  features(model: Model, id: string, set: NamedData, groups: readonly number[]): Promise<readonly FeatureTable[]>;
  /** What `compute` returned for this name and `key`, which must tell everything the result depends on; plain JSON. */
  stage<T>(name: string, key: unknown, compute: () => Promise<T>): Promise<T>;
}

/** Checkpoints that come with the program, by the name of the plan they were trained by. */
const shipped = (id: string) => fileURLToPath(new URL(`../../models/${id}`, import.meta.url));

/** Opens the directory and looks for all data of the preset. Throws a DataError where not a single model can be made. */
export async function openLab(preset: Preset, options: LabOptions): Promise<Lab> {
  const { out, seed } = options;
  const progress = options.onProgress ?? (() => {});
  const threads = options.threads === undefined ? {} : { threads: options.threads };
  const memory = options.memory === undefined ? {} : { memory: options.memory };
  if (options.dataDir !== undefined && !existsSync(options.dataDir)) {
    throw new DataError(`--data-dir ${options.dataDir}: there is no such folder, expected one with data sets`);
  }
  for (const folder of ['models', 'features', 'stages']) await makeFolder(join(out, folder));
  const models = (await readdir(join(out, 'models'))).map((name) => join('models', name));
  for (const folder of ['features', 'stages', ...models]) await removeLeftovers(join(out, folder));

  const open = (spec: string, shape: readonly number[]) =>
    openData(spec, { like: shape, seed, ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }) });
  const missing: Record<string, string> = {};
  const opened = new Map<string, Dataset>();
  for (const [name, { train: trainSpec, test, shape }] of Object.entries(preset.sets)) {
    for (const spec of [test, ...(trainSpec === undefined ? [] : [trainSpec])]) {
      try {
        opened.set(`${name} ${spec}`, await open(spec, shape));
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        missing[name] = error.message;
      }
    }
  }
  const there = (name: string) => Object.hasOwn(preset.sets, name) && !Object.hasOwn(missing, name);
  const available = (plans: readonly ModelPlan[]) =>
    plans.flatMap((plan) => (there(plan.set) ? [{ ...plan, ood: plan.ood.filter(there) }] : []));
  const plans = available(allModels(preset));
  if (plans.length === 0) throw new DataError(`nothing to do without data: ${Object.values(missing).join('; ')}`);

  for (const [name, reason] of Object.entries(missing)) options.onMissing?.(name, reason);

  /** A split of a set, as the model of the plan takes it. */
  const splitOf = (plan: ModelPlan, name: string, split: 'train' | 'test'): Dataset => {
    const data = asPixels(opened.get(`${name} ${preset.sets[name]![split]}`)!);
    return plan.preparation ? prepare(data, plan.preparation) : data;
  };

  async function trained(plan: ModelPlan): Promise<string> {
    const data = splitOf(plan, plan.set, 'train');
    const info = infoOf(plan, data, seed);
    const own = join(out, 'models', plan.id);
    const changed = `${own}-${keyOf(info)}`; // where the preset has changed since, the model of before stays where it is
    for (const dir of [own, changed, shipped(plan.id)]) {
      if ((await isTrained(dir)) && (await isOf(dir, info))) return dir;
    }
    const dir = existsSync(join(own, 'model.json')) && !(await isOf(own, info)) ? changed : own;
    await train({
      info,
      arch: architecture(plan.family),
      data,
      dir,
      ...threads,
      onProgress: (p) =>
        progress(`trains ${plan.id}: step ${p.step} of ${p.steps}, ${p.examplesPerSecond.toFixed(0)} examples/s`),
    });
    return dir;
  }

  const paths = new Map<string, Promise<string>>();
  return {
    preset,
    seed,
    threads,
    progress,
    missing,
    available,
    planOf: (id) => plans.find((plan) => plan.id === id),

    async model(plan, scoring = plan.scoring) {
      if (!paths.has(plan.id)) paths.set(plan.id, trained(plan));
      return loadModel(await paths.get(plan.id)!, scoring);
    },

    async material(plan, limit = plan.limit ?? preset.limit) {
      const inSet = splitOf(plan, plan.set, 'test');
      const all = preset.sets[plan.set]!.sorted ? mixed(inSet, seed) : inSet;
      const half = Math.floor(all.length / 2);
      const n = Math.min(half, limit);
      return {
        fit: { name: plan.set, data: take(all, 0, n) },
        test: { name: plan.set, data: take(all, half, half + n) },
        ood: plan.ood.map((name) => {
          const data = splitOf(plan, name, 'test');
          return { name, data: take(data, 0, Math.min(data.length, limit)) };
        }),
      };
    },

    async features(model, id, { name, data }, groups) {
      const tables: FeatureTable[] = [];
      for (const group of groups) {
        const key = keyOf({ model: model.hash, data: data.fingerprint, group, seed, version: VERSION });
        const path = join(out, 'features', `${id}-B${group}-${key}.parquet`);
        // A table beside its unfinished rows: the run was killed between the two, and takes them away.
        if (!existsSync(path) || existsSync(`${path}.partial`)) {
          const noise = noiseSeed(seed, data.fingerprint);
          // By place: published results have it so, and a seed of every set's own makes up for what is wrong with it.
          const keys = { seed: noise, noise: 'place' } as const;
          const extractor = await openExtractor(model, { group, ...keys, ...memory, ...threads });
          try {
            await runFeatures({
              extractor,
              data,
              out: path,
              onProgress: (p) =>
                progress(
                  `features of ${name} under ${id}, B = ${group}: ${p.done} of ${p.of}, ${p.examplesPerSecond.toFixed(0)} examples/s`,
                ),
            });
          } finally {
            await extractor.dispose();
          }
        }
        const table = await readTable(path);
        const odd = notFinite(table);
        if (odd.length > 0) {
          const which = describeExamples(table, odd);
          throw new DataError(`${path}: ${name}: ${which}: not finite: ${whatIsNotFinite(table, odd[0]!)}`);
        }
        tables.push(table);
      }
      return tables;
    },

    async stage<T>(name: string, key: unknown, compute: () => Promise<T>): Promise<T> {
      const path = join(out, 'stages', `${name}-${keyOf([key, VERSION])}.json`);
      if (existsSync(path)) return parseStage<T>(path, await readFileBytes(path));
      progress(name);
      const text = JSON.stringify(await compute());
      await writeFileAtomic(path, text);
      return JSON.parse(text) as T; // what a later run will read, so that both see the same
    },
  };
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw new DataError(`${path}: cannot be made a folder: ${reasonOf(error, path)}`);
  }
}

/** To be raised when the code makes something else of the same features or in the same stage: what older code left is then not taken. */
const VERSION = 3;

/** Whether the model in `dir` is what `train` makes for `info`. */
const isOf = async (dir: string, info: ModelInfo): Promise<boolean> =>
  differences(await readInfo(dir), info).length === 0;

/**
 * The seed of the noise of one set's examples. Noise depends on seed and index alone, so with one seed the k-th example of every set would
 * meet the same noise, and two halves of a set would not be independent.
 */
function noiseSeed(seed: number, fingerprint: string): number {
  return Number.parseInt(fingerprintOf(`${seed} ${fingerprint}`).slice(0, 8), 16);
}

/** The examples in random order. */
function mixed(data: Dataset, seed: number): Dataset {
  return select(data, new RandomStream(seed, 'mixed').permutation(0, data.length), ` mixed by ${seed}`);
}

/** Whether a set is of the kind that the paper has: not made by the program. */
export const isNatural = ({ preset }: Pick<Lab, 'preset'>, set: string): boolean => !preset.sets[set]?.synthetic;

const keyOf = (key: unknown) => fingerprintOf(JSON.stringify(key)).slice(0, 16);

function parseStage<T>(path: string, bytes: Uint8Array): T {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch {
    throw new DataError(`${path}: is not JSON; delete it to compute it again`);
  }
}

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
      ...(ema === undefined ? {} : { ema }),
    },
  };
}
