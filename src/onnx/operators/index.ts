// Every ONNX operator that can be imported.

import { attentionOperators } from './attention.ts';
import { bitOperators } from './bits.ts';
import { constantOperators } from './constants.ts';
import type { Operators } from './context.ts';
import { controlOperators } from './control.ts';
import { elementwiseOperators } from './elementwise.ts';
import { gatherOperators } from './gather.ts';
import { linearOperators } from './linear.ts';
import { matrixOperators } from './matrices.ts';
import { quantisingOperators } from './quantise.ts';
import { randomOperators } from './random.ts';
import { recurrentOperators } from './recurrent.ts';
import { reduceOperators } from './reduce.ts';
import { runningOperators } from './running.ts';
import { samplingOperators } from './sampling.ts';
import { selectOperators } from './select.ts';
import { sequenceOperators } from './sequence.ts';
import { shapeOperators } from './shape.ts';
import { signalOperators } from './signal.ts';
import { unpoolOperators } from './unpool.ts';

const table = {
  ...elementwiseOperators,
  ...shapeOperators,
  ...constantOperators,
  ...gatherOperators,
  ...runningOperators,
  ...reduceOperators,
  ...linearOperators,
  ...selectOperators,
  ...recurrentOperators,
  ...attentionOperators,
  ...sequenceOperators,
  ...samplingOperators,
  ...matrixOperators,
  ...randomOperators,
  ...signalOperators,
  ...unpoolOperators,
  ...bitOperators,
  ...quantisingOperators,
  ...controlOperators,
} satisfies Operators;

/** For each the compiler asks for a generator of configurations (test/compare/). */
export type OperatorName = keyof typeof table;

export const operators: Operators = table;

/** Those whose results do not vary smoothly with any operand: comparisons, roundings, shapes, indices. */
export const withoutGradient: ReadonlySet<string> = new Set<OperatorName>([
  'And',
  'ArgMax',
  'ArgMin',
  'Bernoulli',
  'BitCast',
  'BitShift',
  'BitwiseAnd',
  'BitwiseNot',
  'BitwiseOr',
  'BitwiseXor',
  'BlackmanWindow',
  'CastLike',
  'Ceil',
  'Constant',
  'ConstantOfShape',
  'Equal',
  'EyeLike',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'HammingWindow',
  'HannWindow',
  'Hardmax',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'MelWeightMatrix',
  'Multinomial',
  'NonZero',
  'Not',
  'OneHot',
  'OptionalHasElement',
  'Or',
  'QuantizeLinear',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Range',
  'Round',
  'SequenceEmpty',
  'SequenceLength',
  'Shape',
  'Sign',
  'Size',
  'Unique',
  'Xor',
]);

export { type Importer, NodeContext, Sequence } from './context.ts';
export { drawsNumbers } from './random.ts';
