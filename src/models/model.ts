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

export interface Architecture<Config> {
  readonly name: string;
  /** Checks a configuration (from JSON or flags) for data of shape [c, h, w]; fills in defaults; throws ModelError. */
  configure(input: unknown, data: Shape): Config;
  /** The inputs ('x' raw pixels 0..255 of shape [1, c, h, w], and random ones) and the loss. */
  loss(config: Config, data: Shape, scope: Scope): Loss;
  /**
   * The sampler as a graph: random inputs only, output 'x' [1, c, h, w] in pixel units 0..255 (not yet rounded).
   * `temperature` scales the standard deviation of the latents.
   */
  sample(config: Config, data: Shape, scope: Scope, weights: Weights, temperature: number): Value;
}
