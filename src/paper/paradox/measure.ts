// Experiment 1: models give higher likelihood to data they were never trained on.

import { defined } from '../../defined.ts';
import type { Histogram } from '../../eval/index.ts';
import type { FeatureTable } from '../../features/index.ts';
import { binsOfSets } from '../../report/index.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { boundOf } from '../bound.ts';
import { evaluated, type How, tablesOf } from '../evaluation.ts';
import type { Experiment } from '../experiment.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { mean } from '../words.ts';
import { type Likelihoods, type Outside, paradox } from './draw.ts';

export const paradoxExperiment: Experiment<readonly Likelihoods[], Outside> = {
  drawing: paradox,
  async measure(lab) {
    const found: Awaited<ReturnType<typeof measured>>[] = [];
    for (const plan of lab.available(lab.preset.models.images)) {
      found.push(await measured(lab, plan, {}));
      const { bound } = plan;
      if (bound === undefined) continue;
      const scoring = { bound: true, noiseSamples: bound.draws };
      found.push(await measured(lab, plan, { groups: [1], limit: bound.scored, scoring }));
    }
    return { numbers: found.map(({ numbers }) => numbers), figures: found.map(({ outside }) => outside) };
  },
};

async function measured(
  lab: Lab,
  plan: ModelPlan,
  how: How,
): Promise<{ numbers: Likelihoods; outside: Outside[number] }> {
  const rows = await evaluated(lab, plan, how);
  const { test, ood } = await tablesOf(lab, plan, how);
  const [inTable] = test;
  const factor = inTable!.meta.bitsPerDimFactor;
  const median = inTable!.nll.toSorted()[inTable!.nll.length >> 1]!;
  const nll = mean(inTable!.nll);
  const by = factor === undefined ? 'denoising loss' : plan.family === 'vae' || how.scoring ? 'bound' : 'likelihood';
  const bound = how.scoring ? await boundOf(lab, plan, await lab.model(plan)) : undefined;
  const bits = factor === undefined ? {} : { bitsPerDim: nll * factor };
  const unpadded = plan.preparation?.pad && {
    bitsPerDimUnpadded: nll / (sizeOf(lab.preset.sets[plan.set]!.shape) * Math.LN2),
  };
  const values = ({ nll }: FeatureTable) => nll.map((v) => v * (factor ?? 1));
  const sets = [
    { name: `${plan.set} (learned)`, values: values(inTable!) },
    ...ood.map(({ name, tables }) => ({ name, values: values(tables[0]!) })),
  ];
  const histogram = binsOfSets(sets);
  return {
    numbers: {
      model: plan.family,
      in: plan.set,
      by,
      nll,
      ...bits,
      ...unpadded,
      ...defined({ bound }),
      ood: ood.map(({ name, tables }) => {
        const { auroc, aurocLow, aurocHigh } = rows.find(
          (row) => row.detector === 'likelihood' && row.ood === name && row.group === tables[0]!.group,
        )!;
        const { nll } = tables[0]!;
        const preferred = nll.filter((value) => value < median).length / nll.length;
        return { name, natural: isNatural(lab, name), nll: mean(nll), preferred, auroc, aurocLow, aurocHigh };
      }),
      histogram: plain(histogram),
    },
    outside: histogram.outside,
  };
}

/** As JSON has it. */
function plain({ edges, shares }: Histogram): Likelihoods['histogram'] {
  return { edges: Array.from(edges), shares: shares.map((s) => Array.from(s, (v) => +v.toFixed(4))) };
}
