// Attributes of a convolution, for the op's three faces.

import type { Attrs, ValueType } from '../graph/index.ts';

export interface ConvAttrs extends Attrs {
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
}

export const attrsOf = (attrs: Attrs): ConvAttrs => attrs as ConvAttrs;
export const onnxAttrs = (a: ConvAttrs) => ({
  strides: a.strides,
  pads: a.pads,
  dilations: a.dilations,
  group: a.groups,
});

export const typeOf = (y: ValueType): ValueType => ({ shape: y.shape, dtype: y.dtype });
