// Experiment 7: what the result depends on.

import { fitDetectors } from '../../detectors/index.ts';
import { evaluate } from '../../eval/index.ts';
import { sliceTable } from '../../features/index.ts';
import { evaluated, type How, tablesOf } from '../evaluation.ts';
import type { Experiment } from '../experiment.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { type AblationNumbers, ablations, detectorsShown, type Point, paperByTimestep } from './draw.ts';

export const ablationsExperiment: Experiment<AblationNumbers> = {
  drawing: ablations,
  async measure(lab) {
    const { timesteps, groups, fitSizes, trainingTime, modelSize } = lab.preset.ablations;
    const plansOf = (ids: readonly string[]) => ids.flatMap((id) => lab.planOf(id) ?? []);
    const numbers = {
      timestep: await overTimesteps(lab, plansOf(timesteps.models)),
      noiseSamples: await overNoiseSamples(lab, plansOf(timesteps.models)),
      groupSize: await overGroups(lab, plansOf(groups.models), groups.sizes),
      fitSize: await overFitSizes(lab, plansOf(fitSizes.models), fitSizes.sizes),
      trainingTime: await overPlans(lab, lab.available(trainingTime), (plan) => plan.steps),
      modelSize: await overPlans(lab, lab.available(modelSize), async (plan) => parameterCount(lab, plan)),
      paperByTimestep,
    };
    return { numbers };
  },
};

function pointsOf(lab: Lab, plan: ModelPlan, x: number, rows: Awaited<ReturnType<typeof evaluated>>): Point[] {
  return rows.flatMap(({ detector, ood, group, auroc, aurocLow, aurocHigh }) =>
    detector === 'layer-norms' || detector === 'typicality'
      ? [
          {
            model: plan.family,
            in: plan.set,
            ood,
            natural: isNatural(lab, ood),
            group,
            detector,
            x,
            auroc,
            aurocLow,
            aurocHigh,
          },
        ]
      : [],
  );
}

async function overTimesteps(lab: Lab, plans: readonly ModelPlan[]): Promise<Point[]> {
  const { timesteps, group, limit } = lab.preset.ablations.timesteps;
  const points: Point[] = [];
  for (const plan of plans) {
    for (const t of timesteps) {
      const how: How = { groups: [group], limit, scoring: { timesteps: [t] } };
      points.push(...pointsOf(lab, plan, t, await evaluated(lab, plan, how)));
    }
  }
  return points;
}

async function overNoiseSamples(lab: Lab, plans: readonly ModelPlan[]): Promise<Point[]> {
  const { timesteps, noiseSamples, group, limit } = lab.preset.ablations.timesteps;
  const points: Point[] = [];
  for (const plan of plans) {
    for (const samples of noiseSamples) {
      const how: How = {
        groups: [group],
        limit,
        scoring: { timesteps: [timesteps[0]!], ...(samples === 1 ? {} : { noiseSamples: samples }) },
      };
      points.push(...pointsOf(lab, plan, samples, await evaluated(lab, plan, how)));
    }
  }
  return points;
}

async function overGroups(lab: Lab, plans: readonly ModelPlan[], sizes: readonly number[]): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const rows = await evaluated(lab, plan, { groups: sizes });
    for (const size of sizes) {
      points.push(
        ...pointsOf(
          lab,
          plan,
          size,
          rows.filter(({ group }) => group === size),
        ),
      );
    }
  }
  return points;
}

async function overFitSizes(lab: Lab, plans: readonly ModelPlan[], sizes: readonly number[]): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const { fit, test, ood } = await tablesOf(lab, plan);
    const one = <T>(tables: readonly T[]): T => tables[lab.preset.groups.indexOf(1)]!;
    const others = ood.map(({ name, tables }) => ({ name, tables: [one(tables)] }));
    for (const size of sizes.filter((n) => n <= one(fit).nll.length)) {
      const detector = fitDetectors([sliceTable(one(fit), 0, size)], { detectors: detectorsShown });
      points.push(...pointsOf(lab, plan, size, evaluate(detector, [one(test)], others, { seed: lab.seed })));
    }
  }
  return points;
}

async function overPlans(
  lab: Lab,
  plans: readonly ModelPlan[],
  xOf: (plan: ModelPlan) => number | Promise<number>,
): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const rows = (await evaluated(lab, plan)).filter(({ group }) => group === 1);
    points.push(...pointsOf(lab, plan, await xOf(plan), rows));
  }
  return points;
}

async function parameterCount(lab: Lab, plan: ModelPlan): Promise<number> {
  const { weights } = await lab.model(plan);
  return Object.values(weights).reduce((sum, { data }) => sum + data.length, 0);
}
