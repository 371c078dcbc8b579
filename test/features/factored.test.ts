// Fisher metrics that are kept as a vector along each of two axes: norms and mean squares against float64, whatever the
// plan, of gradients that are made and of gradients that are not.

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { memoryDataset } from '../../src/data/index.ts';
import { openProgram } from '../../src/engine/index.ts';
import { factorsOf, LARGE, LONG } from '../../src/features/factored.ts';
import { fisherDiagonal, metricOf, openExtractor, packed, unpacked } from '../../src/features/index.ts';
import { factorName } from '../../src/features/metric-name.ts';
import { normGraph } from '../../src/features/norms.ts';
import {
  Arena,
  type Graph,
  inputsOf,
  interpret,
  nameOf,
  paramsOf,
  reachable,
  type Value,
} from '../../src/graph/index.ts';
import type { PlanChoice } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import {
  add,
  concat,
  conv,
  convTranspose,
  matmul,
  mul,
  reduceSum,
  reshape,
  rows,
  squaresAlong,
  transpose,
} from '../../src/ops/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import type { Weights } from '../../src/tensor/weights.ts';
import { expectSqNorms } from '../support/compare.ts';
import { randomData, randomWeights } from '../support/run.ts';

/**
 * Ways to use a weight w of an input x and rows `ids`: gradients that are products of any kind, and one that is none.
 */
const uses: Readonly<Record<string, (arena: Arena) => Value>> = {
  'a matrix': (arena) => matmul(arena.input('x', [1, 2, 30]), arena.param('w', [30, 20])),
  'a matrix of one position': (arena) => matmul(arena.input('x', [1, 30]), arena.param('w', [30, 20])),
  'a matrix that is transposed and reshaped': (arena) =>
    matmul(arena.input('x', [1, 2, 30]), transpose(reshape(arena.param('w', [1, 20, 30]), [20, 30]))),
  'a matrix that is used twice': (arena) => {
    const w = arena.param('w', [20, 20]);
    return matmul(matmul(arena.input('x', [1, 2, 20]), w), w);
  },
  'a table whose rows are looked up': (arena) =>
    rows(arena.param('w', [30, 20]), arena.input('ids', [3], 'data', 'int')),
  'a table that is the head as well': (arena) => {
    const w = arena.param('w', [30, 20]);
    return matmul(rows(w, arena.input('ids', [3], 'data', 'int')), transpose(w));
  },
  'a table and a matrix in one': (arena) => {
    const w = arena.param('w', [30, 20]);
    return concat([rows(w, arena.input('ids', [3], 'data', 'int')), matmul(arena.input('x', [2, 30]), w)], 0);
  },
  'a convolution': (arena) =>
    conv(arena.input('x', [1, 12, 3, 3]), arena.param('w', [16, 12, 3, 3]), { pads: [1, 1, 1, 1] }),
  'a convolution of many places': (arena) =>
    conv(arena.input('x', [1, 4, 9, 9]), arena.param('w', [5, 4, 3, 3]), { pads: [1, 1, 1, 1] }),
  'a convolution of few channels to many': (arena) =>
    conv(arena.input('x', [1, 3, 9, 9]), arena.param('w', [16, 3, 3, 3]), { pads: [1, 1, 1, 1] }),
  'a convolution of many channels to few': (arena) =>
    conv(arena.input('x', [1, 12, 9, 9]), arena.param('w', [2, 12, 3, 3]), { pads: [1, 1, 1, 1] }),
  'a convolution of many channels to few, of few places': (arena) =>
    conv(arena.input('x', [1, 12, 2, 3]), arena.param('w', [3, 12, 3, 3]), { pads: [1, 1, 1, 1] }),
  'a convolution of an uneven kernel': (arena) =>
    conv(arena.input('x', [1, 4, 6, 8]), arena.param('w', [5, 4, 2, 4]), { pads: [0, 1, 1, 2] }),
  'a strided convolution of many places': (arena) =>
    conv(arena.input('x', [1, 4, 17, 17]), arena.param('w', [6, 4, 3, 3]), { strides: [2, 2] }),
  'a matrix of many positions': (arena) => matmul(arena.input('x', [1, 50, 8]), arena.param('w', [8, 6])),
  'a strided convolution': (arena) =>
    conv(arena.input('x', [1, 12, 5, 5]), arena.param('w', [16, 12, 3, 3]), { strides: [2, 2] }),
  'a transposed convolution': (arena) =>
    convTranspose(arena.input('x', [1, 16, 2, 2]), arena.param('w', [16, 12, 3, 3]), { strides: [2, 2] }),
  'a convolution in groups': (arena) =>
    conv(arena.input('x', [1, 12, 2, 2]), arena.param('w', [16, 6, 2, 2]), { groups: 2 }),
  'a tensor that is no factor of a product': (arena) => {
    const w = arena.param('w', [6, 5]);
    return add(mul(arena.input('x', [6, 5]), mul(w, w)), w);
  },
};

