// Gradients where there is none: kinks, bounds, ties, zero rows. Each is what docs/onnx.md says (PyTorch's choice for
// the layer the operator comes from), in float64 and as lowered for ONNX Runtime.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { interpret, type Value } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx, openData } from '../../src/node/index.ts';
import { reduceSum, reshape } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { importNode, type NodeCase, newArena } from '../support/onnx.ts';
import { runLowered } from '../support/run.ts';

interface Point extends Omit<NodeCase, 'operands'> {
  /** Shapes and numbers; those marked `fixed` are constants. */
  readonly operands: readonly (
    | { readonly shape: readonly number[]; readonly at: readonly number[]; readonly fixed?: boolean }
    | undefined
  )[];
  /** Σ y's gradient in each operand that is not fixed. */
  readonly gradients: readonly (readonly number[])[];
}

const at = (...numbers: number[]) => ({ shape: [numbers.length], at: numbers });
const row = (...numbers: number[]) => ({ shape: [1, numbers.length], at: numbers });
const image = (...numbers: number[]) => ({ shape: [1, 1, 2, numbers.length / 2], at: numbers });
const fixed = (x: number) => ({ shape: [], at: [x], fixed: true });
const float = (x: number) => ({ float: x });

const INF = Infinity;

const points: Readonly<Record<string, Point>> = {
  'Abs at 0': { op: 'Abs', operands: [at(-2, 0, 3)], gradients: [[-1, 0, 1]] },
  'Relu at 0': { op: 'Relu', operands: [at(-1, 0, 1)], gradients: [[0, 0, 1]] },
  'Clip at its bounds': {
    op: 'Clip',
    operands: [at(-1, 0, 3, 6, 7), fixed(0), fixed(6)],
    gradients: [[0, 0, 1, 0, 0]],
  },
  'Clip at its bounds as attributes': {
    op: 'Clip',
    opset: 6,
    attrs: { min: float(-1), max: float(1) },
    operands: [at(-1, 0, 1)],
    gradients: [[0, 1, 0]],
  },
  'Clip without an upper bound': { op: 'Clip', operands: [at(-1, 1, 2), fixed(1)], gradients: [[0, 0, 1]] },
  'Clip at bounds that are learned': {
    op: 'Clip',
    operands: [at(0, 1, 2), { shape: [], at: [0] }, { shape: [], at: [2] }],
    gradients: [[0, 1, 0], [1], [1]],
  },
  'HardSigmoid at its bounds': { op: 'HardSigmoid', operands: [at(-2.5, 0, 2.5)], gradients: [[0, 0.2, 0]] },
  'HardSwish at its bounds': { op: 'HardSwish', operands: [at(-3, 0, 3)], gradients: [[0, 0.5, 1]] },
  'LeakyRelu at 0': {
    op: 'LeakyRelu',
    attrs: { alpha: float(0.25) },
    operands: [at(-1, 0, 1)],
    gradients: [[0.25, 0.25, 1]],
  },
  'PRelu at 0': {
    op: 'PRelu',
    operands: [at(-1, 0, 1), at(0.5, 0.5, 0.5)],
    gradients: [
      [0.5, 0.5, 1],
      [-1, 0, 0],
    ],
  },
  'Elu at 0': { op: 'Elu', attrs: { alpha: float(0.5) }, operands: [at(0, 1)], gradients: [[0.5, 1]] },
  'Selu at 0': {
    op: 'Selu',
    attrs: { alpha: float(1.5), gamma: float(2) },
    operands: [at(0, 1)],
    gradients: [[3, 2]],
  },
  'Celu at 0': { op: 'Celu', attrs: { alpha: float(0.5) }, operands: [at(0, 1)], gradients: [[1, 1]] },
  'ThresholdedRelu at its threshold': { op: 'ThresholdedRelu', operands: [at(0, 1, 2)], gradients: [[0, 0, 1]] },
  'Shrink at its bounds': { op: 'Shrink', operands: [at(-0.5, 0, 0.5, 1)], gradients: [[0, 0, 0, 1]] },
  'Softsign at 0': { op: 'Softsign', operands: [at(0)], gradients: [[1]] },
  'Max of equals': {
    op: 'Max',
    operands: [at(1, 2, 0), at(1, 1, 3)],
    gradients: [
      [0.5, 1, 0],
      [0.5, 0, 1],
    ],
  },
  'Min of equals': {
    op: 'Min',
    operands: [at(1, 2, 0), at(1, 1, 3)],
    gradients: [
      [0.5, 0, 1],
      [0.5, 1, 0],
    ],
  },
  'Max of infinite equals': { op: 'Max', operands: [at(-INF), at(-INF)], gradients: [[0.5], [0.5]] },
  'ReduceMax of equals': { op: 'ReduceMax', operands: [row(2, 5, 5, 5, 1)], gradients: [[0, 1 / 3, 1 / 3, 1 / 3, 0]] },
  'ReduceMin of equals': { op: 'ReduceMin', operands: [row(1, 5, 1)], gradients: [[0.5, 0, 0.5]] },
  'MaxPool of equals': {
    op: 'MaxPool',
    attrs: { kernel_shape: [2, 2] },
    operands: [image(0, 3, 3, 3)],
    gradients: [[0, 1, 0, 0]],
  },
  'GlobalMaxPool of equals': { op: 'GlobalMaxPool', operands: [image(0, 3, 3, 3)], gradients: [[0, 1, 0, 0]] },
  'Sqrt at 0': { op: 'Sqrt', operands: [at(0, 4)], gradients: [[INF, 0.25]] },
  'ReduceL2 of zeros': { op: 'ReduceL2', operands: [row(0, 0, 0)], gradients: [[0, 0, 0]] },
  'ReduceL1 of zeros': { op: 'ReduceL1', operands: [row(0, -2, 0)], gradients: [[0, -1, 0]] },
  'LpPool of zeros': {
    op: 'LpPool',
    attrs: { kernel_shape: [2, 2] },
    operands: [image(0, 0, 0, 0)],
    gradients: [[0, 0, 0, 0]],
  },
  'LpPool of zeros, p = 3': {
    op: 'LpPool',
    attrs: { kernel_shape: [2, 2], p: 3 },
    operands: [image(0, 0, 0, 0)],
    gradients: [[0, 0, 0, 0]],
  },
  'GlobalLpPool of zeros': { op: 'GlobalLpPool', operands: [image(0, 0, 0, 0)], gradients: [[0, 0, 0, 0]] },
  'LpNormalization of zeros': { op: 'LpNormalization', operands: [row(0, 0)], gradients: [[0, 0]] },
  'MeanVarianceNormalization of equals': {
    op: 'MeanVarianceNormalization',
    operands: [image(2, 2, 2, 2)],
    gradients: [[0, 0, 0, 0]],
  },
  'LayerNormalization of equals': {
    op: 'LayerNormalization',
    operands: [row(2, 2), { ...at(1, 1), fixed: true }],
    gradients: [[0, 0]],
  },
  'Pow of 0 with a constant exponent': { op: 'Pow', operands: [at(0, 2), fixed(2)], gradients: [[0, 4]] },
  'Pow of 0 with exponents': {
    op: 'Pow',
    operands: [at(0, 0, 0, 0, 1), at(0, 1, 2, 0.5, 3)],
    gradients: [
      [0, 1, 0, INF, 3],
      [0, 0, 0, 0, 0],
    ],
  },
  'Log at 0': { op: 'Log', operands: [at(0, 2)], gradients: [[INF, 0.5]] },
  'Reciprocal at 0': { op: 'Reciprocal', operands: [at(0, 2)], gradients: [[-INF, -0.25]] },
  'Asin at its bounds': { op: 'Asin', operands: [at(-1, 0, 1)], gradients: [[INF, 1, INF]] },
  'Acos at its bounds': { op: 'Acos', operands: [at(-1, 0, 1)], gradients: [[-INF, -1, -INF]] },
  'Acosh at 1': { op: 'Acosh', operands: [at(1)], gradients: [[INF]] },
  'Atanh at its bounds': { op: 'Atanh', operands: [at(0, 1)], gradients: [[1, INF]] },
  'ReduceProd with zeros': { op: 'ReduceProd', operands: [row(0, 2, 3)], gradients: [[6, 0, 0]] },
  'ReduceProd with two zeros': { op: 'ReduceProd', operands: [row(0, 0, 3)], gradients: [[0, 0, 0]] },
  'ReduceLogSumExp of −∞': { op: 'ReduceLogSumExp', operands: [row(-INF, 0)], gradients: [[0, 1]] },
};

