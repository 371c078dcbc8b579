// What a built-in architecture provides: its configuration, its per-example loss as a graph, and its sampler.

import type { Value } from '../graph/index.ts';
import type { Parts } from '../objectives/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import type { Scope } from './scope.ts';

/** The per-example negative log-likelihood (or a bound, or another loss) in nats, []. */
export interface Loss {
  readonly nll: Value;
  /**
   * Terms that add up to it, but for what is the same for every example. Values of them are made when they are asked
   * for.
   */
  parts(): readonly Parts[];
}

/** How a sampler draws. */
export interface Sampling {
  /** Scales the standard deviation of the latents. */
  readonly temperature: number;
  /**
   * Whether pixels that have a distribution given the latents are drawn from it, as samples of the model are; else they
   * are its mean.
   */
  readonly pixelNoise: boolean;
}

/**
 * A sampler that runs one graph many times. Inputs: 'state' [1, ...data] and scalars [], and random ones; the value is
 * the next state.
 */
export interface IterativeSampler {
  readonly steps: number;
  /** Where it starts: gaussian noise, or zeros. */
  readonly start: 'normal' | 'zeros';
  /** Random inputs that have one value for all steps of a sample; others are drawn anew in each step. */
  readonly fixed?: readonly string[];
  /** The graph of one step; `temperature` scales the noise. */
  step(scope: Scope, temperature: number): Value;
  /** Values of the scalar inputs at step k = 0..steps - 1. */
  scalars(k: number): Readonly<Record<string, number>>;
  /** From the last state to pixels 0..255, as a graph. */
  toPixels(state: Value): Value;
}

/** What an architecture models: images [c, h, w] of pixels 0..255, or sequences [length] of bytes. */
export type DataKind = 'images' | 'bytes';

/**
 * A bound that is the sum of many runs of one graph. Inputs: 'x' as for the loss, scalars [], and random ones; the
 * value is one term.
 */
export interface IterativeBound {
  readonly terms: number;
  term(scope: Scope): Value;
  /** Values of the scalar inputs for term k = 0..terms - 1. */
  scalars(k: number): Readonly<Record<string, number>>;
}

/** The loss that norms are taken of, where it is not the one of training. */
export interface Scorer {
  /** What was asked for, with defaults filled in: part of the model's hash. */
  readonly scoring: Readonly<Record<string, unknown>>;
  /** Whether the loss is a bound on the negative log-likelihood of discrete data, in nats. */
  readonly isBound: boolean;
  /**
   * Where nothing was asked for: other losses of the same model that see something else in an input, this one among
   * them, by short names. A detector that can judges by all.
   */
  readonly aspects?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  loss(data: Shape, scope: Scope): Value;
  /** The same with its parts. */
  split(data: Shape, scope: Scope): Loss;
}

/**
 * A family of models as graphs: loss in nats and sampler, for a configuration and data of shape [c, h, w] (pixels) or
 * [length] (bytes).
 */
export interface Architecture<Config> {
  readonly name: string;
  readonly takes: DataKind;
  /** What the loss of training is where it is no likelihood: it is then reported per dimension, not in bits/dim. */
  readonly lossName?: string;
  /** Checks a configuration (from JSON or flags) for data of this shape; fills in defaults; throws ModelError. */
  configure(input: unknown, data: Shape): Config;
  /** The inputs ('x' raw pixels or bytes 0..255 of shape [1, ...data], and random ones) and the loss. */
  loss(config: Config, data: Shape, scope: Scope): Loss;
  /**
   * Checks how examples are to be scored (from JSON or flags; `{}` is the default); throws ModelError. Left out: by the
   * loss of training.
   */
  scorer?(config: Config, input: unknown): Scorer;
  /** The bound without sampling of its terms, for reports; no gradient is needed of it. */
  bound?(config: Config, data: Shape): IterativeBound;
  /**
   * The sampler as a graph: random inputs only, output 'x' [1, c, h, w] in pixel units 0..255 (not yet rounded).
   * Every architecture has this sampler or the iterative one.
   */
  sample?(config: Config, data: Shape, scope: Scope, weights: Weights, how: Sampling): Value;
  /** The sampler as many runs of a graph; of `steps` runs where the architecture leaves the choice. */
  iterativeSampler?(config: Config, data: Shape, steps?: number): IterativeSampler;
}
