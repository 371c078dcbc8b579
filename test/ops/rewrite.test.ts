// What makes values makes what was written; the table of rewrites, each with what it is for, gives the same numbers and
// gradients.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/index.ts';
import { learnedGradients } from '../../src/features/gradients.ts';
import { normGraph } from '../../src/features/index.ts';
import {
  Arena,
  inputsOf,
  interpret,
  nameOf,
  paramsOf,
  print,
  reachable,
  type Value,
  verify,
} from '../../src/graph/index.ts';
import * as o from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import { finiteDifferences, randomData, runLowered } from '../support/run.ts';
import { tolerance } from '../support/tolerances.ts';

/** Leaves: a, b of [2, 8] (a an example's, b a parameter), s of [2, 1], t a number. */
interface Leaves {
  readonly a: Value;
  readonly b: Value;
  readonly s: Value;
  readonly t: Value;
}

function leaves(): Leaves {
  const arena = new Arena();
  return {
    a: arena.input('a', [2, 8]),
    b: arena.param('b', [2, 8]),
    s: arena.param('s', [2, 1]),
    t: arena.input('t', []),
  };
}

/** What is written, and what it is to be. */
type Case = readonly [written: (leaves: Leaves) => Value, expected: string];

const ones = (x: Value, value = 1) => o.expand(x.arena.constant(value), [2, 8]);
const sumOfRows = (x: Value) => o.expand(o.reduceSum(x, [1], true), x.shape);

/** [1, count]: numbers from 1 down to 0. */
const counted = ({ arena }: Value, count: number) =>
  arena.constant(
    Array.from({ length: count }, (_, k) => 1 - k / count),
    [1, count],
  );
const ROWS = 'Slice(Reshape(MatMul(Reshape(a), 1)))';
const VALUES = 'Reshape(MatMul(Reshape(b), 1))';
const BLOCK = `Recomputed(MatMul(Softmax(MatMul(${ROWS}, Transpose(${VALUES}))), ${VALUES}), ${ROWS})`;

const cases = {
  sumOfNegative: [({ a, b }) => o.add(a, o.neg(b)), 'Sub(a, b)'],
  differenceOfNegative: [({ a, b }) => o.sub(a, o.neg(b)), 'Add(a, b)'],
  productOfNegatives: [({ a, b }) => o.mul(o.neg(a), o.neg(b)), 'Mul(a, b)'],
  timesMinusOne: [({ a }) => o.mul(a, -1), 'Neg(a)'],
  doubleNegative: [({ a }) => o.exp(o.neg(o.neg(a))), 'Exp(a)'],
  sigmoidGate: [({ a }) => o.mul(o.sigmoid(a), a), 'Silu(a)'],
  scalesFirst: [({ a, s, t }) => o.mul(o.mul(a, s), t), 'Mul(a, Mul(s, t))'],
  plusZero: [({ a }) => o.exp(o.add(0, a)), 'Exp(a)'],
  minusZero: [({ a }) => o.exp(o.sub(a, 0)), 'Exp(a)'],
  timesOne: [({ a, s }) => o.exp(o.mul(s, ones(a))), 'Exp(Expand(s))'],
  overOne: [({ a }) => o.exp(o.div(a, ones(a))), 'Exp(a)'],
  smallPower: [({ a }) => o.power(a, ones(a, 3)), 'Mul(a, Mul(a, a))'],
  repeatedOperand: [({ a, s }) => o.maximum(a, o.expand(s, [2, 8])), 'Max(a, s)'],
  reshapeTwice: [({ a }) => o.exp(o.reshape(o.reshape(a, [4, 4]), [16])), 'Exp(Reshape(a))'],
  transposeTwice: [({ a }) => o.exp(o.transpose(o.transpose(a))), 'Exp(a)'],
  sumOfScaled: [({ a, s }) => o.reduceSum(o.mul(o.exp(a), s), [1], true), 'Mul(ReduceSum(Exp(a)), s)'],
  normaliseFolded: [({ a }) => o.normalise(o.reshape(a, [2, 4, 2]), 1, 4, 1e-3), 'Reshape(Normalise(a))'],
  normOfMoved: [({ a }) => o.sqNorm(o.transpose(o.zeroPad(a, [1, 0], [0, 1]))), 'SqNorm(a)'],
  normOfPieces: [
    ({ a, b }) => o.sqNorm(o.concat([o.groupSum(o.outerSum(a, a)), o.groupSum(o.outerSum(b, a))], 0)),
    'Add(SqNorm(GroupSum(OuterSum(a, a))), SqNorm(GroupSum(OuterSum(b, a))))',
  ],
  softmaxOfQuotient: [({ a, b }) => o.div(o.exp(o.mul(a, b)), sumOfRows(o.exp(o.mul(a, b)))), 'Softmax(Mul(a, b))'],
  timesReciprocalSigmoid: [({ a, b }) => o.div(a, o.sigmoid(b)), 'Mul(a, Add(1, Exp(Neg(b))))'],
  sigmoidOfQuotient: [({ b }) => o.div(1, o.add(1, o.exp(o.neg(b)))), 'Sigmoid(b)'],
  logarithm: [({ a, b }) => o.log(o.sigmoid(o.mul(a, b))), 'LogSigmoid(Mul(a, b))'],
  attentionInBlocks: [
    ({ a, b }) => {
      const repeated = (x: Value, times: number) => o.matmul(o.reshape(x, [16, 1]), counted(x, times));
      const q = o.reshape(repeated(a, 16), [256, 1]);
      const v = o.reshape(repeated(b, 520), [16 * 520, 1]);
      return o.matmul(o.softmax(o.matmul(q, o.transpose(v)), 1), v);
    },
    `Concat(${[0, 1].map(() => BLOCK).join(', ')})`,
  ],
  cutAsPyTorch: [({ a, b }) => o.maximum(o.log(o.sigmoid(o.mul(a, b))), -100), 'CutLogSigmoid(Mul(a, b))'],
} satisfies Record<keyof typeof o.rewrites, Case>;

