// Experiment 5: norms of different layers carry different information.

import { autocorrelation, layerCorrelation } from '../../eval/index.ts';
import { tablesOf } from '../evaluation.ts';
import type { Experiment } from '../experiment.ts';
import { type Correlations, correlation } from './draw.ts';

const MOST_LAGS = 20;

export const correlationExperiment: Experiment<readonly Correlations[]> = {
  drawing: correlation,
  async measure(lab) {
    const numbers: Correlations[] = [];
    const seen = new Set<string>();
    for (const plan of lab.available(lab.preset.models.images)) {
      const found = layerCorrelation((await tablesOf(lab, plan)).test[0]!);
      const drawn = !seen.has(plan.family); // one matrix of every family
      seen.add(plan.family);
      numbers.push({
        model: plan.family,
        in: plan.set,
        layers: found.names.length,
        dropped: found.dropped.length,
        meanAbs: found.meanAbs ?? null,
        noiseFloor: found.noiseFloor,
        autocorrelation: autocorrelation(found, MOST_LAGS),
        ...(drawn ? { matrix: Array.from(found.matrix, (r) => +r.toFixed(3)) } : {}),
      });
    }
    return { numbers };
  },
};
