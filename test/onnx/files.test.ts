// ONNX files beyond their nodes: external data and where it may lie, functions, and what is refused by name.

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { interpret } from '../../src/graph/index.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  FunctionProtoSchema,
} from '../../src/onnx/proto.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { externalTensor, FLOAT, type GraphParts, modelBytes, node, tensor, value } from '../support/proto.ts';

const floats = (name: string, dims: number[], values: number[]) => tensor(name, dims, Float32Array.from(values));
const input = (name: string, dims: (number | string)[]) => value(name, FLOAT, dims);

/** A model from x [n, 2] to y [n], where the parts do not say otherwise. */
const model = (parts: Partial<GraphParts> & Pick<GraphParts, 'node'>, more: object = {}) =>
  modelBytes({ input: [input('x', ['n', 2])], output: [input('y', ['n'])], ...parts }, 17, more);

/** Σ_j (x · w)_j, with w wherever it lies. */
const linear = (initializer: ReturnType<typeof floats>[]) => ({
  node: [node('MatMul', ['x', 'w'], ['h']), node('ReduceSum', ['h'], ['y'], { keepdims: 0 })],
  initializer,
});

it('bytes are read wherever they lie in the memory of a Node Buffer', () => {
  const bytes = model(linear([floats('w', [2, 2], [1, 2, 3, 4])]));
  for (const offset of [0, 1, 2, 3]) {
    const large = Buffer.alloc(bytes.length + offset);
    large.set(bytes, offset);
    const { weights } = importModel(decode(large.subarray(offset), 'm.onnx'), 'm.onnx');
    expect([...weights.w!.data]).toEqual([1, 2, 3, 4]);
  }
});

describe('external data', () => {
  const weights = Float32Array.of(9, 1, 2, 3, 4);

  it('are read from a file beside the model, at their place in it', async () => {
    await inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'w.bin'), weights);
      await writeFile(join(dir, 'm.onnx'), model(linear([externalTensor('w', [2, 2], 'w.bin', 4, 16)])));
      const { weights: found } = await loadOnnx(join(dir, 'm.onnx'));
      expect([...found.w!.data]).toEqual([1, 2, 3, 4]);
    });
  });

  it('of another content make another model', async () => {
    await inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), model(linear([externalTensor('w', [2, 2], 'w.bin', 0, 16)])));
      const hashes: string[] = [];
      for (const first of [1, 2]) {
        await writeFile(join(dir, 'w.bin'), Float32Array.of(first, 2, 3, 4));
        hashes.push((await loadOnnx(join(dir, 'm.onnx'))).hash);
      }
      expect(hashes[0]).not.toBe(hashes[1]);
    });
  });

  it.each([
    ['/etc/passwd', /external data '\/etc\/passwd' leaves the model's folder/],
    ['../w.bin', /external data '\.\.\/w\.bin' leaves the model's folder/],
    ['inner/../../w.bin', /leaves the model's folder/],
    ['link.bin', /is a link, expected a file in the model's folder/],
    ['linked/w.bin', /is a link, expected a file in the model's folder/],
    ['none.bin', /external data 'none\.bin' cannot be read/],
    ['.', /is not a file|cannot be read/],
  ])('%s is refused', async (location, message) => {
    await inTemporaryFolder(async (dir) => {
      const home = join(dir, 'model');
      await mkdir(home);
      await mkdir(join(dir, 'elsewhere'));
      for (const place of ['w.bin', 'elsewhere/w.bin']) await writeFile(join(dir, place), weights);
      await symlink(join(dir, 'w.bin'), join(home, 'link.bin'));
      await symlink(join(dir, 'elsewhere'), join(home, 'linked'));
      await writeFile(join(home, 'm.onnx'), model(linear([externalTensor('w', [2, 2], location, 4, 16)])));
      const loaded = loadOnnx(join(home, 'm.onnx'));
      await expect(loaded).rejects.toThrow(ModelError);
      await expect(loaded).rejects.toThrow(message);
    });
  });

  it.each([
    [[2, 2], 8, 16, /is at bytes 8 to 24 of 'w\.bin', which has 20/],
    [[2, 2], 4, 12, /has 12 bytes of data, expected 16/],
    [[2, 2 ** 40], 4, 16, /has 16 bytes of data, expected/],
  ] as const)('of %j at %d, %d bytes long, are refused', async (dims, offset, length, message) => {
    await inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'w.bin'), weights);
      await writeFile(join(dir, 'm.onnx'), model(linear([externalTensor('w', [...dims], 'w.bin', offset, length)])));
      await expect(loadOnnx(join(dir, 'm.onnx'))).rejects.toThrow(message);
    });
  });
});

