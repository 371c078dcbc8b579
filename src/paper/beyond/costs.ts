// A model in; what each detector costs for one input, counted, out.

import { normGraph } from '../../features/index.ts';
import { countMultiplications } from '../../lower/index.ts';
import { simplifyGraph } from '../../ops/index.ts';
import { combinedMultiplications } from '../../scoring/index.ts';
import type { Model } from '../../store/index.ts';

/** Multiplications in convolutions and matrix products for one input, of which time is made in the main. */
export interface Costs {
  readonly model: string;
  /** The likelihood, bound or loss alone, of one draw of the noise. */
  readonly forward: number;
  /** With the squared norms of all gradients. */
  readonly norms: number;
  /** Everything that the combined detector measures, of every draw and aspect. */
  readonly views: number;
  /** What its densities take beside, of one input. */
  readonly densities: number;
}

/** What a combined detector was fitted with. */
interface Fit {
  /** Inputs that it remembers. */
  readonly fitted: number;
  /** Kinds of recombined inputs. */
  readonly kinds: number;
  /** Draws of the model's noise. */
  readonly draws: number;
  /** Directions of the activations; 0 where they are no view. */
  readonly directions: number;
}

export function costsOf(model: Model, id: string, { fitted, kinds, draws, directions }: Fit): Costs {
  const nll = model.loss();
  const { graph, names } = normGraph(nll);
  const L = names.length;
  const aspects = Object.keys(model.aspects?.() ?? { '': model }).length;
  return {
    model: id,
    forward: countMultiplications(simplifyGraph({ arena: nll.arena, outputs: { nll } })),
    norms: countMultiplications(graph),
    views: combinedMultiplications(model, directions) * draws,
    // Normals of L columns and of the directions; distances from every fit input in 2 L columns; projections of 3 L
    // on a direction a kind.
    densities: aspects * (L ** 2 + directions ** 2 + 2 * L * fitted + 3 * L * kinds),
  };
}
