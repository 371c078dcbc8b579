// Experiment 2: the paper's main tables. And experiment 8, the same for text and audio.

import { summarise } from '../../eval/index.ts';
import { evaluated } from '../evaluation.ts';
import type { Experiment } from '../experiment.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import {
  beyondImages,
  type HeadToHead,
  mainTables,
  paperDiffusion,
  type Row,
  score,
  type TableNumbers,
} from './draw.ts';

export const tablesExperiment: Experiment<TableNumbers> = {
  drawing: mainTables,
  async measure(lab) {
    const numbers = {
      ...summed(await rowsOf(lab, lab.available(lab.preset.models.images))),
      paper: { what: 'diffusion, B = 5, t = 1, mean over 20 pairs of other sets and larger models', ...paperDiffusion },
    };
    return { numbers };
  },
};

export const beyondExperiment: Experiment<TableNumbers> = {
  drawing: beyondImages,
  async measure(lab) {
    const { text, audio } = lab.preset.models;
    return { numbers: summed(await rowsOf(lab, lab.available([...text, ...audio]))) };
  },
};

async function rowsOf(lab: Lab, plans: readonly ModelPlan[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const plan of plans) {
    if (plan.ood.length === 0) continue;
    for (const row of await evaluated(lab, plan)) {
      rows.push({ ...row, model: plan.family, in: plan.set, natural: isNatural(lab, row.ood) });
    }
  }
  return rows;
}

function summed(rows: readonly Row[]): TableNumbers {
  const natural = rows.filter((row) => row.natural);
  const summaries = { natural: summarise(natural), all: summarise(rows) };
  const headToHead = summaries.natural.map(({ key: [model, group] }): HeadToHead => {
    const own = natural.filter((row) => row.model === model && row.group === group);
    return { model: String(model), group: Number(group), ...score(own) };
  });
  return { rows, summaries, headToHead };
}