const n = 6;

/** What norms in Kronecker factors were computed by. */
const met = new Set<string>();

const opsIn = (graph: Graph) =>
  reachable(Object.values(graph.outputs)).flatMap(({ source }) => {
    if (source.kind !== 'node') return [];
    return [source.attrs.mixed ? `${source.op.name}, mixed` : source.op.name];
  });

/** Of a loss that is not linear and weighs places differently. */
function lossOf(use: string): { readonly arena: Arena; readonly loss: Value; readonly param: Value } {
  const arena = new Arena();
  const y = uses[use]!(arena);
  const loss = reduceSum(mul(mul(y, y), arena.constant(Array.from(randomData('weigh', sizeOf(y.shape))), y.shape)));
  return { arena, loss, param: paramsOf({ arena, outputs: { loss } })[0]! };
}

/** n examples of the inputs. */
function inputsFor(arena: Arena, loss: Value) {
  const inputs = inputsOf({ arena, outputs: { loss } }).map((v) => {
    const floats = randomData(nameOf(v), n * sizeOf(v.shape));
    const isWhole = v.dtype === 'int';
    return {
      name: nameOf(v),
      shape: v.shape,
      isWhole,
      data: isWhole ? floats.map((f) => Math.floor(30 * (f % 1) ** 2)) : floats,
    };
  });
  const feeds = inputs.map(({ name, shape, isWhole, data }) => {
    const typed = isWhole ? BigInt64Array.from(Array.from(data, BigInt)) : data;
    return [name, { data: typed, shape: [n, ...(shape[0] === 1 ? shape.slice(1) : shape)] }] as const;
  });
  const each = Array.from({ length: n }, (_, i) =>
    Object.fromEntries(
      inputs.map(({ name, data }) => [name, data.subarray((i * data.length) / n, ((i + 1) * data.length) / n)]),
    ),
  );
  return { feeds: Object.fromEntries(feeds), each };
}

const numbersOf = (weights: Weights) =>
  Object.fromEntries(Object.entries(weights).map(([name, { data }]) => [name, data]));
const longAxes = (shape: Shape) => [...shape.keys()].filter((axis) => shape[axis]! > 1);
const axesOf = (shape: Shape) => longAxes(shape).slice(0, 2);
const placeOf = (shape: Shape, axis: number, k: number) => Math.floor(k / sizeOf(shape.slice(axis + 1))) % shape[axis]!;

/** What the graph's outputs are for n examples by the runtime, and each one's gradient in float64. */
async function measured({
  arena,
  loss,
  param,
  graph,
  weights,
  group,
  plan,
}: ReturnType<typeof lossOf> & {
  readonly graph: Graph;
  readonly weights: Weights;
  readonly group: number;
  readonly plan: PlanChoice;
}) {
  const program = openProgram(graph, { runtime: nodeRuntime(), weights, group, plan, batch: n });
  const { feeds, each } = inputsFor(arena, loss);
  const found = await program.run(feeds);
  await program.dispose();
  const [gradient] = differentiate(loss, [param]) as [Value];
  const gradients = each.map(
    (own) => interpret({ arena, outputs: { gradient } }, { ...numbersOf(weights), ...own }).gradient!.data,
  );
  return { found, gradients };
}

