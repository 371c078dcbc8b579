// What a detector is to the comparison of rivals: fitted on in-distribution data, then asked for scores of whole sets,
// in groups of any size.

import type { Dataset } from '../../src/data/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';

/** What a method is fitted with. */
export interface Context {
  readonly model: ScoringModel;
  readonly runtime: Runtime;
  /** As the model takes them, like all sets that are scored. */
  readonly fit: Dataset;
  /** Group sizes that will be asked for, ascending, 1 the first. */
  readonly groups: readonly number[];
  readonly seed: number;
  readonly threads?: number;
}

/** Scores by detector for consecutive groups of B inputs, [⌊n / B⌋] each; higher is further out of distribution. */
export type Scores = Readonly<Record<string, Float64Array>>;

/** A method that was fitted. */
export interface Fitted {
  /** Does for one set what has to be done once, and gives what scores it. */
  measure(data: Dataset): Promise<(B: number) => Scores | Promise<Scores>>;
  dispose(): Promise<void>;
}

/** One detector, or several that share their features. */
export interface Method {
  readonly names: readonly string[];
  /** Where it is from. */
  readonly source: string;
  /** Throws a ModelError that gives the reason where the method is not for this model. */
  fit(context: Context): Promise<Fitted>;
}

/**
 * The means of B consecutive scores of single inputs: for densities, the log-likelihood of a group of independent
 * inputs, divided by B.
 */
export function groupMeans(scores: Float64Array, B: number): Float64Array {
  return Float64Array.from({ length: Math.floor(scores.length / B) }, (_, g) => {
    let sum = 0;
    for (let b = 0; b < B; b++) sum += scores[g * B + b]!;
    return sum / B;
  });
}

/** A fit that scores single inputs, and groups by the means of these. */
export function bySingles(
  score: (data: Dataset) => Promise<Scores>,
  dispose: () => Promise<void> = async () => undefined,
): Fitted {
  return {
    measure: async (data) => {
      const singles = Object.entries(await score(data));
      return (B) => Object.fromEntries(singles.map(([name, scores]) => [name, groupMeans(scores, B)]));
    },
    dispose,
  };
}
