// Experiment 4: the distribution of layer norms.

import { compareFits } from '../../eval/index.ts';
import type { FeatureTable } from '../../features/index.ts';
import { distributionNumbers } from '../../report/index.ts';
import { tablesOf } from '../evaluation.ts';
import type { Experiment } from '../experiment.ts';
import { chi2, type DrawnLayer, type Fits } from './draw.ts';

export const chi2Experiment: Experiment<readonly Fits[], readonly DrawnLayer[]> = {
  drawing: chi2,
  async measure(lab) {
    const numbers: Fits[] = [];
    const figures: DrawnLayer[] = [];
    const seen = new Set<string>();
    for (const plan of lab.available(lab.preset.models.images)) {
      const layers = layersOf((await tablesOf(lab, plan)).test[0]!);
      const of = { model: plan.family, in: plan.set };
      numbers.push({ ...of, layers: layers.map(({ values: _, fits: __, ...rest }) => rest) });
      // figures of one model of every family: its smallest, middle and largest layer
      if (seen.has(plan.family)) continue;
      seen.add(plan.family);
      const bySize = layers.toSorted((a, b) => a.dim - b.dim);
      for (const layer of [bySize[0], bySize[bySize.length >> 1], bySize.at(-1)]) {
        if (!layer) continue;
        const { name, dim, values, fits } = layer;
        figures.push({ ...of, name, dim, norms: distributionNumbers(values, fits) });
      }
    }
    return { numbers, figures };
  },
};

/** Layers whose norm is never zero and has some spread: the others have no density to fit. */
function layersOf({ names, dims, sqNorms, nll }: FeatureTable) {
  return names.flatMap((name, j) => {
    const values = Float64Array.from(nll, (_, i) => sqNorms[i * names.length + j]!);
    const dim = dims![j]!;
    if (!values.every((f) => f > 0) || new Set(values).size < 2) return [];
    const fits = compareFits(values, dim);
    const free = fits['chi2-free'].distribution;
    return [
      {
        name,
        dim,
        better: fits.better,
        best: fits.best,
        ks: { chi2: fits.chi2.ks, 'chi2-free': fits['chi2-free'].ks, 'log-normal': fits['log-normal'].ks },
        degrees: free.family === 'chi2' ? free.degrees : Number.NaN,
        values,
        fits,
      },
    ];
  });
}
