// For every ONNX operator, ways to call it.

import type { Attr, Operand } from '../support/onnx.ts';

export interface Configuration {
  readonly operands: readonly (Operand | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  readonly opset?: number;
  readonly outputs?: number;
}

const f = (...shape: number[]): Operand => ({ shape });
const pos = (...shape: number[]): Operand => ({ shape, positive: true });
const ints = (...data: number[]): Operand => ({ shape: [data.length], data, dtype: 'int' });
const int = (value: number): Operand => ({ shape: [], data: [value], dtype: 'int' });
const float = (value: number): Operand => ({ shape: [], data: [value] });
const floats = (...data: number[]): Operand => ({ shape: [data.length], data });
const bools = (shape: number[], ...data: number[]): Operand => ({ shape, data, dtype: 'bool' });

const unary: Configuration[] = [{ operands: [f(2, 3)] }, { operands: [f(1, 2, 1, 3)] }, { operands: [f()] }];
const positiveUnary: Configuration[] = [{ operands: [pos(2, 3)] }, { operands: [pos()] }];
const binary: Configuration[] = [
  { operands: [f(2, 3), f(2, 3)] },
  { operands: [f(2, 1, 3), f(4, 1)] },
  { operands: [f(), f(1, 3)] },
];
const several: Configuration[] = [...binary, { operands: [f(2, 3)] }, { operands: [f(2, 3), f(3), f(1, 1)] }];
const comparison: Configuration[] = [...binary, { operands: [ints(1, 2, 3), ints(3, 2, 1)] }];
const logical: Configuration[] = [{ operands: [bools([2, 2], 0, 0, 1, 1), bools([2], 0, 1)] }];
const reductions: Configuration[] = [
  { operands: [f(2, 3, 4)] },
  { operands: [f(2, 3, 4), ints(1)] },
  { operands: [f(2, 3, 4), ints(-1, 0)], attrs: { keepdims: 0 } },
  { operands: [f(2, 3, 4)], attrs: { axes: [1], keepdims: 0 }, opset: 11 },
  { operands: [f(2, 3)], attrs: { noop_with_empty_axes: 1 } },
];
const oldReductions = reductions.map((c) =>
  c.operands.length > 1 || c.attrs?.noop_with_empty_axes ? { ...c, opset: 18 } : c,
);
const image = (c = 2, ...space: number[]) => f(1, c, ...(space.length > 0 ? space : [5, 6]));

const convolutions: Configuration[] = [
  { operands: [image(), f(3, 2, 3, 3)] },
  { operands: [image(), f(3, 2, 3, 2), f(3)], attrs: { pads: [1, 0, 1, 1], strides: [2, 1], dilations: [1, 2] } },
  { operands: [image(4), f(6, 2, 2, 3)], attrs: { group: 2, auto_pad: 'SAME_UPPER', strides: [2, 2] } },
  { operands: [image(2), f(2, 1, 3, 3)], attrs: { group: 2, auto_pad: 'SAME_LOWER' } },
  { operands: [image(2), f(2, 2, 3, 3)], attrs: { auto_pad: 'VALID' } },
  { operands: [f(1, 2, 7), f(3, 2, 3)], attrs: { dilations: [2], pads: [2, 2] } },
  { operands: [f(1, 2, 3, 4, 3), f(2, 2, 2, 2, 2)] },
];
const transposedConvolutions: Configuration[] = [
  { operands: [image(), f(2, 3, 3, 3)] },
  { operands: [image(), f(2, 3, 4, 4), f(3)], attrs: { strides: [2, 2], pads: [1, 1, 1, 1] } },
  { operands: [image(4), f(4, 1, 3, 3)], attrs: { group: 2, strides: [2, 3], output_padding: [1, 2] } },
  { operands: [f(1, 2, 4), f(2, 2, 3)], attrs: { strides: [2], output_shape: [9] } },
  { operands: [f(1, 2, 4), f(2, 2, 3)], attrs: { dilations: [2], pads: [1, 0] } },
  { operands: [f(1, 1, 2, 3, 2), f(1, 2, 2, 2, 2)], attrs: { strides: [2, 1, 2] } },
];
const pools: Configuration[] = [
  { operands: [image()], attrs: { kernel_shape: [2, 2], strides: [2, 2] } },
  { operands: [image()], attrs: { kernel_shape: [3, 2], pads: [1, 0, 1, 1], strides: [2, 1] } },
  { operands: [image()], attrs: { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 } },
  { operands: [image()], attrs: { kernel_shape: [3, 3], auto_pad: 'SAME_UPPER', strides: [2, 2] } },
  { operands: [f(1, 2, 7)], attrs: { kernel_shape: [3], strides: [2] } },
  { operands: [f(1, 1, 3, 4, 3)], attrs: { kernel_shape: [2, 2, 2] } },
];
const empty: Operand = { shape: [0], data: [] };
const resizes: Configuration[] = [
  { operands: [image(), empty, floats(1, 1, 2, 3)], attrs: { mode: 'nearest' } },
  { operands: [image(), undefined, undefined, ints(1, 2, 7, 4)], attrs: { mode: 'linear' } },
  ...['half_pixel', 'align_corners', 'asymmetric', 'pytorch_half_pixel'].flatMap((rule): Configuration[] => [
    {
      operands: [image(), undefined, floats(1, 1, 1.6, 0.7)],
      attrs: { mode: 'linear', coordinate_transformation_mode: rule },
    },
    {
      operands: [image(), undefined, floats(1, 1, 2, 2)],
      attrs: { mode: 'cubic', coordinate_transformation_mode: rule },
    },
  ]),
  ...['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map(
    (rounding): Configuration => ({
      operands: [image(), undefined, floats(1, 1, 1.5, 0.6)],
      attrs: { mode: 'nearest', nearest_mode: rounding, coordinate_transformation_mode: 'asymmetric' },
    }),
  ),
  {
    operands: [image(), undefined, floats(1, 1, 0.8, 1.7)],
    attrs: { mode: 'cubic', exclude_outside: 1, cubic_coeff_a: { float: -0.5 } },
  },
];

/**
 * A layer of 3 units over 4 steps of 2 sequences of 5 numbers, in every direction, with and without what may be left
 * out.
 */
function recurrent(gates: number, starts: (dirs: number, N: number) => Operand[]): Configuration[] {
  const operands = (dirs: number, N = 2) => [f(4, N, 5), f(dirs, 3 * gates, 5), f(dirs, 3 * gates, 3)];
  const attrs = { hidden_size: 3 };
  const outputs = gates === 4 ? 3 : 2;
  return [
    { operands: operands(1), attrs, outputs },
    { operands: [...operands(1), f(1, 6 * gates)], attrs: { ...attrs, direction: 'reverse' }, outputs },
    {
      operands: [...operands(2), f(2, 6 * gates), undefined, ...starts(2, 2)],
      attrs: { ...attrs, direction: 'bidirectional' },
      outputs,
    },
    { operands: [f(1, 4, 5), ...operands(1, 1).slice(1)].map((o, i) => (i === 0 ? f(4, 1, 5) : o)), attrs, outputs },
  ];
}

export const cases: Readonly<Record<string, readonly Configuration[]>> = {
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: [...binary, { operands: [ints(7, -7, 9), ints(2, 2, 3)] }],
  Mod: [{ operands: [ints(7, -7, 9, 7), ints(3, 3, -4, -3)] }, { operands: [f(2, 3), f(3)], attrs: { fmod: 1 } }],
  Pow: [{ operands: [pos(2, 3), f(3)] }, { operands: [f(2, 3), float(2)] }, { operands: [f(2, 3), float(3)] }],
  Max: several,
  Min: several,
  Sum: several,
  Mean: several,
  Neg: unary,
  Abs: unary,
  Exp: unary,
  Log: positiveUnary,
  Sqrt: positiveUnary,
  Reciprocal: unary,
  Sin: unary,
  Cos: unary,
  Tan: unary,
  Asin: [{ operands: [floats(-0.7, 0.1, 0.6)] }],
  Acos: [{ operands: [{ shape: [3], data: [-0.7, 0.1, 0.6] }] }],
  Atan: unary,
  Sinh: unary,
  Cosh: unary,
  Asinh: unary,
  Acosh: [{ operands: [{ shape: [3], data: [1.1, 2, 5] }] }],
  Atanh: [{ operands: [{ shape: [3], data: [-0.7, 0.1, 0.6] }] }],
  Erf: unary,
  Sign: unary,
  Floor: unary,
  Ceil: unary,
  Round: [...unary, { operands: [floats(0.5, 1.5, 2.5, -0.5, -1.5)] }],
  Relu: unary,
  Sigmoid: unary,
  Tanh: unary,
  Softplus: unary,
  Softsign: unary,
  LeakyRelu: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 0.3 } } }],
  PRelu: [{ operands: [f(2, 3), f(2, 3)] }, { operands: [image(), f(2, 1, 1)] }],
  ThresholdedRelu: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 0.2 } } }],
  Elu: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 0.4 } } }],
  Selu: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 1.2 }, gamma: { float: 2 } } }],
  Celu: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 0.4 } } }],
  Gelu: [
    { operands: [f(2, 3)], opset: 20 },
    { operands: [f(2, 3)], attrs: { approximate: 'tanh' }, opset: 20 },
  ],
  HardSigmoid: [...unary, { operands: [f(2, 3)], attrs: { alpha: { float: 0.4 }, beta: { float: 0.1 } } }],
  HardSwish: unary,
  Mish: unary,
  Swish: [
    { operands: [f(2, 3)], opset: 24 },
    { operands: [f(2, 3)], attrs: { alpha: { float: 1.5 } }, opset: 24 },
  ],
  Clip: [
    { operands: [f(2, 3), float(-0.5), float(0.7)] },
    { operands: [f(2, 3), undefined, float(0.2)] },
    { operands: [f(2, 3)], attrs: { min: { float: -0.2 }, max: { float: 0.9 } }, opset: 6 },
  ],
  Cast: [
    { operands: [f(2, 3)], attrs: { to: 1 } },
    { operands: [ints(1, -2)], attrs: { to: 1 } },
    { operands: [floats(1.7, -1.7)], attrs: { to: 7 } },
    { operands: [floats(0, -1.7)], attrs: { to: 9 } },
    { operands: [bools([2], 0, 1)], attrs: { to: 1 } },
  ],
  CastLike: [{ operands: [ints(1, -2), floats(1)] }],
  Less: comparison,
  Greater: comparison,
  LessOrEqual: comparison,
  GreaterOrEqual: comparison,
  Equal: [...comparison, ...logical],
  And: logical,
  Or: logical,
  Xor: logical,
  Not: [{ operands: [bools([2], 0, 1)] }],
  IsNaN: unary,
  IsInf: unary,
  Where: [{ operands: [bools([2, 1], 0, 1), f(2, 3), f(3)] }, { operands: [bools([3], 0, 1, 1), f(), f(2, 1)] }],
  Identity: unary,
  Dropout: [{ operands: [f(2, 3)] }],
  Shape: [{ operands: [f(2, 3)] }, { operands: [f(2, 3, 4)], attrs: { start: -2, end: 3 } }],
  Size: [{ operands: [f(2, 3)] }],
  Reshape: [{ operands: [f(2, 3), ints(3, -1)] }, { operands: [f(1, 2, 3), ints(0, 6)] }],
  Flatten: [
    { operands: [f(2, 3, 4)] },
    { operands: [f(2, 3, 4)], attrs: { axis: -1 } },
    { operands: [f(2, 3)], attrs: { axis: 0 } },
  ],
  Squeeze: [
    { operands: [f(1, 3, 1)] },
    { operands: [f(1, 3, 1), ints(-1)] },
    { operands: [f(1, 3, 1)], attrs: { axes: [0] }, opset: 11 },
  ],
  Unsqueeze: [{ operands: [f(3), ints(0, -1)] }, { operands: [f(3, 2)], attrs: { axes: [1] }, opset: 11 }],
  Transpose: [
    { operands: [f(2, 3, 4)] },
    { operands: [f(2, 3, 4)], attrs: { perm: [1, 0, 2] } },
    { operands: [f(1, 3, 4)], attrs: { perm: [0, 2, 1] } },
  ],
  Concat: [
    { operands: [f(2, 3), f(1, 3)], attrs: { axis: 0 } },
    { operands: [f(2, 3), f(2, 1), f(2, 2)], attrs: { axis: -1 } },
    { operands: [f(1, 3), f(1, 3)], attrs: { axis: 0 } },
  ],
  Split: [
    { operands: [f(4, 3)], outputs: 2, opset: 13 },
    { operands: [f(2, 5), ints(2, 3)], attrs: { axis: 1 }, outputs: 2, opset: 13 },
    { operands: [f(2, 5)], attrs: { axis: 1, split: [1, 4] }, outputs: 2, opset: 11 },
    { operands: [f(2, 5)], attrs: { axis: -1, num_outputs: 2 }, outputs: 2 },
  ],
  Slice: [
    { operands: [f(4, 5), ints(1, 0), ints(3, 4)] },
    { operands: [f(4, 5), ints(-1), ints(-10), ints(1), ints(-2)] },
    { operands: [f(4, 5), ints(0), ints(99), ints(-2), ints(3)] },
    { operands: [f(4, 5)], attrs: { starts: [1], ends: [4], axes: [1] }, opset: 9 },
  ],
  Expand: [{ operands: [f(3, 1), ints(2, 1, 4)] }, { operands: [f(2, 3), ints(1)] }],
  Tile: [{ operands: [f(2, 3), ints(2, 3)] }, { operands: [f(1, 3), ints(1, 2)] }],
  Pad: [
    { operands: [f(2, 3), ints(1, 0, 0, 2)] },
    { operands: [f(2, 3), ints(0, 1, 2, 1), float(1.5)] },
    { operands: [f(3, 4), ints(1, 2, 2, 1)], attrs: { mode: 'reflect' } },
    { operands: [f(3, 4), ints(1, 2, 2, 1)], attrs: { mode: 'edge' } },
    { operands: [f(3, 4), ints(1, 2, 2, 1)], attrs: { mode: 'wrap' }, opset: 19 },
    { operands: [f(3, 4), ints(-1, 1, 0, -2)] },
    { operands: [f(3, 4), ints(2, 1), undefined, ints(1)] },
    { operands: [f(2, 3)], attrs: { pads: [0, 1, 0, 1], value: { float: 2 } }, opset: 10 },
  ],
  Gather: [
    { operands: [f(4, 3), ints(2, 0, -1)] },
    { operands: [f(2, 4, 3), { shape: [2, 2], data: [1, 0, 3, 3], dtype: 'int' }], attrs: { axis: 1 } },
    { operands: [f(4, 3), int(1)], attrs: { axis: -1 } },
    { operands: [ints(5, 6, 7), ints(2, 0)] },
  ],
  GatherElements: [
    { operands: [f(3, 4), { shape: [2, 4], data: [0, 2, 1, 0, 2, 2, -1, 1], dtype: 'int' }] },
    { operands: [f(3, 4), { shape: [3, 2], data: [0, 3, 1, 0, 2, 2], dtype: 'int' }], attrs: { axis: 1 } },
  ],
  GatherND: [
    { operands: [f(2, 3, 4), { shape: [2, 2], data: [0, 1, 1, 2], dtype: 'int' }] },
    { operands: [f(2, 3, 4), { shape: [2, 1], data: [1, 2], dtype: 'int' }], attrs: { batch_dims: 1 } },
  ],
  ScatterElements: [
    { operands: [f(3, 3), { shape: [2, 3], data: [1, 0, 2, 0, 2, 1], dtype: 'int' }, f(2, 3)] },
    {
      operands: [f(2, 5), { shape: [2, 2], data: [1, 3, 0, -1], dtype: 'int' }, f(2, 2)],
      attrs: { axis: 1, reduction: 'add' },
    },
    ...['mul', 'max', 'min'].map((reduction) => ({
      operands: [f(3, 3), { shape: [2, 2], data: [1, 0, 1, 2], dtype: 'int' as const }, f(2, 2)],
      attrs: { reduction },
    })),
  ],
  Scatter: [{ operands: [f(3, 3), { shape: [1, 3], data: [1, 0, 2], dtype: 'int' }, f(1, 3)], opset: 10 }],
  ScatterND: [
    { operands: [f(4, 3), { shape: [2, 1], data: [3, 1], dtype: 'int' }, f(2, 3)] },
    { operands: [f(4, 3), { shape: [2, 2], data: [3, 1, 0, 0], dtype: 'int' }, f(2)], attrs: { reduction: 'add' } },
    ...['mul', 'max', 'min'].map((reduction) => ({
      operands: [f(4, 3), { shape: [3, 1], data: [3, 1, 3], dtype: 'int' as const }, f(3, 3)],
      attrs: { reduction },
    })),
  ],
  Trilu: [
    { operands: [f(3, 4)] },
    { operands: [f(2, 3, 3), int(-1)], attrs: { upper: 0 } },
    { operands: [f(4, 3), int(1)] },
  ],
  DepthToSpace: [
    { operands: [f(1, 8, 2, 3)], attrs: { blocksize: 2 } },
    { operands: [f(1, 8, 2, 3)], attrs: { blocksize: 2, mode: 'CRD' } },
  ],
  SpaceToDepth: [{ operands: [f(1, 2, 4, 6)], attrs: { blocksize: 2 } }],
  CumSum: [
    { operands: [f(2, 4), int(1)] },
    { operands: [f(3, 2), int(0)], attrs: { exclusive: 1 } },
    { operands: [f(2, 4), int(-1)], attrs: { reverse: 1 } },
    { operands: [f(2, 4), int(-1)], attrs: { reverse: 1, exclusive: 1 } },
  ],
  OneHot: [
    { operands: [ints(0, 2, -1), int(3), floats(0.5, 2)] },
    { operands: [ints(0, 2), int(3), floats(0, 1)], attrs: { axis: 0 } },
  ],
  Range: [{ operands: [int(2), int(9), int(3)] }, { operands: [float(0), float(1), float(0.3)] }],
  ConstantOfShape: [{ operands: [ints(2, 3)] }],
  EyeLike: [{ operands: [f(3, 4)], attrs: { k: 1 } }],
  MatMul: [
    { operands: [f(2, 3), f(3, 4)] },
    { operands: [f(3), f(3, 4)] },
    { operands: [f(2, 3), f(3)] },
    { operands: [f(2, 1, 2, 3), f(4, 3, 2)] },
    { operands: [f(1, 5, 3), f(3, 2)] },
    { operands: [f(3), f(3)] },
  ],
  Gemm: [
    { operands: [f(2, 3), f(3, 4), f(4)] },
    {
      operands: [f(3, 2), f(4, 3), f(2, 1)],
      attrs: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
    },
    { operands: [f(1, 3), f(4, 3)], attrs: { transB: 1 } },
  ],
  Einsum: [
    { operands: [f(2, 3), f(3, 4)], attrs: { equation: 'ij,jk->ik' } },
    { operands: [f(2, 3, 4), f(2, 4, 5)], attrs: { equation: 'bij,bjk->bik' } },
    { operands: [f(1, 2, 3, 4), f(1, 2, 5, 4)], attrs: { equation: 'bhid,bhjd->bhij' } },
    { operands: [f(2, 3)], attrs: { equation: 'ij->ji' } },
    { operands: [f(3, 4), f(3, 4)], attrs: { equation: 'ij,ij->' } },
    { operands: [f(2, 3), f(4)], attrs: { equation: 'ij,k->ijk' } },
    { operands: [f(2, 3, 4), f(4, 5)], attrs: { equation: '...i,ij->...j' } },
    { operands: [f(3, 2, 3), f(3)], attrs: { equation: 'iji,i->ji' } },
    { operands: [f(3, 3)], attrs: { equation: 'ii' } },
  ],
  Conv: convolutions,
  ConvTranspose: transposedConvolutions,
  MaxPool: [...pools, { operands: [image()], attrs: { kernel_shape: [2, 2], dilations: [2, 2] } }],
  AveragePool: [
    ...pools,
    { operands: [image()], attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 } },
  ],
  LpPool: [
    { operands: [image()], attrs: { kernel_shape: [2, 2], strides: [2, 2] } },
    { operands: [image()], attrs: { kernel_shape: [2, 3], p: 1 } },
  ],
  GlobalAveragePool: [{ operands: [image()] }, { operands: [f(1, 2, 5)] }],
  GlobalMaxPool: [{ operands: [image()] }],
  GlobalLpPool: [{ operands: [image()] }],
  Resize: resizes,
  Upsample: [{ operands: [image(), floats(1, 1, 2, 2)], opset: 9 }],
  BatchNormalization: [{ operands: [image(), f(2), f(2), f(2), floats(0.5, 1.7)] }],
  InstanceNormalization: [
    { operands: [image(), f(2), f(2)] },
    { operands: [f(1, 3, 4), f(3), f(3)], attrs: { epsilon: { float: 0.1 } } },
  ],
  GroupNormalization: [{ operands: [image(4), f(4), f(4)], attrs: { num_groups: 2 }, opset: 21 }],
  LayerNormalization: [
    { operands: [f(2, 3, 4), f(4), f(4)] },
    { operands: [f(2, 3, 4), f(3, 4)], attrs: { axis: 1, epsilon: { float: 0.01 } } },
  ],
  RMSNormalization: [{ operands: [f(2, 3, 4), f(4)], opset: 23 }],
  LRN: [
    { operands: [image(5)], attrs: { size: 3 } },
    { operands: [image(4)], attrs: { size: 5, alpha: { float: 0.3 }, beta: { float: 0.6 }, bias: { float: 2 } } },
  ],
  LpNormalization: [{ operands: [f(2, 3)] }, { operands: [f(2, 3)], attrs: { p: 1, axis: 0 } }],
  MeanVarianceNormalization: [{ operands: [image()] }],
  Softmax: [
    { operands: [f(2, 3, 4)] },
    { operands: [f(2, 3, 4)], attrs: { axis: 1 } },
    { operands: [f(2, 3, 4)], attrs: { axis: 1 }, opset: 11 },
    { operands: [f(1, 3)], attrs: { axis: 0 } },
  ],
  LogSoftmax: [
    { operands: [f(2, 3, 4)] },
    { operands: [f(2, 3, 4)], attrs: { axis: 0 } },
    { operands: [f(2, 3)], opset: 11 },
  ],
  Hardmax: [{ operands: [f(2, 4)] }],
  SoftmaxCrossEntropyLoss: [
    { operands: [f(3, 5), ints(1, 0, 4)] },
    { operands: [f(3, 5), ints(1, 0, 4), floats(1, 2, 0.5, 1, 3)] },
    { operands: [f(3, 5), ints(1, 0, 4)], attrs: { reduction: 'sum' } },
    {
      operands: [f(2, 3, 4), { shape: [2, 4], data: [0, 2, 1, 1, 2, 0, 2, 1], dtype: 'int' }],
      attrs: { reduction: 'none', ignore_index: 2 },
    },
  ],
  NegativeLogLikelihoodLoss: [
    { operands: [f(3, 5), ints(1, 0, 4)] },
    {
      operands: [f(2, 3, 4), { shape: [2, 4], data: [0, 2, 1, 1, 2, 0, 2, 1], dtype: 'int' }],
      attrs: { ignore_index: 2 },
    },
  ],
  ReduceSum: reductions
    .filter((c) => !(c.operands.length === 2 && c.opset))
    .map((c) => (c.opset ? c : { ...c, opset: 13 })),
  ReduceMean: oldReductions,
  ReduceMax: oldReductions,
  ReduceMin: oldReductions,
  ReduceProd: [...oldReductions, { operands: [ints(3, 4, 5), ints(0)] }],
  ReduceSumSquare: oldReductions,
  ReduceL1: oldReductions,
  ReduceL2: oldReductions,
  ReduceLogSum: [{ operands: [pos(2, 3)] }, { operands: [pos(2, 3), ints(1)] }],
  ReduceLogSumExp: oldReductions,
  ArgMax: [
    { operands: [f(2, 4)], attrs: { axis: 1 } },
    { operands: [f(3, 4)], attrs: { keepdims: 0 } },
  ],
  ArgMin: [{ operands: [f(2, 4)], attrs: { axis: 1 } }],
  TopK: [
    { operands: [f(2, 5), ints(3)], outputs: 2 },
    { operands: [f(5, 2), ints(2)], attrs: { axis: 0, largest: 0 }, outputs: 2 },
  ],
  Shrink: [...unary, { operands: [f(2, 3)], attrs: { lambd: { float: 0.3 }, bias: { float: 0.2 } } }],
  LSTM: recurrent(4, (dirs, N) => [f(dirs, N, 3), f(dirs, N, 3), f(dirs, 9)]),
  GRU: [
    ...recurrent(3, (dirs, N) => [f(dirs, N, 3)]),
    {
      operands: [f(4, 2, 5), f(1, 9, 5), f(1, 9, 3), f(1, 18)],
      attrs: { hidden_size: 3, linear_before_reset: 1 },
      outputs: 2,
    },
  ],
  RNN: [
    ...recurrent(1, (dirs, N) => [f(dirs, N, 3)]),
    {
      operands: [f(4, 2, 5), f(1, 3, 5), f(1, 3, 3)],
      attrs: { hidden_size: 3, activations: { strings: ['Relu'] } },
      outputs: 2,
    },
  ],
  Attention: [
    { operands: [f(1, 2, 4, 3), f(1, 2, 5, 3), f(1, 2, 5, 3)], opset: 23 },
    {
      operands: [f(2, 4, 6), f(2, 4, 6), f(2, 4, 6)],
      attrs: { q_num_heads: 2, kv_num_heads: 2, is_causal: 1 },
      opset: 23,
    },
    { operands: [f(1, 4, 3, 2), f(1, 2, 5, 2), f(1, 2, 5, 2), f(3, 5)], attrs: { scale: { float: 0.3 } }, opset: 23 },
    {
      operands: [f(1, 2, 3, 2), f(1, 2, 3, 2), f(1, 2, 3, 2), bools([3, 3], 1, 0, 0, 1, 1, 0, 1, 0, 1)],
      attrs: { softcap: { float: 2 } },
      opset: 23,
    },
  ],
  RotaryEmbedding: [
    { operands: [f(1, 2, 3, 4), f(6, 2), f(6, 2), { shape: [1, 3], data: [0, 2, 5], dtype: 'int' }], opset: 23 },
    { operands: [f(1, 2, 3, 4), f(1, 3, 2), f(1, 3, 2)], attrs: { interleaved: 1 }, opset: 23 },
    { operands: [f(2, 3, 8), f(2, 3, 1), f(2, 3, 1)], attrs: { num_heads: 2, rotary_embedding_dim: 2 }, opset: 23 },
  ],
  NonZero: [{ operands: [ints(0, 3, 0, 5)] }],
  GridSample: [
    { operands: [f(1, 2, 3, 4), f(1, 2, 2, 2)], opset: 16 },
    { operands: [f(1, 2, 4, 3), f(1, 3, 1, 2)], attrs: { mode: 'bicubic', align_corners: 1 }, opset: 16 },
    { operands: [f(1, 1, 3, 3), f(1, 2, 2, 2)], attrs: { padding_mode: 'border', align_corners: 1 }, opset: 16 },
    { operands: [f(1, 1, 3, 3), f(1, 2, 2, 2)], attrs: { mode: 'linear', padding_mode: 'reflection' }, opset: 20 },
    { operands: [f(1, 1, 2, 3, 2), f(1, 1, 2, 2, 3)], attrs: { mode: 'nearest' }, opset: 20 },
  ],
  AffineGrid: [
    { operands: [f(1, 2, 3), ints(1, 2, 3, 2)], opset: 20 },
    { operands: [f(1, 3, 4), ints(1, 1, 2, 2, 3)], attrs: { align_corners: 1 }, opset: 20 },
  ],
  DFT: [
    { operands: [f(1, 5, 1)], opset: 17 },
    { operands: [f(1, 2, 4, 2), int(6)], attrs: { axis: 2, inverse: 1 }, opset: 17 },
    { operands: [f(1, 6, 1), int(5), int(1)], attrs: { onesided: 1 }, opset: 20 },
  ],
  STFT: [
    { operands: [f(1, 7, 1), int(2), f(4)], opset: 17 },
    { operands: [f(2, 6, 1), int(3), undefined, int(3)], attrs: { onesided: 0 }, opset: 17 },
    { operands: [f(1, 6, 2), int(1), undefined, int(4)], attrs: { onesided: 0 }, opset: 17 },
  ],
  HannWindow: [
    { operands: [int(6)], opset: 17 },
    { operands: [int(5)], attrs: { periodic: 0 }, opset: 17 },
  ],
  HammingWindow: [{ operands: [int(6)], opset: 17 }],
  BlackmanWindow: [{ operands: [int(6)], attrs: { periodic: 0 }, opset: 17 }],
  MelWeightMatrix: [{ operands: [int(6), int(32), int(8000), float(50), float(3500)], opset: 17 }],
  Compress: [
    { operands: [f(3, 4), bools([3], 1, 0, 1)], attrs: { axis: 0 } },
    { operands: [f(2, 3), bools([5], 0, 1, 1, 0, 1)] },
    { operands: [f(2, 3), bools([2], 0, 1)], attrs: { axis: -1 } },
  ],
  Unique: [
    { operands: [ints(3, 1, 3, 2)], outputs: 4 },
    {
      operands: [{ shape: [3, 2], data: [1, 2, 0, 2, 1, 2], dtype: 'int' }],
      attrs: { axis: 0, sorted: 0 },
      outputs: 4,
    },
  ],
  ReverseSequence: [
    { operands: [f(4, 2, 3), ints(3, 1)] },
    { operands: [f(2, 4), ints(4, 2)], attrs: { batch_axis: 0, time_axis: 1 } },
  ],
  MaxUnpool: [
    {
      operands: [f(1, 2, 2, 1), { shape: [1, 2, 2, 1], data: [1, 6, 8, 15], dtype: 'int' }],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      operands: [f(1, 1, 3), { shape: [1, 1, 3], data: [0, 3, 4], dtype: 'int' }],
      attrs: { kernel_shape: [2], strides: [2] },
    },
  ],
  Col2Im: [
    { operands: [f(1, 8, 12), ints(4, 5), ints(2, 2)], opset: 18 },
    {
      operands: [f(2, 6, 6), ints(3, 4), ints(2, 3)],
      attrs: { strides: [2, 1], dilations: [1, 1], pads: [1, 0, 0, 1] },
      opset: 18,
    },
  ],
  CenterCropPad: [
    { operands: [f(5, 2), ints(2, 5)], opset: 18 },
    { operands: [f(2, 4, 3), ints(7)], attrs: { axes: [-2] }, opset: 18 },
  ],
  CumProd: [
    { operands: [f(2, 4), int(1)], opset: 26 },
    { operands: [f(3, 2), int(0)], attrs: { exclusive: 1 }, opset: 26 },
    { operands: [f(2, 4), int(-1)], attrs: { reverse: 1, exclusive: 1 }, opset: 26 },
  ],
  TensorScatter: [
    { operands: [f(2, 1, 4, 3), f(2, 1, 2, 3), ints(1, 2)], opset: 24 },
    { operands: [f(2, 4, 3), f(2, 3, 3), ints(3, 0)], attrs: { mode: 'circular' }, opset: 24 },
    { operands: [f(2, 3, 4), f(2, 3, 2)], attrs: { axis: 2 }, opset: 24 },
  ],
  BitwiseAnd: [{ operands: [ints(12, 10, -1), ints(10)], opset: 18 }],
  BitwiseOr: [{ operands: [ints(12, 10, -8), ints(3)], opset: 18 }],
  BitwiseXor: [{ operands: [ints(12, 10, -8), ints(6)], opset: 18 }],
  BitwiseNot: [{ operands: [ints(12, 0, -8)], opset: 18 }],
  BitCast: [{ operands: [floats(1, -0.5, 2)], attrs: { to: 6 }, opset: 26 }],
  QuantizeLinear: [{ operands: [floats(0.2, -3, 1.26, 500), float(0.5)], opset: 13 }],
  Det: [{ operands: [f(3, 3)] }, { operands: [f(2, 1, 1)] }, { operands: [f(2, 4, 4)] }],
};

/** Operators without operands or with bodies, or without a kernel in ONNX Runtime; tested elsewhere. */
export const notRunAlone: ReadonlySet<string> = new Set([
  'Constant',
  'Swish',
  'If',
  'Loop',
  'Scan',
  'ConcatFromSequence',
  'SequenceAt',
  'SequenceConstruct',
  'SequenceEmpty',
  'SequenceErase',
  'SequenceInsert',
  'SequenceLength',
  'SplitToSequence',
  'BitShift',
  'SequenceMap',
  'Optional',
  'OptionalGetElement',
  'OptionalHasElement',
  'DequantizeLinear',
  'Bernoulli',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);