/** Σ y of a node over inputs of its own, with the inputs. */
function lossOf(point: Point): { loss: Value; leaves: Value[]; numbers: Record<string, Float32Array> } {
  const arena = newArena();
  const leaves: Value[] = [];
  const operands = point.operands.map((o) => o && { shape: o.shape, ...(o.fixed ? { data: o.at } : {}) });
  const y = importNode(arena, { ...point, operands }, (name, shape) => {
    // An input has the batch in front, so that it is stored with one axis more.
    const leaf = arena.input(name, [1, ...shape]);
    leaves.push(leaf);
    return reshape(leaf, shape);
  });
  const given = point.operands.flatMap((o, i) => (o && !o.fixed ? [[`a${i}`, Float32Array.from(o.at)] as const] : []));
  return { loss: reduceSum(y), leaves, numbers: Object.fromEntries(given) };
}

describe.each(Object.entries(points))('the gradient of %s', (_name, point) => {
  const { loss, leaves, numbers } = lossOf(point);
  const outputs = Object.fromEntries(differentiate(loss, leaves).map((d, k) => [`d${k}`, d]));
  const graph = { arena: loss.arena, outputs };

  it('is what the table says', () => {
    const results = interpret(graph, numbers);
    for (const [k, expected] of point.gradients.entries()) expectNumbers(results[`d${k}`]!.data, expected, 1e-6);
  });

  it('is the same as lowered, beside an example without special points', async () => {
    const two = Object.fromEntries(
      Object.entries(numbers).map(([name, data]) => [
        name,
        Float32Array.from([...data, ...data.map((_, i) => 0.3 + i / 7)]),
      ]),
    );
    const results = await runLowered(graph, two, { examples: 2, weights: {} });
    for (const [k, expected] of point.gradients.entries()) {
      expectNumbers(results[`d${k}`]!.data.subarray(0, expected.length), expected, 1e-5);
    }
  });
});

