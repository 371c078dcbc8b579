// Every ONNX operator that can be imported.

import { attentionOperators } from './attention.ts';
import type { Operators } from './context.ts';
import { controlOperators } from './control.ts';
import { elementwiseOperators } from './elementwise.ts';
import { linearOperators } from './linear.ts';
import { recurrentOperators } from './recurrent.ts';
import { reduceOperators } from './reduce.ts';
import { selectOperators } from './select.ts';
import { sequenceOperators } from './sequence.ts';
import { shapeOperators } from './shape.ts';

export const operators: Operators = {
  ...elementwiseOperators,
  ...shapeOperators,
  ...reduceOperators,
  ...linearOperators,
  ...selectOperators,
  ...recurrentOperators,
  ...attentionOperators,
  ...sequenceOperators,
  ...controlOperators,
};

/** Those whose results do not vary smoothly with any operand: comparisons, roundings, shapes, indices. */
export const withoutGradient: ReadonlySet<string> = new Set([
  'And',
  'ArgMax',
  'ArgMin',
  'CastLike',
  'Ceil',
  'Constant',
  'ConstantOfShape',
  'Equal',
  'EyeLike',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'Hardmax',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'NonZero',
  'Not',
  'OneHot',
  'Or',
  'Range',
  'Round',
  'SequenceEmpty',
  'SequenceLength',
  'Shape',
  'Sign',
  'Size',
  'Xor',
]);

export { type Importer, NodeContext, type Operator, Sequence } from './context.ts';
