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

  const constant = (name: string, value: number) =>
    ({ name, dims: [], dtype: 'float', data: Float32Array.of(value) }) as const;

  /**
   * The network sees x + amount · noise, [n, 4]; `draw` gives `time` [n, 1], and `amount` from it what its name says.
   */
  const drawing = (
    draw: readonly OnnxNode[],
    amount: readonly OnnxNode[] = [node('Div', ['time', 'thousand'], 'amount')],
    inputs: Readonly<Record<string, 'float' | 'int64'>> = {},
  ): OnnxModel => {
    const column = node('MatMul', ['x', 'v'], 'column'); // [n, 1]
    const noised = [
      node('RandomNormalLike', ['x'], 'noise'),
      node('Mul', ['noise', 'amount'], 'more'),
      node('Add', ['x', 'more'], 'seen'),
    ];
    const rest = [node('MatMul', ['seen', 'w'], 'h'), error[1]!, ...square, sum];
    const nodes = [column, ...draw, ...amount, ...noised, ...rest];
    const net = network({ x: [4] }, { ...weights, v: [4, 1] }, nodes, ['loss']);
    const own = Object.entries(inputs).map(([name, dtype]) => ({ name, dims: [1, 1], dtype }));
    const constants = [constant('thousand', 1000), constant('last', 999), constant('one', 1)];
    return { ...net, inputs: [...net.inputs, ...own], initializers: [...net.initializers, ...constants] };
  };
  const uniform = node('RandomUniformLike', ['column'], 'u');
  const randint = [uniform, node('Mul', ['u', 'thousand'], 'u1000'), node('Cast', ['u1000'], 't', { to: 7 }), cast];
  const aspectsOf = async (net: OnnxModel, options: OnnxOptions = {}) => (await load(net, options)).aspects?.() ?? {};

  /** That the aspects are the same file with the time given. */
  async function expectHeld(net: OnnxModel, options: OnnxOptions, given: OnnxModel, wanted: Record<string, number>) {
    const aspects = await aspectsOf(net, options);
    expect(Object.keys(aspects)).toEqual(Object.keys(wanted));
    for (const [name, t] of Object.entries(wanted)) {
      const fixed = await losses(await load(given, { constants: { t } }));
      expectClose(Float64Array.from(await losses(aspects[name]!)), fixed, 1e-5, name);
    }
  }
  const givenWhole = drawing([cast], undefined, { t: 'int64' });
  const givenReal = (amount: readonly OnnxNode[]) => drawing([node('Identity', ['t'], 'time')], amount, { t: 'float' });
  const asIs = [node('Identity', ['time'], 'amount')];
  const turned = [node('Sub', ['one', 'time'], 'amount')];

  it('by the file as a whole number is held at shares of it, and nothing else is', async () => {
    const net = drawing(randint);
    await expectHeld(net, {}, givenWhole, { t1: 1, t64: 64, t256: 256 });
    const drawnBy = (one: ScoringModel) => {
      const loss = one.loss();
      return inputsOf({ arena: loss.arena, outputs: { loss } }).map(nameOf).sort();
    };
    expect(drawnBy(await load(net, {}))).toEqual(['noise', 'u', 'x']);
    expect(drawnBy((await aspectsOf(net)).t64!)).toEqual(['noise', 'x']);
  });

  it('as a real number is held at shares from the end where there is less noise', async () => {
    const real = [node('RandomUniformLike', ['column'], 'time')];
    await expectHeld(drawing(real, asIs), {}, givenReal(asIs), { t1: 0.0015, t64: 0.0645, t256: 0.2565 });
    await expectHeld(drawing(real, turned), {}, givenReal(turned), { t1: 0.9985, t64: 0.9355, t256: 0.7435 });
    const input = { uniform: ['t'] };
    await expectHeld(givenReal(turned), input, givenReal(turned), { t1: 0.9985, t64: 0.9355, t256: 0.7435 });
  });

  it('as a whole number is counted from the end where there is less noise, whatever it is called', async () => {
    const left = [node('Sub', ['last', 'time'], 'left'), node('Div', ['left', 'thousand'], 'amount')];
    const given = drawing([cast], left, { t: 'int64' });
    await expectHeld(given, { integers: { t: [0, 999] } }, given, { t998: 998, t935: 935, t743: 743 });
    const level = drawing([node('Cast', ['level'], 'time', { to: 1 })], undefined, { level: 'int64' });
    const wanted = { t1: 1, t64: 64, t256: 256 };
    await expectHeld(level, { integers: { level: [0, 999] } }, givenWhole, wanted);
  });

  it('is none that only chooses or dequantises, nor one of two', async () => {
    const gate = [node('Sigmoid', ['column'], 'p'), node('Bernoulli', ['p'], 'time')];
    expect(await aspectsOf(drawing(gate))).toEqual({});
    const classes = [
      node('Multinomial', ['x'], 'k', { dtype: 7, sample_size: 1 }),
      node('Cast', ['k'], 'time', { to: 1 }),
    ];
    expect(await aspectsOf(drawing(classes))).toEqual({});
    const both = [uniform, node('RandomUniformLike', ['column'], 'v1'), node('Mul', ['u', 'v1'], 'time')];
    expect(await aspectsOf(drawing(both, asIs))).toEqual({});
    // Of a VAE: the uniform number is added to the data, the noise meets what is learned.
    const vae = [
      uniform,
      node('Add', ['x', 'u'], 'seen'),
      node('MatMul', ['seen', 'w'], 'mean'),
      node('RandomNormalLike', ['mean'], 'noise'),
      node('Add', ['mean', 'noise'], 'h'),
      node('Mul', ['h', 'b'], 'd'),
    ];
    const column = node('MatMul', ['x', 'v'], 'column');
    const nodes = [column, ...vae, square[1]!, sum];
    expect(await aspectsOf(network({ x: [4] }, { ...weights, v: [4, 1] }, nodes, ['loss']))).toEqual({});
  });

  it('as a whole number of its name is the time whatever else is drawn', async () => {
    const own = [cast, ...error, node('RandomUniformLike', ['shift'], 'mask'), node('Mul', ['h', 'mask'], 'g')];
    const rest = [node('Sub', ['g', 'shift'], 'd'), square[1]!, sum];
    const net = network({ x: [4], t: [1] }, weights, [...own, ...rest], ['loss'], ['t']);
    expect(Object.keys(await aspectsOf(net, { integers: { t: [0, 999] } }))).toEqual(['t1', 't64', 't256']);
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
          proto.node('Mul', ['noise', 'row'], ['more']),
          proto.node('Add', ['x', 'more'], ['seen']),
          proto.node('MatMul', ['seen', 'w'], ['d']),
          proto.node('Mul', ['d', 'd'], ['s']),
          proto.node('ReduceSum', ['s', 'axis'], ['loss'], { keepdims: 0 }),
        ],
        initializer: [
          ofFloats('w', [4, 4]),
          ofFloats('v', [4, 1]),
          proto.tensor(
            'table',
            [10],
            Float32Array.from({ length: 10 }, (_, k) => k / 10),
          ),
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