describe.each(Object.keys(uses))('a factored metric of %s', (use) => {
  const cases: [number, PlanChoice][] = [
    [1, 'auto'],
    [1, 'direct'],
    [1, 'gram'],
    [3, 'auto'],
  ];
  it.each(cases)('for groups of %i by the plan %s gives the norm of float64', async (group, plan) => {
    const { arena, loss, param } = lossOf(use);
    const { shape } = param;
    const axes = axesOf(shape);
    const { graph } = normGraph(loss, { fisher: true, factored: { w: { axes } } });
    const weights = randomWeights(graph);
    const { found, gradients } = await measured({ arena, loss, param, graph, weights, group, plan });
    const [u, v] = axes.map((axis) => weights[factorName('w', axis)]!.data) as [Float32Array, Float32Array];
    const expected = Array.from({ length: n / group }, (_, g) => {
      const own = gradients.slice(g * group, (g + 1) * group);
      return Array.from({ length: sizeOf(shape) }, (_, k) => {
        const sum = own.reduce((all, one) => all + one[k]!, 0);
        return (sum * u[placeOf(shape, axes[0]!, k)]! * v[placeOf(shape, axes[1]!, k)]!) ** 2;
      }).reduce((a, b) => a + b, 0);
    });
    expectSqNorms(found.fisher!.data as Float32Array, expected, ['w']);
  });

  it.each(cases)('of matrices, for groups of %i by the plan %s, gives the norm of float64', async (group, plan) => {
    const { shape } = lossOf(use).param;
    const axes = longAxes(shape);
    const some = [axes, axes.slice(0, 1), axes.slice(1), axes.slice(-1)].filter((mixed) => mixed.length > 0);
    const all = [...some.map((mixed) => [axes, mixed] as const), ...some.map((mixed) => [mixed, mixed] as const)];
    for (const [factored, mixed] of all) {
      const { arena, loss, param } = lossOf(use);
      const factors = { axes: factored, mixed };
      const { graph } = normGraph(loss, { fisher: true, radial: true, factored: { w: factors } });
      if (plan === 'auto') for (const op of opsIn(graph)) met.add(op);
      const weights = randomWeights(graph);
      const { found, gradients } = await measured({ arena, loss, param, graph, weights, group, plan });
      const expected = Array.from({ length: n / group }, (_, g) => {
        const own = gradients.slice(g * group, (g + 1) * group);
        const sum = Array.from({ length: sizeOf(shape) }, (_, k) => own.reduce((all, one) => all + one[k]!, 0));
        const made = factored.reduce((values, axis) => {
          const { data } = weights[factorName('w', axis)]!;
          const [d, stride] = [shape[axis]!, sizeOf(shape.slice(axis + 1))];
          return values.map((v, k) => {
            const at = placeOf(shape, axis, k);
            if (!mixed.includes(axis)) return v * data[at]!;
            return Array.from({ length: d }, (_, l) => data[at * d + l]! * values[k + (l - at) * stride]!).reduce(
              (a, b) => a + b,
            );
          });
        }, sum);
        return made.reduce((all, v) => all + v ** 2, 0);
      });
      expectSqNorms(found.fisher!.data as Float32Array, expected, ['w']);
    }
  });

  it('is made of sums of squares along the axes', () => {
    const { arena, loss, param } = lossOf(use);
    const [gradient] = differentiate(loss, [param]) as [Value];
    const given = { ...numbersOf(randomWeights({ arena, outputs: { loss } })), ...inputsFor(arena, loss).each[0]! };
    for (const axis of axesOf(param.shape)) {
      const { g, sums } = interpret({ arena, outputs: { g: gradient, sums: squaresAlong(gradient, axis) } }, given);
      const expected = new Float64Array(param.shape[axis]!);
      for (const [k, value] of g!.data.entries()) expected[placeOf(param.shape, axis, k)]! += value ** 2;
      for (const [k, value] of sums!.data.entries())
        expect(value / (expected[k]! + 1e-12)).toBeCloseTo(expected[k] === 0 ? 0 : 1, 8);
    }
  });
});

