// A model in; what each detector costs for one input, counted, out.

import { defined } from '../../defined.ts';
import { basisOfSize, normGraph, splitLoss } from '../../features/index.ts';
import { countMultiplications } from '../../lower/index.ts';
import { simplifyGraph } from '../../ops/index.ts';
import { COMBINED_FORM } from '../../scoring/index.ts';
import type { Model, ScoringModel } from '../../store/index.ts';

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
  const count = (one: ScoringModel) => {
    const { nll } = splitLoss(one);
    const activations = directions === 0 ? undefined : basisOfSize(nll, directions);
    const views = normGraph(nll, { radial: true, fisher: true, factored: COMBINED_FORM, ...defined({ activations }) });
    return {
      forward: countMultiplications(simplifyGraph({ arena: nll.arena, outputs: { nll } })),
      norms: countMultiplications(normGraph(nll).graph),
      views: countMultiplications(views.graph),
      layers: views.names.length,
    };
  };
  const { forward, norms } = count(model);
  const aspects = Object.values(model.aspects?.() ?? { '': model }).map(count);
  const sum = (of: (one: ReturnType<typeof count>) => number) => aspects.reduce((total, one) => total + of(one), 0);
  return {
    model: id,
    forward,
    norms,
    views: sum(({ views }) => views) * draws,
    // Normals of L columns and of the directions; distances from every fit input in 2 L columns; projections of 3 L
    // on a direction a kind.
    densities: sum(({ layers: L }) => L ** 2 + directions ** 2 + 2 * L * fitted + 3 * L * kinds),
  };
}