describe('functions of a model', () => {
  const ref = create(AttributeProtoSchema, {
    name: 'alpha',
    refAttrName: 'slope',
    type: AttributeProto_AttributeType.FLOAT,
  });
  const leaky = node('LeakyRelu', ['h'], ['b']);
  leaky.attribute.push(ref);
  const twice = create(FunctionProtoSchema, {
    name: 'Bent',
    domain: 'own',
    input: ['a', 'w'],
    output: ['b'],
    attribute: ['slope'],
    node: [node('MatMul', ['a', 'w'], ['h']), leaky],
  });
  const bytes = (functions: (typeof twice)[]) =>
    model(
      {
        node: [
          node('Bent', ['x', 'w'], ['p'], { slope: { float: 0.5 } }, 'own'),
          node('Bent', ['p', 'w'], ['q'], {}, 'own'),
          node('ReduceSum', ['q'], ['y'], { keepdims: 0 }),
        ],
        initializer: [floats('w', [2, 2], [1, -2, 3, 4])],
      },
      { functions },
    );

  it('are put in place of the nodes that call them, with their attributes', () => {
    const { loss, weights } = importModel(decode(bytes([twice]), 'm'), 'm');
    const found = interpret({ arena: loss.arena, outputs: { loss } }, { w: weights.w!.data, x: [1, -1] }).loss!
      .data[0]!;
    const bent = (v: number[], by: number) =>
      [v[0]! + 3 * v[1]!, -2 * v[0]! + 4 * v[1]!].map((h) => (h < 0 ? by * h : h));
    const expected = bent(bent([1, -1], 0.5), 0.01); // 0.01: LeakyRelu's own default, as the second call says nothing
    expect(found).toBeCloseTo(expected[0]! + expected[1]!, 6);
  });

  it('that call themselves are refused', () => {
    const endless = create(FunctionProtoSchema, {
      name: 'Bent',
      domain: 'own',
      input: ['a', 'w'],
      output: ['b'],
      node: [node('Bent', ['a', 'w'], ['b'], {}, 'own')],
    });
    expect(() => importModel(decode(bytes([endless]), 'm'), 'm')).toThrow(/functions call one another 32 deep/);
  });

  it('that are missing are named', () => {
    expect(() => importModel(decode(bytes([]), 'm'), 'm')).toThrow(
      /m: Bent 'Bent p': the operator own\.Bent is not supported/,
    );
  });
});

describe('operators that are not supported', () => {
  const many = (op: string, domain = '') =>
    bytesOf(Array.from({ length: 30 }, (_, k) => node(op, [k === 0 ? 'a' : `x${k - 1}`], [`x${k}`], {}, domain)));
  const bytesOf = (nodes: ReturnType<typeof node>[]) =>
    modelBytes({
      input: [value('x', FLOAT, ['n', 2])],
      node: [
        node('Mul', ['x', 'w'], ['a']),
        ...nodes,
        node('TfIdfVectorizer', ['x29'], ['y']),
        node('ReduceSum', ['y'], ['loss']),
      ],
      initializer: [floats('w', [2], [1, 2])],
      output: [value('loss', FLOAT, ['n'])],
    });
  const refusal = (bytes: Uint8Array) => () => importModel(decode(bytes, 'm'), 'm');

  it('are counted in one line, with what to do', () => {
    expect(refusal(many('StringNormalizer'))).toThrow(
      "m: StringNormalizer 'StringNormalizer x0': the operator StringNormalizer is not supported (30 nodes), nor are TfIdfVectorizer; do this to the data before they go to the model",
    );
    expect(refusal(many('FusedMatMul', 'com.microsoft'))).toThrow(
      /com\.microsoft\.FusedMatMul is not supported \(30 nodes\), .*optimised for ONNX Runtime: give it as the exporter wrote it/,
    );
    expect(refusal(many('TreeEnsemble', 'ai.onnx.ml'))).toThrow(/have no gradient to measure/);
    expect(refusal(many('Adam', 'ai.onnx.preview.training'))).toThrow(/export the model alone, without its training/);
    expect(refusal(many('MatMulInteger'))).toThrow(/export the model before it is quantised/);
  });

  it('nodes that are refused for their attributes are counted, too', () => {
    const nodes = Array.from({ length: 30 }, (_, k) =>
      node('Hardmax', [k === 0 ? 'a' : `x${k - 1}`], [`x${k}`], { axis: 7 }),
    );
    expect(refusal(bytesOf(nodes))).toThrow(/axis 7 of a value of shape \[1,2\] \(one of 30 such nodes\)/);
  });

  it('values of another type than an operator takes are refused where they are', () => {
    const nodes = (op: string, operands: string[]) => [
      node('Cast', ['a'], ['whole'], { to: 7 }),
      node(op, operands, ['x29']),
    ];
    expect(refusal(bytesOf(nodes('Sigmoid', ['whole'])))).toThrow(
      /m: Sigmoid 'Sigmoid x29': of int values, takes floats/,
    );
    expect(refusal(bytesOf(nodes('Add', ['whole', 'a'])))).toThrow(/Add 'Add x29': of int and float values/);
    expect(refusal(bytesOf(nodes('Not', ['a'])))).toThrow(/Not 'Not x29': of float values, takes truth values/);
    expect(refusal(bytesOf(nodes('Where', ['a', 'a', 'a'])))).toThrow(/of float values, takes truth values/);
  });
});