it('is taken of products that are mixed, and of products whose taps are', () => {
  expect([...met].filter((op) => /Mixed|mixed/.test(op))).toEqual(
    expect.arrayContaining(['MixedSqNorm', 'ConvWeightGrad, mixed']),
  );
});

describe('a metric of Kronecker factors', () => {
  it.each(['a convolution', 'a convolution of an uneven kernel'])(
    'of %s whitens the gradients that it is made of along every axis',
    async (use) => {
      const { arena, loss, param } = lossOf(use);
      const taken = inputsOf({ arena, outputs: { loss } })[0]!.shape.slice(1);
      const size = sizeOf(taken);
      const weights = randomWeights({ arena, outputs: { loss } });
      const model = {
        about: 'a convolution',
        hash: 'conv',
        inputs: { x: taken },
        weights,
        loss: () => loss,
      } as unknown as ScoringModel;
      const x = { data: randomData('many', 50 * size), shape: taken };
      const data = memoryDataset('many', 50, 'many', { x });
      const squares = await fisherDiagonal(model, data, { runtime: nodeRuntime(), threads: 1, form: 'kronecker' });
      const { w: found } = squares;
      if (!found || !('axes' in found)) throw new Error('no factors');
      expect([found.axes, found.mixed]).toEqual([
        [0, 1, 2, 3],
        [0, 1, 2, 3],
      ]);
      const [gradient] = differentiate(loss, [param]) as [Value];
      const gradients = Array.from({ length: 50 }, (_, i) => {
        const own = { x: x.data.subarray(i * size, (i + 1) * size) };
        return interpret({ arena, outputs: { gradient } }, { ...numbersOf(weights), ...own }).gradient!.data;
      });
      const { roots } = metricOf(squares);
      for (const [k, axis] of found.axes.entries()) {
        const d = param.shape[axis]!;
        const moments = new Float64Array(d * d); // mean over examples and places of g gᵀ along the axis
        for (const g of gradients) {
          for (const [a, value] of g.entries()) {
            const at = placeOf(param.shape, axis, a);
            const stride = sizeOf(param.shape.slice(axis + 1));
            for (let l = 0; l < d; l++) moments[at * d + l]! += (value * g[a + (l - at) * stride]! * d) / g.length / 50;
          }
        }
        for (const [e, value] of moments.entries()) {
          expect(Math.abs(found.means[k]![e]! - value)).toBeLessThan(1e-4 * Math.max(...moments));
        }
        // W M Wᵀ is a multiple of the identity, but for what damping takes.
        const { data: root } = roots[factorName('w', axis)]!;
        const at = (i: number, j: number) => {
          let sum = 0;
          for (let p = 0; p < d; p++)
            for (let q = 0; q < d; q++) sum += root[i * d + p]! * moments[p * d + q]! * root[j * d + q]!;
          return sum;
        };
        for (let i = 0; i < d; i++) {
          for (let j = 0; j < i; j++) expect(Math.abs(at(i, j)) / Math.sqrt(at(i, i) * at(j, j))).toBeLessThan(0.2);
        }
      }
    },
  );

  it('has numbers in place of matrices along long axes, and what a diagonal has for large tensors', () => {
    const factorsFor = (shape: Shape) => {
      const arena = new Arena();
      const w = arena.param('w', shape);
      return factorsOf(differentiate(reduceSum(mul(w, w)), [w])[0]!, 'kronecker');
    };
    expect(factorsFor([LONG, 3, 1])).toEqual({ axes: [0, 1], mixed: [0, 1] });
    expect(factorsFor([LONG + 1, 3])).toEqual({ axes: [0, 1], mixed: [1] });
    expect(factorsFor([LONG + 1])).toBeUndefined();
    expect(factorsFor([1])).toBeUndefined();
    expect(factorsFor([LARGE / 2, 4])).toEqual({ axes: [0, 1] });
  });
});

