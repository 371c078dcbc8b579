// What the experiment beyond the paper finds, as a file of results has it.

import type { Making } from '../plan.ts';
import type { Costs } from './costs.ts';

/** An AUROC with the ends of its 95 % interval. */
interface Auroc {
  readonly auroc: number;
  readonly low: number;
  readonly high: number;
}

/** One model of the experiment. */
export interface BeyondModel {
  /** Its name in the preset. */
  readonly model: string;
  readonly family: string;
  readonly in: string;
  /** `images`, `text`, `audio`; `further` is in no average. */
  readonly domain: string;
  /**
   * Inputs that the combined detector was fitted on, those for its metric left out; learned inputs that were scored.
   */
  readonly fitted: number;
  readonly tested: number;
  /** Of learned inputs, a bound for VAEs and diffusion models; for each pixel without a border. */
  readonly bitsPerDim?: number;
}

/** A detector on a model's learned set and another. */
export interface BeyondPair extends Auroc {
  readonly model: string;
  readonly ood: string;
  readonly group: number;
  readonly detector: string;
}

/** Everything; lists are in the order of the preset. */
export interface BeyondNumbers {
  readonly models: readonly BeyondModel[];
  readonly pairs: readonly BeyondPair[];
  /** See `oracleOf`. */
  readonly oracle: readonly (Pick<BeyondPair, 'model' | 'ood' | 'group'> & { readonly auroc: number })[];
  /** Means over the pairs of a domain that a detector is for. */
  readonly averages: readonly (Auroc & {
    readonly domain: string;
    readonly group: number;
    readonly detector: string;
    readonly pairs: number;
  })[];
  /** On how many pairs typicality has the higher AUROC, and on how many by more than the difference's interval. */
  readonly behind: readonly {
    readonly domain: string;
    readonly group: number;
    readonly detector: string;
    readonly pairs: number;
    readonly behind: number;
    readonly clearly: number;
  }[];
  /** The combined detectors as the model is, and with its weights shuffled. */
  readonly shuffled: readonly {
    readonly model: string;
    readonly in: string;
    readonly ood: string;
    readonly group: number;
    readonly detector: string;
    readonly fitted: number;
    readonly learned: number;
    readonly shuffled: number;
  }[];
  /** Models that have no numbers with shuffled weights, and why. */
  readonly notShuffled: readonly { readonly model: string; readonly reason: string }[];
  /**
   * Learned inputs made again as another set was, against learned inputs as they are; beside it that set's own AUROC.
   */
  readonly remade: readonly (Auroc & {
    readonly model: string;
    readonly as: string;
    readonly group: number;
    readonly detector: string;
    readonly foreign: number;
  })[];
  readonly making: readonly (Making & { readonly name: string })[];
  /** Models of the preset that were not there, or whose sets were not. */
  readonly without: readonly string[];
  readonly costs: readonly Costs[];
}
