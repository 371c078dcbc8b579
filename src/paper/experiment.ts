// What an experiment of the paper is: numbers that are computed, once, and a section of a page that is drawn from them,
// as often as one likes.

import type { Lab } from './lab.ts';

/** `N` and `F` are plain JSON, as a file of results has them. */
export interface Drawing<N, F = undefined> {
  /** Its key in the results. */
  readonly id: string;
  readonly title: string;
  /** What the paper claims, one sentence of plain text. */
  readonly claim: string;
  /** What we see, computed from the numbers, plain text. */
  finding(numbers: N): string;
  /** Figures and tables: HTML. `figures`: see `Measured`; undefined in files of results that do not have them. */
  body(numbers: N, figures: F | undefined): string;
}

interface Measured<N, F = undefined> {
  readonly numbers: N;
  /** What is asked for by figures alone. */
  readonly figures?: F;
}

export interface Experiment<N, F = undefined> {
  readonly drawing: Drawing<N, F>;
  measure(lab: Lab): Promise<Measured<N, F>>;
}
