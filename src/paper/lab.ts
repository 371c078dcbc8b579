// The directory of a reproduction: trained models, feature tables and results of stages, each made once and found again
// by what it was made from. So a run that was stopped anywhere goes on, and a preset that changed does only what is
// new.

import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import type { FeatureTable } from '../features/index.ts';
import { loadModel, reasonOf, removeLeftovers } from '../node/index.ts';
import type { NamedData } from '../scoring/index.ts';
import type { Model } from '../store/index.ts';
import { type CombinedFeatures, combinedIn } from './lab-combined.ts';
import { featuresIn } from './lab-features.ts';
import { foundIn, trainedIn } from './lab-models.ts';
import { type LabSets, type Material, openSets } from './lab-sets.ts';
import { allModels, type ModelPlan, type Preset, type Sizes } from './plan.ts';
import { stageIn } from './stages.ts';

/**
 * Where a reproduction works and what it may use: the folder `out`, the seed, the data directory, threads and bytes.
 */
export interface LabOptions {
  readonly out: string;
  readonly seed: number;
  readonly dataDir?: string;
  readonly threads?: number;
  /** Bytes that a run may take. */
  readonly memory?: number;
  /** Whether models that are not there are trained. Default: they are; else they are left out. */
  readonly train?: boolean;
  /** What is being done, for people: a stage, and how far it is. */
  readonly onProgress?: (what: string) => void;
  /** A set that is left out, and why; before anything is done. */
  readonly onMissing?: (set: string, reason: string) => void;
}

export interface Lab {
  readonly preset: Preset;
  readonly seed: number;
  readonly threads: { readonly threads?: number };
  readonly progress: (what: string) => void;
  /** What could not be had, and why: such models and sets are left out. */
  readonly missing: Readonly<Record<string, string>>;
  /** Those of `plans` whose training and test data are there, and their models too where none is trained. */
  available(plans: readonly ModelPlan[]): readonly ModelPlan[];
  /** The plan of this name; undefined where it is not among the available ones. */
  planOf(id: string): ModelPlan | undefined;
  /** Trained if it is not yet. `scoring` in place of the plan's. */
  model(plan: ModelPlan, scoring?: ModelPlan['scoring']): Promise<Model>;
  /** `limit`: examples of each half and of each other set. Default: the plan's, else the preset's. */
  material(plan: ModelPlan, limit?: number | Sizes): Promise<Material>;
  /** See `LabSets`. */
  remade(plan: ModelPlan, after: number, count: number): readonly NamedData[];
  /** What the combined detector of a model is fitted on, and its features of other sets; all of it kept. */
  combined(model: Model, id: string, fit: NamedData): Promise<CombinedFeatures>;
  /** The model of a plan, whether the preset trains it or not, if it is there. */
  found(plan: ModelPlan): Promise<Model | undefined>;
  /** One table per group size, in their order. */
  features(model: Model, id: string, set: NamedData, groups: readonly number[]): Promise<readonly FeatureTable[]>;
  /** What `compute` returned for this name and `key`, which must tell everything the result depends on; plain JSON. */
  stage<T>(name: string, key: unknown, compute: () => Promise<T>): Promise<T>;
}

/**
 * Opens the directory and looks for all data of the preset. Throws a DataError where not a single model can be made.
 */
export async function openLab(preset: Preset, options: LabOptions): Promise<Lab> {
  const { out, seed, dataDir, onProgress: progress = () => {} } = options;
  const threads = defined({ threads: options.threads });
  const folder = (name: 'models' | 'features' | 'stages') => join(out, name);
  const sets = await openSets(preset, { seed, dataDir });
  await openFolders(out);
  const possible = sets.available(allModels(preset));
  if (possible.length === 0) {
    throw new DataError(`nothing to do without data: ${Object.values(sets.missing).join('; ')}`);
  }
  const plans = options.train === false ? await thoseThere(possible, folder('models'), sets, seed) : possible;
  const isAvailable = new Set(plans.map(({ id }) => id));
  for (const [name, reason] of Object.entries(sets.missing)) options.onMissing?.(name, reason);

  const features = { seed, machine: { ...threads, ...defined({ memory: options.memory }) }, progress };
  const training = { seed, machine: threads, progress };
  const paths = new Map<string, Promise<string>>();
  return {
    preset,
    seed,
    threads,
    progress,
    missing: sets.missing,
    available: (wanted) => sets.available(wanted).filter(({ id }) => isAvailable.has(id)),
    planOf: (id) => plans.find((plan) => plan.id === id),
    async model(plan, scoring = plan.scoring) {
      if (!paths.has(plan.id)) {
        paths.set(plan.id, trainedIn(folder('models'), { plan, data: sets.training(plan) }, training));
      }
      return loadModel(await paths.get(plan.id)!, scoring);
    },
    async found(plan) {
      const [own] = sets.available([plan]);
      const dir = own && (await foundIn(folder('models'), { plan: own, data: sets.training(own) }, seed));
      return dir === undefined ? undefined : loadModel(dir, plan.scoring);
    },
    material: async (plan, limit = plan.limit ?? preset.limit) =>
      sets.material(plan, typeof limit === 'number' ? { fit: limit, test: limit } : limit),
    remade: sets.remade,
    combined: async (model, id, fit) =>
      combinedIn({ features: folder('features'), stages: folder('stages') }, { model, id, fit }, features),
    features: (model, id, set, groups) => featuresIn(folder('features'), { model, id, set, groups }, features),
    stage: (name, key, compute) => stageIn(folder('stages'), { name, key, progress }, compute),
  };
}

async function thoseThere(plans: readonly ModelPlan[], folder: string, sets: LabSets, seed: number) {
  const there: ModelPlan[] = [];
  for (const plan of plans) {
    if ((await foundIn(folder, { plan, data: sets.training(plan) }, seed)) !== undefined) there.push(plan);
  }
  return there;
}

/** Made where they are not there; what killed processes left in them goes. */
async function openFolders(out: string): Promise<void> {
  for (const name of ['models', 'features', 'stages']) await makeFolder(join(out, name));
  const models = (await readdir(join(out, 'models'))).map((name) => join('models', name));
  for (const name of ['features', 'stages', ...models]) await removeLeftovers(join(out, name));
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw new DataError(`${path}: cannot be made a folder: ${reasonOf(error, path)}`);
  }
}

/** Whether a set is of the kind that the paper has: not made by the program. */
export const isNatural = ({ preset }: Pick<Lab, 'preset'>, set: string): boolean => !preset.sets[set]?.synthetic;