/** As it would be written. */
function text(v: Value): string {
  if (v.source.kind !== 'node') return v.source.kind === 'constant' ? String(v.source.data[0]) : nameOf(v);
  return `${v.source.op.name}(${v.source.inputs.map(text).join(', ')})`;
}

const loss = (y: Value): Value => o.reduceSum(o.mul(y, y.arena.constant(randomData('w', sizeOf(y.shape)), y.shape)));

const bindings = (y: Value) =>
  Object.fromEntries(
    reachable([y]).flatMap((v) =>
      v.source.kind === 'input' || v.source.kind === 'param'
        ? [[nameOf(v), randomData(nameOf(v), sizeOf(v.shape))]]
        : [],
    ),
  );

describe.each(Object.entries(cases) as [keyof typeof cases, Case][])('%s', (name, [written, expected]) => {
  const { losses } = o.rewrites[name] as o.Rewrite;

  it('is done by the pass that it belongs to, and not before', () => {
    const y = written(leaves());
    expect(text(y)).not.toBe(expected);
    if (losses) expect(text(o.simplify(y))).not.toBe(expected);
    const z = (losses ? o.rewrite : o.simplify)(y);
    expect(text(z)).toBe(expected);
    expect(z).toMatchObject({ shape: y.shape, dtype: y.dtype, lead: y.lead });
    verify({ arena: z.arena, outputs: { z } });
    for (const again of [o.rewrite(z), o.simplify(z), o.rewrite(y)]) expect(again).toBe(z);
  });

  it('has the numbers of what was written, and their gradient', async () => {
    const y = written(leaves());
    const z = o.rewrite(y);
    const given = bindings(y);
    const found = interpret({ arena: y.arena, outputs: { y, z } }, given);
    expectClose(found.z!.data, found.y!.data, 1e-12);
    const scalar = loss(y);
    const parts = paramsOf({ arena: y.arena, outputs: { y } });
    for (const [k, dB] of gradients(o.rewrite(scalar), parts).entries()) {
      if (!dB) continue;
      const numeric = finiteDifferences(scalar, given, nameOf(parts[k]!));
      expectClose(interpret({ arena: y.arena, outputs: { dB } }, given).dB!.data, numeric, tolerance.finiteDifference);
    }
    const weights = Object.fromEntries(parts.map((p) => [nameOf(p), { shape: p.shape, data: given[nameOf(p)]! }]));
    const graph = { arena: z.arena, outputs: { z } };
    const inputs = Object.fromEntries(inputsOf(graph).map((x) => [nameOf(x), given[nameOf(x)]!]));
    const run = await runLowered(graph, inputs, { examples: 1, weights });
    expectClose(run.z!.data, found.y!.data, tolerance.float32);
  });
});

