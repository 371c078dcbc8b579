// Nodes whose attributes contradict their operands, in files that are otherwise sound: refused by name with both sides,
// as ONNX Runtime refuses them. And files as a whole: versions that are not known, weights that are no numbers.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { ModelError } from '../../src/errors.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { decode, importModel, NEWEST_OPSET } from '../../src/onnx/index.ts';
import { create, FunctionProtoSchema, OperatorSetIdProtoSchema } from '../../src/onnx/proto.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { type Attr, FLOAT, modelBytes, node, value } from '../support/proto.ts';
import { type Configuration, type Element, initializer, type Operand } from './configuration.ts';
import { imported, runtimeResults } from './run.ts';

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const f = (...shape: number[]): Operand => {
  const data = Array.from({ length: size(shape) }, (_, i) => Math.fround(Math.sin(i + 1)));
  return { shape, element: 'float', role: 'input', examples: [data, data] };
};
const of = (element: Element, shape: readonly number[], data: readonly number[]): Operand => ({
  shape,
  element,
  role: 'weight',
  examples: [data, data],
});
const ints = (...data: number[]) => of('int64', [data.length], data);
const floats = (...data: number[]) => of('float', [data.length], data);

type Case = readonly [
  what: string,
  op: string,
  operands: Configuration['operands'],
  attrs: Readonly<Record<string, Attr>>,
  message: RegExp,
  more?: Partial<Configuration>,
];

