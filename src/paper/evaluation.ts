// One model against its sets: features, fitted detectors, AUROCs. All experiments take them from here.

import { detectorNames, fitDetectors } from '../detectors/index.ts';
import { type EvalRow, evaluate } from '../eval/index.ts';
import type { FeatureTable } from '../features/index.ts';
import type { Model } from '../store/index.ts';
import type { Lab } from './lab.ts';
import type { ModelPlan } from './plan.ts';

export interface Tables {
  readonly model: Model;
  /** One table per group size, each. */
  readonly fit: readonly FeatureTable[];
  readonly test: readonly FeatureTable[];
  readonly ood: readonly { readonly name: string; readonly tables: readonly FeatureTable[] }[];
}

export interface How {
  /** Default: the preset's. */
  readonly groups?: readonly number[];
  /** Default: the plan's, else the preset's. */
  readonly limit?: number;
  /** Default: the plan's. */
  readonly scoring?: ModelPlan['scoring'];
}

/** Features of a model's sets, computed where they are not there yet. */
export async function tablesOf(lab: Lab, plan: ModelPlan, how: How = {}): Promise<Tables> {
  const { groups = lab.preset.groups, limit, scoring } = how;
  const model = await lab.model(plan, scoring);
  const { fit, test, ood } = await lab.material(plan, limit);
  const of = (set: typeof fit) => lab.features(model, plan.id, set, groups);
  const [fitTables, testTables] = [await of(fit), await of(test)];
  const others: { name: string; tables: readonly FeatureTable[] }[] = [];
  for (const set of ood) others.push({ name: set.name, tables: await of(set) });
  return { model, fit: fitTables, test: testTables, ood: others };
}

/** AUROCs of all detectors for every out-of-distribution set and group size. */
export async function evaluated(lab: Lab, plan: ModelPlan, how: How = {}): Promise<readonly EvalRow[]> {
  const { groups = lab.preset.groups, limit, scoring } = how;
  const { hash } = await lab.model(plan, scoring);
  const { fit, test, ood } = await lab.material(plan, limit);
  const sets = [fit, test, ...ood].map(({ name, data }) => [name, data.fingerprint]);
  return lab.stage(`auroc-${plan.id}`, { hash, sets, groups, seed: lab.seed, detectors: detectorNames }, async () => {
    const tables = await tablesOf(lab, plan, how);
    lab.progress(`fits detectors on ${plan.id}`);
    return evaluate(fitDetectors(tables.fit), tables.test, tables.ood, { seed: lab.seed });
  });
}