describe('what makes values', () => {
  it('makes what was written', () => {
    const { a, b, s } = leaves();
    const one = a.arena.constant(1);
    const made: readonly (readonly [Value, string, readonly Value[]])[] = [
      [o.add(a, o.neg(b)), 'Add', [a, o.neg(b)]],
      [o.sub(a, o.neg(b)), 'Sub', [a, o.neg(b)]],
      [o.mul(a, 1), 'Mul', [a, one]],
      [o.mul(a, o.sigmoid(a)), 'Mul', [a, o.sigmoid(a)]],
      [o.div(a, 1), 'Div', [a, one]],
      [o.neg(o.neg(a)), 'Neg', [o.neg(a)]],
      [o.power(a, 1), 'Pow', [a, one]],
      [o.maximum(a, o.expand(s, [2, 8])), 'Max', [a, o.expand(s, [2, 8])]],
      [o.log(o.sigmoid(a)), 'Log', [o.sigmoid(a)]],
      [o.log(o.softmax(a, 1)), 'Log', [o.softmax(a, 1)]],
      [o.reshape(o.reshape(a, [16]), [4, 4]), 'Reshape', [o.reshape(a, [16])]],
      [o.transpose(o.transpose(a)), 'Transpose', [o.transpose(a)]],
      [o.reduceSum(o.mul(a, s), [1], true), 'ReduceSum', [o.mul(a, s)]],
      [o.sqNorm(o.transpose(a)), 'SqNorm', [o.transpose(a)]],
    ];
    for (const [v, op, inputs] of made) {
      expect(v.source).toMatchObject({ kind: 'node', op: { name: op } });
      expect(v.source.kind === 'node' && v.source.inputs, op).toEqual(inputs);
    }
  });

  it('computes what is known, which shapes may depend on', () => {
    const { arena } = leaves().a;
    expect(o.constantData(o.add(arena.constant([1, 2], [2]), 1))).toEqual(Float64Array.of(2, 3));
    expect(o.uniformValue(o.mul(o.expand(arena.constant(3), [1000, 1000]), 2))).toBe(6);
    expect(o.uniformValue(o.reduceSum(o.expand(arena.constant(3), [10, 10])))).toBe(300);
  });
});

describe('losses that are written by hand', () => {
  /** −log σ(w x), as a loss [] of x [1]. */
  function written(): Value {
    const arena = new Arena();
    const p = o.sigmoid(o.mul(arena.input('x', [1]), arena.param('w', [1])));
    return o.reshape(o.neg(o.log(p)), []);
  }
  const weights = { w: { shape: [1], data: Float32Array.of(1) } };

  it('keep the norms that float32 would lose', async () => {
    const { graph } = normGraph(written());
    const { nll, sqnorm } = await runLowered(graph, { x: Float32Array.of(-120, 2) }, { examples: 2, weights });
    expectClose(nll!.data, [120, Math.log1p(Math.exp(-2))], 1e-5);
    expectClose(sqnorm!.data, [120 ** 2, (2 / (1 + Math.exp(2))) ** 2], 1e-5);
  });

  it('have such gradients too', () => {
    const [{ gradient } = { gradient: written() }] = learnedGradients(written());
    expect(text(gradient)).not.toContain('Div');
  });
});

