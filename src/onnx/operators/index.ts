// Every ONNX operator that can be imported.

import type { Operators } from './context.ts';
import { elementwiseOperators } from './elementwise.ts';
import { linearOperators } from './linear.ts';
import { reduceOperators } from './reduce.ts';
import { selectOperators } from './select.ts';
import { shapeOperators } from './shape.ts';

export const operators: Operators = {
  ...elementwiseOperators,
  ...shapeOperators,
  ...reduceOperators,
  ...linearOperators,
  ...selectOperators,
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
  'Shape',
  'Sign',
  'Size',
  'Xor',
]);

export { type Importer, NodeContext, type Operator } from './context.ts';
