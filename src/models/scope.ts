// Where a model gets its parameters from while its graph is built: training, scoring and data-dependent
// initialisation build the same model with different scopes.

import type { Arena, Value } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';

/**
 * How a parameter starts out. `values` and `computed` are row-major; `computed` is for what is not drawn element by
 * element (parameters that are factors of one random matrix) and must depend on the seed alone.
 */
export type Init =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'values'; readonly data: ArrayLike<number> }
  | { readonly kind: 'computed'; values(seed: number): ArrayLike<number> };

/** A parameter that a model has asked its scope for: name, shape, how it starts out. */
export interface ParamSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly init: Init;
  /** Buffers (false) are saved with the model but neither learned nor scored. */
  readonly trainable: boolean;
}

/**
 * Where a model under construction gets its parameters from, by name: constants, inputs or shapes alone, as the scope
 * will have it.
 */
export interface Scope {
  readonly arena: Arena;
  /** The parameter `name` below this scope's prefix, of the given shape. */
  param(name: string, shape: Shape, init: Init, options?: { readonly trainable?: boolean }): Value;
  /** The scope with `name.` before every parameter's name. */
  in(name: string): Scope;
  /**
   * Data-dependent initialisation (actnorm): set while one large batch runs through the model to find initial values.
   * `examples` is the number of examples in that batch, all of one group. `found` takes the initial value of a
   * parameter of this scope, computed from the batch (lead 'group'), and returns what the model goes on with (lead
   * 'example').
   */
  readonly dataInit?: DataInit;
}

/** The batch that parameters which start from data are initialised with, and where their values go. */
export interface DataInit {
  readonly examples: number;
  found(name: string, value: Value): Value;
}