describe('substitute', () => {
  it('puts values in place of others, at once and wherever they stand', () => {
    const { a, b, s } = leaves();
    const [y, z] = o.substitute(
      [o.add(o.mul(a, b), b), s],
      new Map([
        [b, a],
        [a, b],
      ]),
    );
    expect(y).toBe(o.add(o.mul(b, a), a));
    expect(z).toBe(s);
  });
});

it('a random expression has the same numbers when it is rewritten', () => {
  type Make = (leaves: Leaves) => Value;
  const wide = (x: Value) => (sizeOf(x.shape) === 16 ? x : o.expand(x, [2, 8]));
  const { expression } = fc.letrec<{ expression: Make }>((tie) => {
    const one = tie('expression');
    const unary = (f: (x: Value) => Value) =>
      one.map(
        (make): Make =>
          (l) =>
            f(make(l)),
      );
    const binary = (f: (x: Value, y: Value) => Value) =>
      fc.tuple(one, one).map(
        ([p, q]): Make =>
          (l) =>
            f(p(l), q(l)),
      );
    return {
      expression: fc.oneof(
        { maxDepth: 6, depthSize: 'large' },
        fc.constantFrom<Make>(
          (l) => l.a,
          (l) => l.b,
          (l) => l.s,
          (l) => l.t,
          (l) => l.a.arena.constant(1),
          (l) => l.a.arena.constant(0),
          (l) => l.a.arena.constant(-1),
        ),
        ...[o.neg, o.sigmoid, o.tanh, wide].map(unary),
        unary((x) => o.power(o.add(o.tanh(x), 2), -1)),
        unary((x) => o.transpose(o.transpose(wide(x)))),
        unary((x) => o.reshape(o.reshape(wide(x), [4, 4]), [2, 8])),
        unary((x) => o.reduceSum(wide(x), [1], true)),
        unary((x) => o.expand(o.reduceSum(wide(x)), [2, 1])),
        unary((x) => o.sqNorm(o.zeroPad(o.tanh(wide(x)), [1, 0], [0, 2]))),
        unary((x) => o.normalise(o.reshape(wide(x), [1, 2, 8]), 1, 2, 0.1)).map(
          (make): Make =>
            (l) =>
              o.reshape(make(l), [2, 8]),
        ),
        unary((x) => o.log(o.add(o.exp(o.tanh(x)), 1))),
        ...[o.add, o.sub, o.mul, o.mul, o.maximum].map(binary),
      ),
    };
  });
  fc.assert(
    fc.property(expression, (make) => {
      const y = o.reduceSum(wide(make(leaves())));
      const z = o.rewrite(y);
      verify({ arena: y.arena, outputs: { z } });
      expect(o.rewrite(z)).toBe(z);
      const { arena } = y;
      const found = interpret({ arena, outputs: { y, z } }, { ...bindings(y) });
      const [was, is] = [found.y!.data[0]!, found.z!.data[0]!];
      if (Number.isFinite(was))
        expect(Math.abs(is - was), print({ arena, outputs: { y } })).toBeLessThan(1e-9 * (1 + Math.abs(was)));
    }),
    { numRuns: 1500, seed: 7 },
  );
});

describe('what is used twice, forty times over', () => {
  const doubled = (x: Value, twice: (v: Value) => Value) => Array.from({ length: 40 }).reduce<Value>(twice, x);
  it.each<[string, (x: Value) => Value]>([
    ['as a sum of exponentials', (x) => o.log(doubled(o.exp(x), (v) => o.add(v, v)))],
    [
      'as the weight of one',
      (x) =>
        o.log(
          o.mul(
            doubled(o.toFloat(o.greater(x, 0)), (v) => o.add(v, v)),
            o.exp(x),
          ),
        ),
    ],
    ['as a product under a sum', (x) => o.reduceSum(doubled(x, (v) => o.mul(v, v)))],
    ['as a product of two products', (x) => o.reduceSum(doubled(x, (v) => o.mul(o.mul(v, x), o.mul(x, v))))],
    ['as a sum of squares', (x) => o.squareRoot(doubled(o.square(x), (v) => o.add(v, v)))],
  ])('takes no longer: %s', (_, make) => {
    const began = performance.now();
    o.rewrite(make(leaves().a));
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
