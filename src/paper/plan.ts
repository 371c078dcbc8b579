// What a preset says: which models on which data, and how much of everything.

import type { Kernel, Preparation } from '../data/index.ts';
import type { ArchitectureName } from '../models/index.ts';
import type { Shape } from '../tensor/shape.ts';

/** A data set by the DATA arguments of its splits; see `openData`. */
export interface SetPlan {
  readonly train?: string;
  readonly test: string;
  /**
   * Shape of one example before preparation: says which sets can meet in one model, and how synthetic sets are made.
   */
  readonly shape: Shape;
  /** Made by the program. Tables say apart what is found on the sets that are not, which are what the paper has. */
  readonly synthetic?: true;
  /**
   * The file is sorted, by speaker for one, so that its halves would differ: its test set is mixed before it is halved.
   */
  readonly sorted?: true;
  /** How its images came to their size, as far as it is known. */
  readonly made?: Making;
}

/**
 * What is done to an image on the way into a set: it is enlarged to what the set's photographs had, written as a JPEG
 * file of this quality where they were, and shrunk to the set's size.
 */
export interface Making {
  readonly from: readonly [height: number, width: number];
  readonly jpeg?: number;
  readonly filter: Kernel;
  /** One line for people: what is known of it. */
  readonly about: string;
}

/** One model of a preset: what it is trained on and for how many steps, and which sets it is tried on. */
export interface ModelPlan {
  /** Name of its directory. */
  readonly id: string;
  readonly family: ArchitectureName;
  /** Name of the in-distribution set. */
  readonly set: string;
  /** Names of the out-of-distribution sets; only those with examples of the same shape. */
  readonly ood: readonly string[];
  readonly preparation?: Preparation;
  /** As for `train --config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly batch?: number;
  readonly learningRate: number;
  readonly warmUp?: number;
  readonly ema?: number;
  /** What the architecture's scorer is asked for. */
  readonly scoring?: Readonly<Record<string, unknown>>;
  /** Examples of each set, where it is not the preset's. */
  readonly limit?: number;
  /**
   * For diffusion models, the variational bound: `examples` that it is worked out for with all its terms, and `scored`
   * of each set that are scored by an estimate of it from so many `draws`.
   */
  readonly bound?: { readonly examples: number; readonly scored: number; readonly draws: number };
  /** In place of those of the experiment beyond the paper, where they would take too long. */
  readonly beyond?: Sizes;
}

/**
 * How many inputs detectors are fitted on, those included that the combined detector's metric is taken from, and how
 * many of the other half and of each other set are scored, at most.
 */
export interface Sizes {
  readonly fit: number;
  readonly test: number;
}

/** Sizes, and how many recombined inputs of each kind the combined detector's contrast is fitted against, at most. */
interface CombinedSizes extends Sizes {
  readonly recombined?: number;
}

/** Models and data of one experiment beyond images. */
type Domain = 'images' | 'text' | 'audio';

/** A whole reproduction: data sets, models, and the size of every experiment. */
export interface Preset {
  readonly name: string;
  /** One line. */
  readonly about: string;
  readonly sets: Readonly<Record<string, SetPlan>>;
  readonly models: Readonly<Record<Domain, readonly ModelPlan[]>>;
  /** Examples of each half of an in-distribution test set and of each out-of-distribution set, at most. */
  readonly limit: number;
  /** Group sizes of the tables. */
  readonly groups: readonly number[];
  /** Fisher matrix: models, how many samples of each, how many layers and weights of each layer at most. */
  readonly fisher: {
    readonly models: readonly string[];
    readonly samples: number;
    readonly layers: number;
    readonly weights: number;
  };
  readonly invariance: { readonly models: readonly string[]; readonly examples: number };
  readonly ablations: {
    readonly timesteps: {
      readonly models: readonly string[];
      readonly timesteps: readonly number[];
      readonly noiseSamples: readonly number[];
      readonly group: number;
      readonly limit: number;
    };
    readonly groups: { readonly models: readonly string[]; readonly sizes: readonly number[] };
    readonly fitSizes: { readonly models: readonly string[]; readonly sizes: readonly number[] };
    readonly trainingTime: readonly ModelPlan[];
    readonly modelSize: readonly ModelPlan[];
  };
  readonly beyond: Sizes & {
    readonly groups: readonly number[];
    /**
     * Of detectors that see the norm of a group's summed gradient, which takes a pass for each size: for which of the
     * groups of several, and how many inputs they are fitted on then, at most.
     */
    readonly summed: { readonly groups: readonly number[]; readonly fit: number };
    /** Learned inputs that are made again as each other set was, at most. */
    readonly remade: number;
    readonly shuffled: CombinedSizes & { readonly models: readonly string[] };
    /** Models that nobody waits for: they are taken where `train` has left them in models/, and never trained. */
    readonly further: readonly ModelPlan[];
  };
}

/** Every model of a preset, those of the ablations included, each once. */
export function allModels(preset: Preset): readonly ModelPlan[] {
  const { trainingTime, modelSize } = preset.ablations;
  const all = [...Object.values(preset.models).flat(), ...trainingTime, ...modelSize];
  return [...new Map(all.map((plan) => [plan.id, plan])).values()];
}
