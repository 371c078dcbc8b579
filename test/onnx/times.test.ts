// Losses of diffusion models that draw their time: the steps at which the combined detector looks at them, against the
// same file with the time given, and what is no time.

import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { inputsOf, nameOf } from '../../src/graph/index.ts';
import type { OnnxModel, OnnxNode } from '../../src/onnx/index.ts';
import { create, FunctionProtoSchema, OperatorSetIdProtoSchema } from '../../src/onnx/proto.ts';
import { type OnnxOptions, onnxModel, type ScoringModel } from '../../src/store/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import { openNetwork as load, network, node, tableOf } from '../support/onnx.ts';
import * as proto from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const n = 3;
const floats = (name: string, ...shape: number[]) => ({
  data: randomData(name, n * shape.reduce((a, b) => a * b, 1)),
  shape,
});

describe('a loss whose time is drawn', () => {
  // Σ (x w − b t)²
  const error = [node('MatMul', ['x', 'w'], 'h'), node('Mul', ['time', 'b'], 'shift')];
  const square = [node('Sub', ['h', 'shift'], 'd'), node('Mul', ['d', 'd'], 's')];
  const sum = node('ReduceSum', ['s'], 'loss', { keepdims: 0 });
  const weights = { w: [4, 4], b: [4] };
  const cast = node('Cast', ['t'], 'time', { to: 1 });
  const whole = (name: string) => {
    const own = [{ ...cast, inputs: [name] }, ...error, ...square, sum];
    return network({ x: [4], [name]: [1] }, weights, own, ['loss'], [name]);
  };
  const data = memoryDataset('d', n, 'f', { x: floats('x', 4) });
  const losses = async (model: ScoringModel) => [...(await tableOf(model, data)).nll];

  it.each([
    [[0, 999], { t1: 1, t64: 64, t256: 256 }],
    [[10, 509], { t11: 11, t42: 42, t138: 138 }],
    [[1, 4], { t2: 2, t1: 1 }],
  ] as const)('from whole numbers of %j has aspects at some', async (range, wanted) => {
    const model = await load(whole('t'), { integers: { t: range } });
    const aspects = model.aspects!()!;
    expect(Object.keys(aspects)).toEqual(Object.keys(wanted));
    for (const [name, t] of Object.entries(wanted)) {
      const fixed = await load(whole('t'), { constants: { t } });
      expect(await losses(aspects[name]!)).toEqual(await losses(fixed));
      expect(fixed.aspects).toBeUndefined();
    }
  });

  it('has none of a single step, nor of a number that is not called a time', async () => {
    expect((await load(whole('t'), { integers: { t: [3, 3] } })).aspects).toBeUndefined();
    expect((await load(whole('label'), { integers: { label: [0, 9] } })).aspects).toBeUndefined();
  });

  /** A file that draws its noise, its time by `draw` and, with it, `more`. */
  const drawing = (draw: readonly OnnxNode[], more: readonly OnnxNode[] = []): OnnxModel => {
    const noise = [node('RandomNormalLike', ['x'], 'noise'), node('Add', ['x', 'noise'], 'seen')];
    const column = node('MatMul', ['x', 'v'], 'column'); // [n, 1]
    const rest = [node('MatMul', ['seen', 'w'], 'h'), error[1]!, ...square, ...more, sum];
    const net = network({ x: [4] }, { ...weights, v: [4, 1] }, [...noise, column, ...draw, ...rest], ['loss']);
    const thousand = { name: 'thousand', dims: [], dtype: 'float', data: Float32Array.of(1000) } as const;
    return { ...net, initializers: [...net.initializers, thousand] };
  };
  const randint = [
    node('RandomUniformLike', ['column'], 'r'),
    node('Mul', ['r', 'thousand'], 'u'),
    node('Cast', ['u'], 't', { to: 7 }),
    cast,
  ];
  const steps = async (net: OnnxModel, options: OnnxOptions = {}) =>
    Object.keys((await load(net, options)).aspects?.() ?? {});

  it('by the file as a whole number is held at shares of it, and nothing else is', async () => {
    const model = await load(drawing(randint), {});
    const aspects = model.aspects!()!;
    expect(Object.keys(aspects)).toEqual(['t1', 't64', 't256']);
    const drawnBy = (one: ScoringModel) => {
      const loss = one.loss();
      return inputsOf({ arena: loss.arena, outputs: { loss } }).map(nameOf);
    };
    expect(drawnBy(model).sort()).toEqual(['noise', 'r', 'x']);
    expect(drawnBy(aspects.t64!).sort()).toEqual(['noise', 'x']);
    const input = drawing([{ ...cast, inputs: ['t'] }]);
    const fixed = { ...input, inputs: [...input.inputs, { name: 't', dims: [1, 1], dtype: 'int64' as const }] };
    for (const t of [1, 64, 256]) {
      const wanted = await losses(await load(fixed, { constants: { t } }));
      expectClose(Float64Array.from(await losses(aspects[`t${t}`]!)), wanted, 1e-6, 'loss');
    }
  });

  it('is none that only chooses, dequantises, or is no whole number', async () => {
    const gate = [node('Sigmoid', ['column'], 'p'), node('Bernoulli', ['p'], 'time')];
    expect(await steps(drawing(gate))).toEqual([]);
    const classes = [
      node('Multinomial', ['x'], 'k', { dtype: 7, sample_size: 1 }),
      node('Cast', ['k'], 'time', { to: 1 }),
    ];
    expect(await steps(drawing(classes))).toEqual([]);
    expect(await steps(drawing([node('RandomUniformLike', ['column'], 'time')]))).toEqual([]);
    const time = node('Identity', ['u'], 'time');
    const input = network({ x: [4], u: [1] }, weights, [time, ...error, ...square, sum], ['loss']);
    expect(await steps(input, { uniform: ['u'] })).toEqual([]);
  });

  it('as a whole number of its name is the time whatever else is drawn', async () => {
    const own = [cast, ...error, node('RandomUniformLike', ['shift'], 'mask'), node('Mul', ['h', 'mask'], 'g')];
    const rest = [node('Sub', ['g', 'shift'], 'd'), square[1]!, sum];
    const net = network({ x: [4], t: [1] }, weights, [...own, ...rest], ['loss'], ['t']);
    expect(await steps(net, { integers: { t: [0, 999] } })).toEqual(['t1', 't64', 't256']);
  });

  const { FLOAT, INT64 } = proto;
  const ofFloats = (name: string, dims: readonly number[]) =>
    proto.tensor(name, dims, Float32Array.from(randomData(name, sizeOf(dims))));

  it('has none where steps have other parameters', async () => {
    const branch = (weight: string) => ({
      graph: proto.graph({ node: [proto.node('Mul', ['h', weight], ['y'])], output: [proto.value('y', FLOAT)] }),
    });
    const bytes = proto.modelBytes({
      node: [
        proto.node('MatMul', ['x', 'w'], ['h']),
        proto.node('Equal', ['t', 'zero'], ['isFirst']),
        proto.node('If', ['isFirst'], ['d'], { then_branch: branch('p'), else_branch: branch('q') }),
        proto.node('Mul', ['d', 'd'], ['s']),
        proto.node('ReduceSum', ['s', 'axis'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        ofFloats('w', [4, 4]),
        ofFloats('p', [4]),
        ofFloats('q', [4]),
        proto.tensor('zero', [1], BigInt64Array.of(0n)),
        proto.tensor('axis', [1], BigInt64Array.of(1n)),
      ],
      input: [proto.value('x', FLOAT, [1, 4]), proto.value('t', INT64, [1])],
      output: [proto.value('loss', FLOAT)],
    });
    const model = await onnxModel(bytes, 'branches.onnx', { integers: { t: [0, 9] } });
    expect(Object.keys(model.weights).sort()).toEqual(['p', 'q', 'w']);
    expect(model.aspects!()).toBeUndefined();
  });

  it('holds no other draw of the same name', async () => {
    const drawer = (name: string, op: string) =>
      create(FunctionProtoSchema, {
        name,
        domain: 'own',
        input: ['a'],
        output: ['r'],
        node: [proto.node(op, ['a'], ['r'])],
        opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })],
      });
    const bytes = proto.modelBytes(
      {
        node: [
          proto.node('MatMul', ['x', 'v'], ['column']),
          proto.node('uniform', ['column'], ['u'], {}, 'own'),
          proto.node('normal', ['x'], ['noise'], {}, 'own'),
          proto.node('Mul', ['u', 'ten'], ['u10']),
          proto.node('Cast', ['u10'], ['t'], { to: INT64 }),
          proto.node('Gather', ['table', 't'], ['row']),
          proto.node('Mul', ['noise', 'row'], ['shift']),
          proto.node('MatMul', ['x', 'w'], ['h']),
          proto.node('Add', ['h', 'shift'], ['d']),
          proto.node('Mul', ['d', 'd'], ['s']),
          proto.node('ReduceSum', ['s', 'axis'], ['loss'], { keepdims: 0 }),
        ],
        initializer: [
          ofFloats('w', [4, 4]),
          ofFloats('v', [4, 1]),
          ofFloats('table', [10]),
          proto.tensor('ten', [], Float32Array.of(10)),
          proto.tensor('axis', [1], BigInt64Array.of(1n)),
        ],
        input: [proto.value('x', FLOAT, [1, 4])],
        output: [proto.value('loss', FLOAT)],
      },
      17,
      {
        functions: [drawer('uniform', 'RandomUniformLike'), drawer('normal', 'RandomNormalLike')],
        opsetImport: [
          create(OperatorSetIdProtoSchema, { domain: '', version: 17n }),
          create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n }),
        ],
      },
    );
    const model = await onnxModel(bytes, 'functions.onnx');
    const drawn = (one: ScoringModel) => {
      const loss = one.loss();
      const inputs = inputsOf({ arena: loss.arena, outputs: { loss } });
      return inputs.flatMap(({ source }) => (source.kind === 'input' ? [`${source.name} ${source.from}`] : []));
    };
    expect(drawn(model).sort()).toEqual(['r uniform', 'r#2 normal', 'x data']);
    for (const one of Object.values(model.aspects!()!)) expect(drawn(one).sort()).toEqual(['r#2 normal', 'x data']);
  });
});
