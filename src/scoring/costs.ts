// A model in; what it takes to measure an input as the combined detector does, counted, out.

import { defined } from '../defined.ts';
import { basisOfSize, MOST_DIRECTIONS, normGraph, splitLoss } from '../features/index.ts';
import { countMultiplications } from '../lower/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { COMBINED_FORM } from './to-fit.ts';

/**
 * Multiplications in convolutions and matrix products for everything that the combined detector measures of one input,
 * of every aspect and one draw of the noise.
 *
 * @param directions Of the activations; 0 where they are no view.
 */
export function combinedMultiplications(model: ScoringModel, directions = MOST_DIRECTIONS): number {
  return Object.values(model.aspects?.() ?? { '': model }).reduce((sum, aspect) => {
    const { nll } = splitLoss(aspect);
    const activations = directions === 0 ? undefined : basisOfSize(nll, directions);
    const views = { radial: true, fisher: true, factored: COMBINED_FORM, ...defined({ activations }) };
    return sum + countMultiplications(normGraph(nll, views).graph);
  }, 0);
}