const x = f(1, 2, 5, 6);
const w = f(3, 2, 3, 3);
const cases: readonly Case[] = [
  [
    'kernel_shape and weight',
    'Conv',
    [x, w],
    { kernel_shape: [2, 2] },
    /kernel_shape \[2,2\], its weight \[3,2,3,3\] has \[3,3\]/,
  ],
  [
    'kernel_shape and weight',
    'ConvTranspose',
    [x, f(2, 3, 3, 3)],
    { kernel_shape: [3, 2] },
    /kernel_shape \[3,2\], its weight/,
  ],
  ['pads of three axes', 'Conv', [x, w], { pads: [1, 1, 1, 1, 1, 1] }, /pads has 6 numbers, expected 4/],
  ['strides of one axis', 'Conv', [x, w], { strides: [2] }, /strides has 1 numbers, expected 2/],
  ['dilations of three axes', 'Conv', [x, w], { dilations: [1, 1, 1] }, /dilations has 3 numbers, expected 2/],
  ['a padding rule of no name', 'Conv', [x, w], { auto_pad: 'SAME' }, /auto_pad 'SAME', expected one of/],
  ['groups and channels', 'Conv', [x, w], { group: 2 }, /2 channels, the weight expects 4/],
  ['a bias of another size', 'Conv', [x, w, f(4)], {}, /bias \[4\], the weight has 3/],
  ['a bias of another size', 'ConvTranspose', [x, f(2, 3, 3, 3), f(4)], {}, /bias \[4\] for 3 output channels/],
  ['a weight of another rank', 'Conv', [x, f(3, 2, 3)], {}, /the numbers of axes do not fit/],
  [
    'output_padding of one axis',
    'ConvTranspose',
    [x, f(2, 3, 3, 3)],
    { output_padding: [1] },
    /output_padding has 1 numbers/,
  ],
  ['strides of one axis', 'MaxPool', [x], { kernel_shape: [2, 2], strides: [2] }, /strides has 1 numbers, expected 2/],
  ['a kernel of one axis', 'AveragePool', [x], { kernel_shape: [2] }, /\[1,2,5,6\] has not 1 spatial axes/],
  ['a window larger than the image', 'AveragePool', [x], { kernel_shape: [7, 2] }, /a window of 7 for an axis of 5/],
  [
    'parts that do not add up',
    'Split',
    [f(4, 5), ints(2, 1)],
    { axis: 0 },
    /parts of 2, 1 of an axis of 4/,
    { outputs: [true, true] },
  ],
  [
    'parts of another number',
    'Split',
    [f(4, 5), ints(2, 1, 1)],
    {},
    /parts of 2, 1, 1 .* for 2 outputs/,
    { outputs: [true, true] },
  ],
  [
    'num_outputs and outputs',
    'Split',
    [f(6, 5)],
    { num_outputs: 3 },
    /num_outputs 3 for 2 outputs/,
    { outputs: [true, true] },
  ],
  [
    'parts that are not equal',
    'Split',
    [f(5, 2)],
    {},
    /5 elements in 2 equal parts/,
    { outputs: [true, true], opset: 13 },
  ],
  ['starts without ends', 'Slice', [f(4, 5), ints(0, 1), ints(2)], {}, /2, 1, 2, 2 starts, ends, axes and steps/],
  ['pads of one axis', 'Pad', [f(2, 3), ints(1, 1)], {}, /2 pads, expected 4/],
  ['repetitions of one axis', 'Tile', [f(2, 3), ints(2)], {}, /1 repetitions for \[2,3\]/],
  ['a permutation of three', 'Transpose', [f(2, 3)], { perm: [0, 1, 2] }, /does not permute the axes/],
  ['an axis that is not of size 1', 'Squeeze', [f(2, 3), ints(0)], {}, /axis 0 of \[2,3\] is not of size 1/],
  ['an axis beyond the shape', 'Flatten', [f(2, 3)], { axis: 3 }, /axis 3 of a value of shape \[2,3\]/],
  ['an axis beyond the shape', 'Concat', [f(2, 3), f(2, 3)], { axis: 2 }, /axis 2/],
  ['indices of another rank', 'GatherElements', [f(3, 4), ints(0, 1)], {}, /indices \[2\] for \[3,4\]/],
  [
    'updates of another shape',
    'ScatterElements',
    [f(3, 4), of('int64', [1, 2], [0, 1]), f(1, 3)],
    {},
    /operand 2 is \[1,3\], expected \[1,2\]/,
  ],
  [
    'updates of another shape',
    'ScatterND',
    [f(3, 4), of('int64', [2, 1], [0, 1]), f(2, 3)],
    {},
    /operand 2 is \[2,3\], expected \[2,4\]/,
  ],
  [
    'batches of another size',
    'GatherND',
    [f(2, 3), of('int64', [3, 1], [0, 1, 0])],
    { batch_dims: 1 },
    /1 axes of them batches/,
  ],
  ['blocks that do not fit', 'DepthToSpace', [f(1, 6, 2, 2)], { blocksize: 2 }, /\[1,6,2,2\] in blocks of 2/],
  ['blocks that do not fit', 'SpaceToDepth', [f(1, 2, 3, 4)], { blocksize: 2 }, /\[1,2,3,4\] in blocks of 2/],
  [
    'statistics of other channels',
    'BatchNormalization',
    [x, f(3), f(2), f(2), f(2)],
    {},
    /operand 1 is \[3\], expected \[2\]/,
  ],
  ['scales of other channels', 'InstanceNormalization', [x, f(3), f(2)], {}, /operand 1 is \[3\], expected \[2\]/],
  [
    'groups and channels',
    'GroupNormalization',
    [f(1, 6, 2), f(6), f(6)],
    { num_groups: 4 },
    /6 channels in 4 groups/,
    { opset: 21 },
  ],
  ['a scale of another shape', 'LayerNormalization', [f(2, 3), f(2)], {}, /operand 1 is \[2\], expected \[3\]/],
  [
    'a scale of another shape',
    'RMSNormalization',
    [f(2, 3), f(2)],
    {},
    /operand 1 is \[2\], expected \[3\]/,
    { opset: 23 },
  ],
  ['slopes of another shape', 'PRelu', [f(2, 3), f(2)], {}, /slopes \[2\] for \[2,3\]/],
  [
    'three values',
    'OneHot',
    [of('int64', [2], [0, 1]), of('int64', [], [3]), floats(0, 1, 2)],
    {},
    /operand 2 is \[3\], expected \[2\]/,
  ],
  ['more than there are', 'TopK', [f(2, 3), ints(4)], {}, /the 4 largest of 3/, { outputs: [true, true] }],
  ['an equation for others', 'Einsum', [f(2, 3)], { equation: 'ij,jk->ik' }, /is for 2 operands, there are 1/],
  ['an equation of other axes', 'Einsum', [f(2, 3), f(3)], { equation: 'ijk,k->ij' }, /for a value of 2 axes/],
  ['a bias of another shape', 'Gemm', [f(2, 3), f(3, 4), f(3)], {}, /operand 2 is \[3\], the product \[2,4\]/],
  [
    'hidden_size and weights',
    'GRU',
    [f(2, 1, 3), f(1, 6, 3), f(1, 6, 2)],
    { hidden_size: 3 },
    /hidden_size 3, its recurrence weights/,
  ],
  [
    'heads and operands',
    'Attention',
    [f(1, 2, 3, 4), f(1, 2, 3, 4), f(1, 2, 3, 4)],
    { q_num_heads: 3 },
    /q_num_heads 3, its operand has 2/,
    { opset: 23 },
  ],
  [
    'heads and operands',
    'RotaryEmbedding',
    [f(1, 2, 3, 4), f(1, 3, 2), f(1, 3, 2)],
    { num_heads: 3 },
    /num_heads 3, its operand has 2/,
    { opset: 23 },
  ],
  [
    'scales and sizes',
    'Resize',
    [x, undefined, floats(1, 1, 2, 2), ints(1, 2, 10, 12)],
    {},
    /scales and sizes, expected one/,
  ],
  ['scales of three axes', 'Resize', [x, undefined, floats(1, 2, 2)], {}, /3 scales for 4 axes/],
  [
    'labels of another shape',
    'NegativeLogLikelihoodLoss',
    [f(2, 3, 4), of('int64', [2, 5], new Array(10).fill(0))],
    {},
    /operand 1 is \[2,5\], expected \[2,4\]/,
  ],
  [
    'weights of other classes',
    'SoftmaxCrossEntropyLoss',
    [f(2, 3), of('int64', [2], [0, 1]), f(4)],
    {},
    /operand 2 is \[4\], expected \[3\]/,
  ],
  ['steps of 0', 'Range', [of('int64', [], [0]), of('int64', [], [3]), of('int64', [], [0])], {}, /steps of 0/],
  ['three axes', 'EyeLike', [f(2, 3, 4)], {}, /\[2,3,4\], expected two axes/],
];

