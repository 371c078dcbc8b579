// A lowered graph before it becomes bytes: ONNX nodes, most with one output, typed inputs, constants and outputs.

import type { OnnxAttr } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';

export type OnnxDType = 'float' | 'int64' | 'bool';

export interface OnnxTensor {
  readonly name: string;
  readonly dims: Shape;
  readonly dtype: OnnxDType;
  readonly data: Float32Array | BigInt64Array | Uint8Array;
}

export interface OnnxValue {
  readonly name: string;
  readonly dims: Shape;
  readonly dtype: OnnxDType;
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Names of the outputs after the first. */
  readonly more?: readonly string[];
  readonly attrs: Readonly<Record<string, OnnxAttr>>;
}

export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
}
