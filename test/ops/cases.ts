// For every op, random ways to call it: shapes, attributes, broadcast patterns. Each op of the table needs at least
// one.

import fc from 'fast-check';
import type { Value } from '../../src/graph/index.ts';
import type { ops } from '../../src/ops/index.ts';
import * as o from '../../src/ops/index.ts';
import type { Shape } from '../../src/tensor/shape.ts';

export interface OpCase {
  readonly operands: readonly Shape[];
  build(values: readonly Value[]): Value;
  /** Operands are exp of normals in place of normals: for functions of positive numbers. */
  readonly positive?: boolean;
}

const dim = fc.integer({ min: 1, max: 3 });
const shape = fc.array(dim, { maxLength: 4 });

/** Two shapes that broadcast: axes of the second are dropped in front or made 1 at random, and sides may swap. */
const broadcastPair = fc
  .record({
    full: shape,
    ones: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    cut: fc.nat(4),
    swap: fc.boolean(),
  })
  .map(({ full, ones, cut, swap }): [Shape, Shape] => {
    const part = full.map((d, i) => (ones[i] ? 1 : d)).slice(Math.min(cut, full.length));
    return swap ? [part, full] : [full, part];
  });

/** A matrix [d, d] of no symmetry. */
const mixing = (arena: Value['arena'], d: number): Value =>
  arena.constant(
    Array.from({ length: d * d }, (_, k) => Math.sin(1 + 7 * k)),
    [d, d],
  );

const unary = (f: (x: Value) => Value, positive = false): fc.Arbitrary<OpCase> =>
  shape.map((s) => ({ operands: [s], build: ([x]) => f(x!), positive }));

const binary = (f: (a: Value, b: Value) => Value, positive = false): fc.Arbitrary<OpCase> =>
  broadcastPair.map((operands) => ({ operands, build: ([a, b]) => f(a!, b!), positive }));

const nonEmpty = fc.array(dim, { minLength: 1, maxLength: 4 });

const reduction = (f: (x: Value, axes: number[], keep: boolean) => Value): fc.Arbitrary<OpCase> =>
  fc
    .record({ s: nonEmpty, pick: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), keep: fc.boolean() })
    .map((r) => ({
      operands: [r.s],
      build: ([x]) =>
        f(
          x!,
          r.s.flatMap((_, a) => (r.pick[a] ? [a] : [])),
          r.keep,
        ),
    }));

const alongAxis = (f: (x: Value, axis: number) => Value): fc.Arbitrary<OpCase> =>
  fc.record({ s: nonEmpty, pick: fc.nat(3) }).map(({ s, pick }) => ({
    operands: [s],
    build: ([x]) => f(x!, pick % s.length),
  }));

/** A window of each axis, possibly strided or backwards: what Slice takes and Place gives back. */
const windows = fc
  .array(
    fc.record({
      size: fc.integer({ min: 1, max: 3 }),
      step: fc.constantFrom(1, 1, 2, 3, -1, -2),
      before: fc.nat(2),
      after: fc.nat(2),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((axes) => ({
    shape: axes.map((a) => a.before + (a.size - 1) * Math.abs(a.step) + 1 + a.after),
    starts: axes.map((a) => (a.step > 0 ? a.before : a.before + (a.size - 1) * -a.step)),
    sizes: axes.map((a) => a.size),
    steps: axes.map((a) => a.step),
  }));

/** A convolution that fits: 1 to 2 spatial axes, strides, dilations, unequal pads, groups, batch. */
const convolution = fc
  .record({
    rank: fc.integer({ min: 1, max: 2 }),
    b: fc.integer({ min: 1, max: 2 }),
    g: fc.constantFrom(1, 1, 2),
    ci: fc.constantFrom(1, 2, 3, 16),
    co: fc.integer({ min: 1, max: 3 }),
    kernel: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 2 }),
    strides: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 2 }),
    dilations: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 2, maxLength: 2 }),
    pads: fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }),
    extra: fc.array(fc.nat(3), { minLength: 2, maxLength: 2 }),
  })
  .map((r) => {
    const cut = <T>(a: readonly T[]) => a.slice(0, r.rank);
    const options = {
      strides: cut(r.strides),
      dilations: cut(r.dilations),
      pads: [...cut(r.pads), ...r.pads.slice(2, 2 + r.rank)],
      groups: r.g,
    };
    const space = cut(r.kernel).map((k, s) =>
      Math.max(1, (k - 1) * r.dilations[s]! + 1 - r.pads[s]! - r.pads[2 + s]! + r.extra[s]!),
    );
    const x = [r.b, r.ci * r.g, ...space];
    const w = [r.co * r.g, r.ci, ...cut(r.kernel)];
    const y = [
      r.b,
      r.co * r.g,
      ...space.map((d, s) => {
        const span = (r.kernel[s]! - 1) * r.dilations[s]! + 1;
        return Math.floor((d + r.pads[s]! + r.pads[2 + s]! - span) / r.strides[s]!) + 1;
      }),
    ];
    return { x, w, y, options };
  });