describe('the gradient of zero rows as exporters write them', () => {
  const chain = (
    build: (x: Value, node: (op: string, inputs: Value[], attrs?: NodeCase['attrs']) => Value) => Value,
    numbers: number[],
  ) => {
    const arena = newArena();
    const x = arena.input('x', [1, numbers.length]);
    const node = (op: string, inputs: Value[], attrs: NodeCase['attrs'] = {}) => {
      let k = 0;
      const operands = inputs.map((v) => ({ shape: v.shape }));
      return importNode(arena, { op, operands, attrs, opset: 17 }, () => inputs[k++]!);
    };
    const loss = reduceSum(build(x, node));
    const [d] = differentiate(loss, [x]);
    return interpret({ arena, outputs: { d: d! } }, { x: numbers }).d!.data;
  };

  it('of a standard deviation: 0', () => {
    const d = chain(
      (x, node) => {
        const centred = node('Sub', [x, node('ReduceMean', [x], { axes: [1] })]);
        const variance = node('ReduceSum', [node('Mul', [centred, centred])]);
        return node('Sqrt', [node('Div', [variance, x.arena.constant(2)])]);
      },
      [4, 4, 4],
    );
    expectNumbers(d, [0, 0, 0], 0);
  });

  it('of a norm by hand: 0', () => {
    const d = chain((x, node) => node('Sqrt', [node('ReduceSum', [node('Pow', [x, x.arena.constant(2)])])]), [0, 0]);
    expectNumbers(d, [0, 0], 0);
  });

  it('of norms of other orders and of roots as powers: 0', () => {
    for (const order of [2, 3, 2.5, 4]) {
      const d = chain(
        (x, node) => {
          const powers = node('Pow', [node('Abs', [x]), x.arena.constant(order)]);
          return node('Pow', [node('ReduceSum', [powers]), x.arena.constant(1 / order)]);
        },
        [0, 0],
      );
      expectNumbers(d, [0, 0], 0);
    }
  });

  it('of normalize: that of a division by its ε', () => {
    const d = chain(
      (x, node) => {
        const norm = node('ReduceL2', [x], { axes: [1], keepdims: 1 });
        return node('Div', [x, node('Clip', [norm, x.arena.constant(Math.fround(1e-12))])]);
      },
      [0, 0],
    );
    expectNumbers(d, [1e12, 1e12], 1e-6);
  });

  it('of a row of zeros through a norm and what comes with it: 24, as PyTorch has it', async () => {
    const cases = '../shared/cases';
    const model = await loadOnnx(join(cases, 'norm-at-zero.onnx'));
    const data = await openData(join(cases, 'zero-row.npy'));
    const extractor = await openExtractor(model, { batch: 3, threads: 1 });
    const table = await extractor.table(data);
    await extractor.dispose();
    expect(table.sqNorms[0]).toBeCloseTo(24, 4);
    expect([...table.sqNorms].every(Number.isFinite)).toBe(true);
  });
});

function expectNumbers(actual: ArrayLike<number>, expected: readonly number[], relative: number): void {
  expect(sizeOf([actual.length])).toBe(expected.length);
  for (const [i, want] of expected.entries()) {
    const got = actual[i]!;
    const close = got === want || Math.abs(got - want) <= relative * Math.abs(want);
    expect(close, `element ${i}: ${got}, expected ${want}`).toBe(true);
  }
}
