// Parameters of models by name, wherever they come from and whatever is done with them.

import type { Shape } from './shape.ts';

export interface WeightTensor {
  readonly shape: Shape;
  /** In C order. */
  readonly data: Float32Array;
}

/** Parameters by name. */
export type Weights = Readonly<Record<string, WeightTensor>>;