const matrices = fc
  .record({ p: dim, k: dim, q: dim, batch: broadcastPair })
  .map(({ p, k, q, batch: [a, b] }): [Shape, Shape] => [
    [...a.slice(-2), p, k],
    [...b.slice(-2), k, q],
  ])
  .filter(([a, b]) => {
    const [ba, bb] = [a.slice(0, -2).reverse(), b.slice(0, -2).reverse()];
    return ba.every((d, i) => bb[i] === undefined || d === bb[i] || d === 1 || bb[i] === 1);
  });

/** A shape, and a whole number for each axis of it. */
const repetition = fc
  .array(fc.record({ d: dim, factor: dim }), { minLength: 1, maxLength: 4 })
  .map((axes) => ({ shape: axes.map((a) => a.d), factors: axes.map((a) => a.factor) }));

/** A shape, and an axis of it that divides into groups. */
const normalisation = fc
  .record({
    before: fc.array(dim, { maxLength: 2 }),
    groups: dim,
    each: dim,
    after: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  })
  .map(({ before, groups, each, after }) => ({
    shape: [...before, groups * each, ...after],
    first: before.length,
    groups,
  }));

/** Of whole numbers made of x, with a constant. */
const ofBits = (f: (a: Value, b: Value) => Value, x: Value) =>
  o.toFloat(f(o.toInt(o.mul(x, 9)), x.arena.constant(-6, [], 'int')));