describe('where a metric is factored', () => {
  const axesFor = (shape: Shape, use: (arena: Arena, w: Value) => Value) => {
    const arena = new Arena();
    const w = arena.param('w', shape);
    const y = use(arena, w);
    return factorsOf(differentiate(reduceSum(mul(y, y)), [w])[0]!, 'diagonal')?.axes;
  };

  it('is where no gradient has to be made then, or the tensor is large', () => {
    expect(axesFor([256, 128], (arena, w) => matmul(arena.input('x', [1, 2, 256]), w))).toEqual([0, 1]);
    const turned = axesFor([1, 128, 256], (arena, w) =>
      matmul(arena.input('x', [1, 2, 256]), transpose(reshape(w, [128, 256]))),
    );
    expect(turned).toEqual([1, 2]);
    const tied = axesFor([512, 64], (arena, w) => {
      const embedded = rows(w, arena.input('ids', [3], 'data', 'int'));
      return matmul(embedded, transpose(w));
    });
    expect(tied).toEqual([0, 1]);
    // Small, of one position, or no product of two factors with its channels: a number for each element costs no more.
    expect(axesFor([30, 20], (arena, w) => matmul(arena.input('x', [1, 2, 30]), w))).toBeUndefined();
    expect(axesFor([256, 128], (arena, w) => matmul(arena.input('x', [1, 256]), w))).toBeUndefined();
    const inGroups = { groups: 2 };
    const grouped = axesFor([128, 64, 2, 2], (arena, w) => conv(arena.input('x', [1, 128, 2, 2]), w, inGroups));
    expect(grouped).toBeUndefined();
    expect(axesFor([256, 128], (arena, w) => mul(arena.input('x', [256, 128]), w))).toBeUndefined();
    expect(axesFor([3, LARGE / 4, 2], (_, w) => mul(w, w))).toEqual([0, 1]);
  });

  it('is what a large table has from end to end, in a file of a few kilobytes', async () => {
    const vocabulary = 40_000;
    const arena = new Arena();
    const w = arena.param('w', [vocabulary, 32]);
    const embedded = rows(w, arena.input('x', [4], 'data', 'int'));
    const loss = reduceSum(mul(embedded, embedded));
    const weights = { w: { shape: [vocabulary, 32], data: randomData('w', vocabulary * 32) } };
    const model: ScoringModel = {
      about: 'a table',
      hash: 'table',
      inputs: { x: [4] },
      weights,
      loss: () => loss,
    } as unknown as ScoringModel;
    const ids = [0, 1, 2, 3, 1, 1, 7, 39_999];
    const data = memoryDataset('ids', 2, 'ids', { x: { data: BigInt64Array.from(ids, BigInt), shape: [4] } });
    const runtime = nodeRuntime();
    const diagonal = await fisherDiagonal(model, data, { runtime, threads: 1 });
    const { w: found } = diagonal;
    if (!found || !('axes' in found)) throw new Error('no factors');
    const expected = [new Float64Array(vocabulary), new Float64Array(32)] as const;
    for (const example of [ids.slice(0, 4), ids.slice(4)]) {
      for (const id of new Set(example)) {
        const count = example.filter((other) => other === id).length;
        for (let k = 0; k < 32; k++) {
          const square = (2 * count * weights.w.data[id * 32 + k]!) ** 2 / 2;
          expected[0][id]! += square / 32;
          expected[1][k]! += square / vocabulary;
        }
      }
    }
    for (const [k, means] of found.means.entries()) {
      for (const [i, mean] of means.entries()) expect(mean).toBeCloseTo(expected[k]![i]!, 5);
    }
    const kept = packed(metricOf(diagonal));
    expect(JSON.stringify(kept).length).toBeLessThan(60_000);
    const extractor = await openExtractor(model, {
      runtime,
      threads: 1,
      views: ['fisher'],
      metric: unpacked(kept, 'x'),
    });
    const table = await extractor.table(data);
    await extractor.dispose();
    for (const value of table.views!.fisher!) expect(value).toBeGreaterThan(0);
  });
});
