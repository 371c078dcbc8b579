// For every ONNX operator that can be imported, what makes configurations of it. The compiler asks for one for each.

import type { OperatorName } from '../../../src/onnx/index.ts';
import { bits } from './bits.ts';
import { control } from './control.ts';
import { elementwise } from './elementwise.ts';
import type { Generator } from './generator.ts';
import { linear } from './linear.ts';
import { placing } from './placing.ts';
import { recurrentAndAttention } from './recurrent.ts';
import { reduce } from './reduce.ts';
import { sampling } from './sampling.ts';
import { select } from './select.ts';
import { sequences } from './sequence.ts';
import { shape } from './shape.ts';
import { signal } from './signal.ts';

export const generators: Readonly<Record<OperatorName, Generator>> = {
  ...elementwise,
  ...shape,
  ...reduce,
  ...linear,
  ...select,
  ...recurrentAndAttention,
  ...control,
  ...sequences,
  ...sampling,
  ...placing,
  ...signal,
  ...bits,
};

/** How many times as many configurations as others an operator gets: those with many attributes. */
export const shares: Readonly<Partial<Record<OperatorName, number>>> = {
  Resize: 16,
  AveragePool: 8,
  MaxPool: 6,
  LpPool: 6,
  ConvTranspose: 8,
  Conv: 6,
  LSTM: 5,
  GRU: 5,
  RNN: 4,
  Attention: 5,
  Pad: 4,
  Slice: 3,
  Cast: 4,
  Einsum: 3,
  Upsample: 2,
  Split: 2,
  TopK: 3,
  ScatterElements: 3,
  ScatterND: 2,
  Clip: 3,
  Pow: 2,
  Mod: 2,
  OneHot: 2,
  Softmax: 2,
  LayerNormalization: 2,
  NegativeLogLikelihoodLoss: 2,
  SoftmaxCrossEntropyLoss: 2,
};