export const opCases: Record<keyof typeof ops, fc.Arbitrary<OpCase>> = {
  Add: binary(o.add),
  Sub: binary(o.sub),
  Mul: binary(o.mul),
  Div: binary(o.div, true),
  Max: binary(o.maximum),
  Min: binary(o.minimum),
  Neg: unary(o.neg),
  Exp: unary(o.exp),
  Log: unary(o.log, true),
  Sqrt: unary(o.sqrt, true),
  Abs: unary(o.abs),
  Sin: unary(o.sin),
  Cos: unary(o.cos),
  Tan: unary((x) => o.tan(o.mul(0.3, o.tanh(x)))),
  Asin: unary((x) => o.asin(o.mul(0.9, o.tanh(x)))),
  Acos: unary((x) => o.acos(o.mul(0.9, o.tanh(x)))),
  Sinh: unary(o.sinh),
  Cosh: unary(o.cosh),
  Asinh: unary(o.asinh),
  Acosh: unary((x) => o.acosh(o.add(x, 1.2)), true),
  Atanh: unary((x) => o.atanh(o.mul(0.9, o.tanh(x)))),
  Clamp: unary((x) => o.clamp(o.mul(x, 2), -0.5, 1.2)),
  FirstMax: binary(o.firstMaximum),
  LogSigmoid: unary(o.logSigmoid),
  CutLogSigmoid: unary(o.cutLogSigmoid),
  LogComplement: unary((x) => o.logComplement(o.sub(-0.01, o.square(x)))),
  LogErfc: unary((x) => o.logErfc(o.mul(3, x))),
  NegativePart: unary(o.negativePart),
  Root: unary(o.root, true),
  Tanh: unary(o.tanh),
  Sigmoid: unary(o.sigmoid),
  Softplus: unary(o.softplus),
  Silu: unary(o.silu),
  Relu: unary(o.relu),
  Step: unary(o.step),
  Detach: unary((x) => o.detach(o.step(x))), // finite differences know nothing of a gradient that is stopped
  Erf: unary(o.erf),
  Atan: unary(o.atan),
  ToInt: unary((x) => o.toFloat(o.toInt(o.mul(x, 3)))),
  BitwiseAnd: unary((x) => ofBits(o.bitAnd, x)),
  BitwiseOr: unary((x) => ofBits(o.bitOr, x)),
  BitwiseXor: unary((x) => ofBits(o.bitXor, x)),
  IntDiv: unary((x) => o.toFloat(o.intDiv(o.toInt(o.mul(x, 9)), x.arena.constant(2, [], 'int')))),
  Remainder: binary((a, b) => o.add(o.remainder(a, o.add(o.square(b), 1)), 5)),
  Pow: binary((a, b) => o.power(a, b), true),
  Floor: unary(o.floor),
  Ceil: unary(o.ceil),
  Round: unary(o.round),
  Softmax: alongAxis(o.softmax),
  LogSoftmax: alongAxis(o.logSoftmax),
  Sign: unary(o.sign),
  Less: binary((a, b) => o.toFloat(o.less(a, b))),
  Greater: binary((a, b) => o.toFloat(o.greater(a, b))),
  Equal: binary((a, b) => o.toFloat(o.equal(o.sign(a), o.sign(b)))),
  Not: binary((a, b) => o.toFloat(o.not(o.less(a, b)))),
  Where: binary((a, b) => o.where(o.less(a, b), o.mul(a, 2), b)),
  ToFloat: unary((x) => o.toFloat(o.greater(x, 0))),
  ReduceSum: reduction(o.reduceSum),
  ReduceMax: reduction(o.reduceMax),
  ReduceFirstMax: reduction(o.reduceFirstMax),
  ReduceLogSumExp: reduction(o.logSumExp),
  Expand: broadcastPair.map(([a, b]) => {
    const [small, large] =
      a.length > b.length || (a.length === b.length && a.every((d, i) => d >= b[i]!)) ? [b, a] : [a, b];
    return { operands: [small], build: ([x]) => o.expand(x!, large) };
  }),
  Reshape: nonEmpty.map((s) => ({ operands: [s], build: ([x]) => o.reshape(x!, [s.at(-1)!, ...s.slice(0, -1), 1]) })),
  Transpose: nonEmpty
    .chain((s) => fc.tuple(fc.constant(s), fc.shuffledSubarray([...s.keys()], { minLength: s.length })))
    .map(([s, perm]) => ({ operands: [s], build: ([x]) => o.transpose(x!, perm) })),
  Slice: windows.map((w) => ({ operands: [w.shape], build: ([x]) => o.sliceRaw(x!, w.starts, w.sizes, w.steps) })),
  Place: windows.map((w) => ({ operands: [w.sizes], build: ([x]) => o.place(x!, w.shape, w.starts, w.steps) })),
  Concat: fc.tuple(nonEmpty, fc.nat(3), dim).map(([s, axis, d]) => {
    const a = axis % s.length;
    return { operands: [s, s.with(a, d)], build: ([x, y]) => o.concat([x!, y!], a) };
  }),
  MatMul: matrices.map((operands) => ({ operands, build: ([a, b]) => o.matmul(a!, b!) })),
  OuterSum: fc.tuple(dim, dim, dim).map(([p, i, q]) => ({
    operands: [
      [p, i],
      [p, q],
    ],
    build: ([x, y]) => o.outerSum(x!, y!),
  })),
  Rows: fc.tuple(dim, dim, dim).map(([p, v, d]) => ({
    operands: [[p], [v, d]],
    build: ([i, table]) => o.rows(table!, o.toInt(o.mul(i!, 2))),
  })),
  HotRows: fc.tuple(dim, dim).map(([p, count]) => ({
    operands: [[p]],
    build: ([i]) => o.hotRows(o.toInt(o.mul(i!, 2)), count),
  })),
  Conv: fc.tuple(convolution, fc.boolean()).map(([c, biased]) => ({
    operands: biased ? [c.x, c.w, [c.w[0]!]] : [c.x, c.w],
    build: ([x, w, bias]) => o.conv(x!, w!, bias ? { ...c.options, bias } : c.options),
  })),
  ConvInputGrad: convolution.map((c) => ({
    operands: [c.y, c.w],
    build: ([y, w]) =>
      o.convTranspose(y!, w!, {
        ...c.options,
        outputPadding: c.x.slice(2).map((d, s) => {
          const r = c.x.length - 2;
          const span = c.options.dilations[s]! * (c.w[s + 2]! - 1) + 1;
          return d - ((c.y[s + 2]! - 1) * c.options.strides[s]! + span - c.options.pads[s]! - c.options.pads[s + r]!);
        }),
      }),
  })),
  ConvWeightGrad: convolution.map((c) => ({
    operands: [c.x, c.y],
    build: ([x, y]) => o.convWeightGrad(x!, y!, c.w, c.options),
  })),
  Normalise: normalisation.map(({ shape, first, groups }) => ({
    operands: [shape],
    build: ([x]) => o.normalise(x!, first, groups, 1e-2),
  })),
  InverseStd: normalisation.map(({ shape, first, groups }) => ({
    operands: [shape],
    build: ([x]) => o.inverseStd(x!, first, groups, 1e-2),
  })),
  Repeat: repetition.map(({ shape, factors }) => ({ operands: [shape], build: ([x]) => o.repeatEach(x!, factors) })),
  BlockSum: repetition.map(({ shape, factors }) => ({
    operands: [shape.map((d, a) => d * factors[a]!)],
    build: ([x]) => o.blockSum(x!, factors),
  })),
  GroupSum: unary((x) => x),
  GroupRepeat: unary((x) => x),
  SqNorm: unary(o.sqNorm),
  Inner: shape.map((s) => ({ operands: [s, s], build: ([a, b]) => o.inner(a!, b!) })),
  MixedSqNorm: shape.map((s) => ({
    operands: [s],
    build: ([a]) =>
      o.mixedSqNorm(
        a!,
        [...s.keys()].map((axis) => ({ axis, root: mixing(a!.arena, s[axis]!) })),
      ),
  })),
  Recomputed: windows.map(({ shape, starts, sizes, steps }) => ({
    operands: [shape],
    build: ([x]) => {
      const part = o.sliceRaw(x!, starts, sizes, steps);
      return part === x ? x : o.recomputed(o.exp(part), [part]);
    },
  })),
  SliceAfter: windows.map(({ shape, starts, sizes, steps }) => ({
    operands: [shape],
    build: ([x]) => {
      const part = o.sliceRaw(x!, starts, sizes, steps);
      return part === x ? x : o.after(part, [o.exp(x!)]);
    },
  })),
  WeightedSqNorm: shape.map((s) => ({ operands: [s, s], build: ([a, r]) => o.weightedSqNorm(a!, r!) })),
};