describe('inspect', () => {
  it('lists what a model holds and which nodes stop it', async () => {
    await inTemporaryFolder(async (dir) => {
      const path = join(dir, 'm.onnx');
      const parts = {
        node: [node('StringNormalizer', ['x'], ['h']), node('ReduceSum', ['h'], ['y'])],
        initializer: [floats('w', [2], [1, 2])],
      };
      await writeFile(path, model(parts));
      const { code, stdout, stderr } = await runCli('inspect', path);
      expect(code).toBe(1);
      expect(stdout).toContain(
        "not supported: StringNormalizer, node 'StringNormalizer h'; do this to the data before they go to the model",
      );
      expect(stdout).toContain('input   x  float [n, 2]');
      expect(stderr).toContain('the operator StringNormalizer is not supported');
      const json = await runCli('inspect', path, '--json');
      expect(JSON.parse(json.stdout).unsupported).toEqual([
        { node: 'StringNormalizer h', operator: 'StringNormalizer' },
      ]);
    });
  });
});

describe('what a model must have is said where it has not', () => {
  const w = floats('w', [2, 2], [1, 2, 3, 4]);
  it.each([
    ['a loss per example', { ...linear([w]), output: [input('h', ['n', 2])] }, /output 'h' is \[1,2\] for one example/],
    [
      'a free size',
      { ...linear([w]), input: [input('x', ['n', 'length'])] },
      /axis 1 of input 'x' is 'length', a size that is not fixed/,
    ],
    ['operands that fit', linear([floats('w', [3, 2], [1, 2, 3, 4, 5, 6])]), /MatMul 'MatMul h': \[1,2\] × \[3,2\]/],
    ['all operands', linear([]), /MatMul 'MatMul h': nothing before it makes 'w'/],
    [
      'a loss that depends on the data',
      { node: [node('ReduceSum', ['w'], ['y'])], initializer: [w] },
      /output 'y' does not depend on the data/,
    ],
    ['parameters', { node: [node('ReduceSum', ['x'], ['y'])] }, /output 'y' depends on no parameters/],
    ['nodes for its output', { node: [node('ReduceSum', ['x'], ['z'])] }, /no node gives the output 'y'/],
  ])('%s', (_what, parts, message) => {
    expect(() => importModel(decode(model(parts), 'm'), 'm')).toThrow(message);
  });

  it.each([
    [{ normal: ['eps'] }, /has no input 'eps'; its inputs are x/],
    [{ loss: 'z' }, /has no output 'z'; it has y/],
    [{ params: /^nothing/ }, /no parameter matches \/\^nothing\/; there are w/],
  ])('options %j', (options, message) => {
    expect(() => importModel(decode(model(linear([w])), 'm'), 'm', options)).toThrow(message);
  });
});

describe('an input and an initialiser of one name', () => {
  const two = (dims: readonly number[], shape: readonly (number | string)[]) =>
    modelBytes(
      {
        input: [value('x', FLOAT, ['n', 2]), value('w', FLOAT, shape)],
        node: [node('Mul', ['x', 'w'], ['r']), node('ReduceSum', ['r', 'axes'], ['y'], { keepdims: 0 })],
        initializer: [
          tensor('w', dims, Float32Array.of(0.5, -2).subarray(0, dims.at(-1)!)),
          tensor('axes', [1], BigInt64Array.of(1n)),
        ],
        output: [value('y', FLOAT, ['n'])],
      },
      17,
    );

  it('are the input with its value, where they are alike', () => {
    for (const shape of [[2], ['k']]) {
      const { weights, data } = importModel(decode(two([2], shape), 'm'), 'm');
      expect(Object.keys(weights)).toEqual(['w']);
      expect(Object.keys(data)).toEqual(['x']);
    }
  });

  it('are refused where they cannot be one tensor', () => {
    expect(() => decode(two([2], ['n', 2]), 'm')).toThrow(
      "m: two tensors are named 'w', an input float [n,2] and an initialiser float [2]",
    );
    expect(() => decode(two([1], [2]), 'm')).toThrow(/two tensors are named 'w'/);
  });

  it('or a result of the same name are refused, too', () => {
    const bytes = modelBytes(
      {
        input: [value('x', FLOAT, ['n', 2])],
        node: [node('Mul', ['x', 'w'], ['x']), node('ReduceSum', ['x', 'axes'], ['y'], { keepdims: 0 })],
        initializer: [tensor('w', [2], Float32Array.of(0.5, -2)), tensor('axes', [1], BigInt64Array.of(1n))],
        output: [value('y', FLOAT, ['n'])],
      },
      17,
    );
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(
      "m: Mul 'Mul x': its result is named 'x', as another value of the file is",
    );
  });
});