/** Where ONNX Runtime takes one side for right, or reads on: the file is no less contradictory. */
const taken = new Set([
  'Attention',
  'RotaryEmbedding',
  'Range',
  'GroupNormalization',
  'NegativeLogLikelihoodLoss',
  'SoftmaxCrossEntropyLoss',
]);

describe('a node that contradicts itself', () => {
  it.each(cases.map((c) => [c[0], c[1], c] as const))(
    '%s: %s',
    async (what, op, [, , operands, attrs, message, more]) => {
      const c: Configuration = { op, opset: 18, operands, attrs, ...more };
      expect(() => imported(c)).toThrow(ModelError);
      expect(() => imported(c)).toThrow(message);
      expect(() => imported(c)).toThrow(new RegExp(`^m: ${op} '`));
      if (!taken.has(op) && !what.startsWith('num_outputs')) await expect(runtimeResults(c)).rejects.toThrow();
    },
  );
});

const affine = (weight: readonly number[], opset = 17, more: object = {}) =>
  modelBytes(
    {
      node: [node('MatMul', ['x', 'net.weight'], ['y'])],
      initializer: [initializer('net.weight', [2, 1], 'float', weight)],
      input: [value('x', FLOAT, ['n', 2])],
      output: [value('y', FLOAT, ['n', 1])],
    },
    opset,
    more,
  );

describe('a file of operators that are not known', () => {
  const open = (bytes: Uint8Array) => () => importModel(decode(bytes, 'm.onnx'), 'm.onnx');

  it('opset 99: the newest is named', () => {
    expect(open(affine([1, 2], 99))).toThrow(
      `m.onnx: opset 99, the newest known is ${NEWEST_OPSET}; export it with opset_version=${NEWEST_OPSET} or less`,
    );
  });

  it('opset 6: the oldest is named', () => {
    expect(open(affine([1, 2], 6))).toThrow('m.onnx: opset 6, expected at least 7');
  });

  it('the newest opset opens', () => {
    expect(open(affine([1, 2], NEWEST_OPSET))).not.toThrow();
  });

  it('a function of another opset', () => {
    const opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: 9n })];
    const f = create(FunctionProtoSchema, { name: 'f', domain: 'd', input: ['a'], output: ['b'], opsetImport });
    expect(open(affine([1, 2], 17, { functions: [f] }))).toThrow(
      "m.onnx: function 'f' is written for opset 9, the model for 17",
    );
  });
});

describe('weights that are no numbers', () => {
  const opened = (bytes: Uint8Array) =>
    inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), bytes);
      const model = await loadOnnx(join(dir, 'm.onnx'));
      const extractor = await openExtractor(model, { threads: 1 });
      const data = memoryDataset('d', 1, 'f', { x: { data: Float32Array.of(1, 2), shape: [2] } });
      const table = await extractor.table(data);
      await extractor.dispose();
      return table;
    });

  it.each([
    ['NaN', Number.NaN, 'NaN'],
    ['infinity', Infinity, 'Infinity'],
  ])('%s is blamed on the file, naming the tensor', async (_what, bad, text) => {
    await expect(opened(affine([1, bad]))).rejects.toThrow(ModelError);
    await expect(opened(affine([1, bad]))).rejects.toThrow(
      new RegExp(
        `m\\.onnx: parameter 'net\\.weight' \\[2,1\\] holds ${text} at element 1: the model's weights are damaged`,
      ),
    );
  });

  it('numbers beyond float32 are named as they stand in the file', async () => {
    const bytes = modelBytes({
      node: [node('Cast', ['net.weight'], ['w'], { to: FLOAT }), node('MatMul', ['x', 'w'], ['y'])],
      initializer: [initializer('net.weight', [2, 1], 'double', [1, 1e300])],
      input: [value('x', FLOAT, ['n', 2])],
      output: [value('y', FLOAT, ['n', 1])],
    });
    await expect(opened(bytes)).rejects.toThrow(
      "'net.weight' [2,1] holds 1e+300, which is beyond float32 at element 1",
    );
  });

  it('finite ones are scored', async () => {
    expect((await opened(affine([1, 2]))).nll[0]).toBe(5);
  });
});
