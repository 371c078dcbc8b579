// Every ONNX operator that can be imported.

import type { Operators } from './context.ts';
import { elementwiseOperators } from './elementwise.ts';
import { linearOperators } from './linear.ts';
import { reduceOperators } from './reduce.ts';
import { shapeOperators } from './shape.ts';

export const operators: Operators = {
  ...elementwiseOperators,
  ...shapeOperators,
  ...reduceOperators,
  ...linearOperators,
};

export { type Importer, NodeContext, type Operator } from './context.ts';
