// What a built-in architecture provides: its configuration, its per-example loss as a graph, and its sampler.

import type { Value } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Scope } from './scope.ts';

/** The per-example negative log-likelihood (or a bound) in nats, [], and named parts of it for the training log. */
export interface Loss {
  readonly nll: Value;
  readonly parts: Readonly<Record<string, Value>>;
}

/** Weights by parameter name: row-major float32, with shapes. */
export type Weights = Readonly<Record<string, { readonly shape: Shape; readonly data: Float32Array }>>;

/** A sampler that runs one graph many times. Inputs: 'state' [1, ...data] and scalars [], and random ones; the value is the next state. */
export interface IterativeSampler {
  readonly steps: number;
  /** Where it starts: gaussian noise, or zeros. */
  readonly start: 'normal' | 'zeros';
  /** The graph of one step; `temperature` scales the noise. */
  step(scope: Scope, temperature: number): Value;
  /** Values of the scalar inputs at step k = 0..steps - 1. */
  scalars(k: number): Readonly<Record<string, number>>;
  /** From the last state to pixels 0..255, as a graph. */
  pixels(state: Value): Value;
}

/** What an architecture models: images [c, h, w] of pixels 0..255, or sequences [length] of bytes. */
export type DataKind = 'images' | 'bytes';

export interface Architecture<Config> {
  readonly name: string;
  readonly takes: DataKind;
  /** Checks a configuration (from JSON or flags) for data of this shape; fills in defaults; throws ModelError. */
  configure(input: unknown, data: Shape): Config;
  /** The inputs ('x' raw pixels or bytes 0..255 of shape [1, ...data], and random ones) and the loss. */
  loss(config: Config, data: Shape, scope: Scope): Loss;
  /**
   * The sampler as a graph: random inputs only, output 'x' [1, c, h, w] in pixel units 0..255 (not yet rounded).
   * `temperature` scales the standard deviation of the latents. Either this or `iterativeSampler`.
   */
  sample?(config: Config, data: Shape, scope: Scope, weights: Weights, temperature: number): Value;
  iterativeSampler?(config: Config, data: Shape): IterativeSampler;
}
