// For families of ONNX operators, random ways to call them: shapes, broadcast patterns, axes, windows.

import fc from 'fast-check';
import type { Operand } from '../support/onnx.ts';
import type { Configuration } from './cases.ts';

const f = (shape: readonly number[]): Operand => ({ shape });
const ints = (data: readonly number[]): Operand => ({ shape: [data.length], data, dtype: 'int' });
const dim = fc.integer({ min: 1, max: 4 });
const shape = fc.array(dim, { maxLength: 4 });
const filled = fc.array(dim, { minLength: 1, maxLength: 4 });

const unary: fc.Arbitrary<Configuration> = shape.map((s) => ({ operands: [f(s)] }));

/** Axes of the second are dropped in front or made 1, and sides may swap. */
const pair = fc
  .record({
    full: shape,
    ones: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    cut: fc.nat(4),
    swap: fc.boolean(),
  })
  .map(({ full, ones, cut, swap }): [number[], number[]] => {
    const part = full.map((d, i) => (ones[i] ? 1 : d)).slice(Math.min(cut, full.length));
    return swap ? [part, full] : [full, part];
  });
const binary: fc.Arbitrary<Configuration> = pair.map(([a, b]) => ({ operands: [f(a), f(b)] }));

const reduction: fc.Arbitrary<Configuration> = fc
  .record({
    s: filled,
    pick: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    keepdims: fc.nat(1),
    back: fc.boolean(),
  })
  .map(({ s, pick, keepdims, back }) => {
    const axes = [...s.keys()].filter((a) => pick[a]).map((a) => (back ? a - s.length : a));
    return { operands: axes.length === 0 ? [f(s)] : [f(s), ints(axes)], attrs: { keepdims } };
  });

const alongAxis: fc.Arbitrary<Configuration> = fc
  .record({ s: filled, pick: fc.nat(3), back: fc.boolean() })
  .map(({ s, pick, back }) => {
    const axis = pick % s.length;
    return { operands: [f(s)], attrs: { axis: back ? axis - s.length : axis } };
  });

const product: fc.Arbitrary<Configuration> = fc
  .record({ batch: pair, m: dim, k: dim, n: dim })
  .map(({ batch: [a, b], m, k, n }) => ({ operands: [f([...a.slice(-2), m, k]), f([...b.slice(-2), k, n])] }));

const two = (least: number, most: number) =>
  fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));

/** Windows that fit: two spatial axes, strides, dilations, padding, groups. */
const window = fc.record({
  groups: fc.integer({ min: 1, max: 2 }),
  inner: dim,
  outer: dim,
  space: two(4, 7),
  kernel: two(1, 3),
  strides: two(1, 3),
  dilations: two(1, 2),
  pads: fc.tuple(fc.nat(1), fc.nat(1), fc.nat(1), fc.nat(1)),
  biased: fc.boolean(),
});

const convolution: fc.Arbitrary<Configuration> = window.map((w) => ({
  operands: [
    f([1, w.groups * w.inner, ...w.space.map((d) => d + 1)]),
    f([w.groups * w.outer, w.inner, ...w.kernel]),
    ...(w.biased ? [f([w.groups * w.outer])] : []),
  ],
  attrs: { strides: w.strides, dilations: w.dilations, pads: w.pads, group: w.groups },
}));

const transposed: fc.Arbitrary<Configuration> = window.map((w) => ({
  operands: [
    f([1, w.groups * w.inner, 3, 4]),
    f([w.groups * w.inner, w.outer, ...w.kernel.map((k) => k + 1)]),
    ...(w.biased ? [f([w.groups * w.outer])] : []),
  ],
  attrs: { strides: w.strides, dilations: w.dilations, pads: w.pads, group: w.groups },
}));

/** Padding less than the kernel, as the operators ask. */
const pool: fc.Arbitrary<Configuration> = window.map((w) => ({
  operands: [f([1, w.inner, ...w.space])],
  attrs: { kernel_shape: w.kernel.map((k) => k + 1), strides: w.strides, pads: w.pads },
}));

const slicing: fc.Arbitrary<Configuration> = fc
  .record({ s: filled, start: fc.integer({ min: -5, max: 4 }), step: fc.constantFrom(1, 2, -1, -2), pick: fc.nat(3) })
  .map(({ s, start, step, pick }) => {
    const axis = pick % s.length;
    const d = s[axis]!;
    const from = ((start % d) + d) % d; // within the axis, so that something is left
    return { operands: [f(s), ints([from]), ints([step > 0 ? 99 : -99]), ints([axis]), ints([step])] };
  });

const permuted: fc.Arbitrary<Configuration> = filled.chain((s) =>
  fc.shuffledSubarray([...s.keys()], { minLength: s.length }).map((perm) => ({ operands: [f(s)], attrs: { perm } })),
);

const every = (ops: readonly string[], arbitrary: fc.Arbitrary<Configuration>) =>
  ops.map((op) => [op, arbitrary] as const);

// biome-ignore format: one line per family
export const randomCases: Readonly<Record<string, fc.Arbitrary<Configuration>>> = Object.fromEntries([
  ...every(['Neg', 'Abs', 'Exp', 'Reciprocal', 'Sin', 'Cos', 'Tan', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Erf', 'Relu', 'LeakyRelu', 'Elu', 'Selu',
    'Celu', 'HardSigmoid', 'HardSwish', 'Mish', 'Sigmoid', 'Softplus', 'Softsign', 'Tanh', 'ThresholdedRelu', 'Shrink'], unary),
  ...every(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Sum', 'Mean', 'Less', 'Greater', 'LessOrEqual', 'GreaterOrEqual'], binary),
  ...every(['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2', 'ReduceLogSumExp'], reduction),
  ...every(['Softmax', 'LogSoftmax', 'LpNormalization'], alongAxis),
  ...every(['MatMul'], product),
  ...every(['Conv'], convolution),
  ...every(['ConvTranspose'], transposed),
  ...every(['MaxPool', 'AveragePool', 'LpPool'], pool),
  ...every(['Slice'], slicing),
  ...every(['Transpose'], permuted),
]);
