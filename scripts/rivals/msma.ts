// Multiscale score norms of a diffusion model: how long the gradient of the log-density is at an input, over noise
// levels.
//
// Mahmood, Oliva & Styner, "Multiscale score matching for out-of-distribution detection", ICLR 2021: the norms ‖s(x,
// σ)‖ at the input itself, no noise added, with a density of these over in-distribution inputs: the distance to the
// fifth-nearest of them (their k-d tree), or a normal in place of their Gaussian mixture. A network that predicts noise
// has s(x, σ) = −ε̂ / σ at √ᾱ x (Ho et al. 2020), and the factor is lost when norms are standardised. Noise levels are
// those of Song & Ermon ("Generative modeling by estimating gradients of the data distribution", NeurIPS 2019), which
// theirs are: ten from 0.01 to 1 for images in [0, 1], twice that for images in [−1, 1].

import type { Dataset } from '../../src/data/index.ts';
import { type Rows, rowOf } from '../../src/densities/rows.ts';
import { distances, fitShrunkNormal, ledoitWolf } from '../../src/densities/shrunk-normal.ts';
import { fitStandard, standardise } from '../../src/densities/standard.ts';
import { ModelError } from '../../src/errors.ts';
import { Arena, inputsOf, nameOf, type Value } from '../../src/graph/index.ts';
import { type DdpmConfig, ddpm, paramScope } from '../../src/models/index.ts';
import { alphaBars } from '../../src/objectives/index.ts';
import { reduceSum, sqrt } from '../../src/ops/index.ts';
import type { Model, ScoringModel } from '../../src/store/index.ts';
import { openForward } from './forward.ts';
import { bySingles, type Method } from './method.ts';

const LEVELS = { count: 10, least: 0.02, most: 2 };
const NEIGHBOUR = 5;

export const msma: Method = {
  names: ['msma-neighbours', 'msma-normal'],
  source: 'Mahmood et al. 2021',
  async fit(context) {
    const { loss, norms } = scoreNorms(context.model);
    const silent = inputsOf({ arena: loss.arena, outputs: { loss } })
      .filter(({ source }) => source.kind === 'input' && source.from !== 'data')
      .map(nameOf);
    const forward = openForward(context, loss, norms, { silent });
    const found = await forward.rows(context.fit);
    const standard = fitStandard(found);
    const rows = standardise(standard, found);
    const normal = fitShrunkNormal(rows, ledoitWolf(rows));
    const score = async (data: Dataset) => {
      const points = standardise(standard, await forward.rows(data));
      return {
        'msma-neighbours': neighbourDistances(rows, points, NEIGHBOUR),
        'msma-normal': distances(normal, points, 1),
      };
    };
    return bySingles(score, () => forward.dispose());
  },
};

/**
 * ‖ε̂(√ᾱ_t x, t)‖ at the chosen steps, where the noise is fed with zeros: the root of the squared loss, which is of ε̂
 * alone then.
 */
export function scoreNorms(model: ScoringModel): { readonly loss: Value; readonly norms: readonly Value[] } {
  if (!isDiffusion(model)) throw new ModelError('no diffusion model of this package');
  const { config, data } = model.info;
  const own = { ...(config as DdpmConfig), norm: 'l2' } as const;
  const timesteps = stepsAt(own);
  const { nll, parts } = ddpm.scorer!(own, { timesteps }).split(data, paramScope(new Arena()));
  return { loss: nll, norms: parts().map(({ value }) => sqrt(reduceSum(value))) };
}

/** The steps whose σ = √((1 − ᾱ) / ᾱ) is nearest to the levels, in logarithms, each once. */
export function stepsAt({ schedule, steps }: Pick<DdpmConfig, 'schedule' | 'steps'>): number[] {
  const logs = Array.from(alphaBars(schedule, steps), (a) => 0.5 * Math.log((1 - a) / a));
  const { count, least, most } = LEVELS;
  const nearest = Array.from({ length: count }, (_, k) => {
    const wanted = Math.log(least) + (k / (count - 1)) * Math.log(most / least);
    return logs.reduce((best, log, t) => (Math.abs(log - wanted) < Math.abs(logs[best]! - wanted) ? t : best), 0);
  });
  return [...new Set(nearest)];
}

const isDiffusion = (model: ScoringModel): model is Model =>
  'arch' in model && (model as Model).arch.name === ddpm.name;

/** [n] the distance of each point to its k-th nearest row. */
export function neighbourDistances(rows: Rows, points: Rows, k: number): Float64Array {
  return Float64Array.from({ length: points.n }, (_, i) => {
    const point = rowOf(points, i);
    const squares = Float64Array.from({ length: rows.n }, (__, j) =>
      rowOf(rows, j).reduce((sum, v, c) => sum + (v - point[c]!) ** 2, 0),
    ).sort();
    return Math.sqrt(squares[Math.min(k, rows.n) - 1]!);
  });
}
