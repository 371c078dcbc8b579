// Small ONNX models that have many kinds of nodes, and those of PyTorch's exporter where they are.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OnnxAttr } from '../../src/graph/index.ts';
import { encode, type OnnxModel } from '../../src/onnx/index.ts';
import {
  AttributeProto_AttributeType,
  create,
  fromBinary,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  toBinary,
} from '../../src/onnx/proto.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { join2 } from './bytes.ts';
import { noise, type Sample } from './format.ts';

type Node = readonly [op: string, inputs: string, output: string, attrs?: Readonly<Record<string, OnnxAttr>>];

function onnx(
  input: readonly number[],
  tensors: Readonly<Record<string, readonly number[]>>,
  nodes: readonly Node[],
): Uint8Array {
  const model: OnnxModel = {
    inputs: [{ name: 'x', dims: input, dtype: 'float' }],
    outputs: [{ name: 'nll', dims: [input[0]!], dtype: 'float' }],
    nodes: nodes.map(([op, inputs, output, attrs = {}]) => ({ op, inputs: inputs.split(' '), output, attrs })),
    // A capital is a weight of this shape, anything else a list of whole numbers; `_` makes it one number.
    initializers: Object.entries(tensors).map(([name, list]) =>
      /^[A-Z]/.test(name)
        ? { name, dims: list, dtype: 'float', data: noise(sizeOf(list)) }
        : {
            name,
            dims: name.endsWith('_') ? [] : [list.length],
            dtype: 'int64',
            data: BigInt64Array.from(list, BigInt),
          },
    ),
  };
  return encode(model);
}

export const besideName = 'weights.bin';

/**
 * A small network of images, one of shape arithmetic, and one as old exporters write it, with typed data and a branch.
 */
function onnxModels(): Uint8Array[] {
  const image = onnx(
    [1, 2, 6, 6],
    {
      ...{ W: [3, 2, 3, 3], B: [3], T: [3, 2, 2, 2], S: [2], M: [7, 5], V: [5] },
      ...{ sizes: [1, 2, 3, 3], pads: [0, 0, 0, 0, 0, 0, 1, 1], flat: [1, -1], from: [4], to: [2 ** 40], one: [1] },
      ...{ rows: [2, 7], axes: [0, 1] },
    },
    [
      [
        'Conv',
        'x W B',
        'conv',
        { kernel_shape: [3, 3], pads: [0, 0, 1, 1], strides: [2, 2], dilations: [1, 1], group: 1 },
      ],
      ['Relu', 'conv', 'relu'],
      ['MaxPool', 'relu', 'max', { kernel_shape: [2, 2], strides: [1, 1] }],
      ['ConvTranspose', 'max T', 'up', { strides: [2, 2] }],
      ['BatchNormalization', 'up S S S S', 'norm', { epsilon: { float: 1 } }],
      ['Resize', 'norm   sizes', 'small', { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }],
      ['AveragePool', 'small', 'mean', { kernel_shape: [2, 2], pads: [0, 0, 1, 1], strides: [2, 2], ceil_mode: 1 }],
      ['Pad', 'mean pads', 'pad', { mode: 'reflect' }],
      ['Reshape', 'pad flat', 'line'],
      ['Slice', 'line from to one', 'cut'],
      ['Reshape', 'cut rows', 'table'],
      ['MatMul', 'table M', 'product'],
      ['Add', 'product V', 'y'],
      ['Softplus', 'y', 'loss'],
      ['ReduceSum', 'loss axes', 'nll', { keepdims: 0 }],
    ],
  );
  const shapes = onnx(
    [1, 8],
    {
      ...{ W: [8], G: [8, 8], N: [2], first_: [0], four: [4], two: [2], zero: [0], one: [1], last: [-1], far: [-4] },
      ...{
        start_: [0],
        delta_: [2],
        end_: [8],
        pads: [0, 0, 0, 1],
        reps: [1, 2],
        picks: [3, 0, 1],
        depth: [2],
        parts: [4, 4],
      },
    },
    [
      ['Mul', 'x W', 'xw'],
      ['Shape', 'xw', 's'],
      ['Gather', 's first_', 'n', { axis: 0 }],
      ['Unsqueeze', 'n zero', 'n1'],
      ['Concat', 'n1 two four', 'to', { axis: 0 }],
      ['Reshape', 'xw to', 'cube'],
      ['Transpose', 'cube', 'turned', { perm: [0, 2, 1] }],
      ['Reshape', 'turned s', 'back'],
      ['Gemm', 'back G W', 'gemm', { transB: 1, alpha: { float: 0.5 } }],
      ['LayerNormalization', 'gemm W', 'ln', { axis: -1 }],
      ['Split', 'ln parts', 'half', { axis: 1 }],
      ['Pad', 'half pads', 'padded'],
      ['Tile', 'padded reps', 'tiled'],
      ['CumSum', 'tiled one', 'sums'],
      ['Gather', 'sums picks', 'picked', { axis: 1 }],
      ['Range', 'start_ end_ delta_', 'range'],
      ['Cast', 'range', 'float', { to: 1 }],
      ['ReduceMax', 'float', 'most', { keepdims: 1 }],
      ['Expand', 'most four', 'spread4'],
      ['Slice', 'spread4 last far zero last', 'spread'],
      ['Sub', 'picked spread', 'diff'],
      ['Trilu', 'diff', 'tri', { upper: 1 }],
      ['Softmax', 'tri', 'soft', { axis: -1 }],
      ['Clip', 'soft', 'clip'],
      ['Log', 'clip', 'log'],
      ['Greater', 'log most', 'more'],
      ['Where', 'more log diff', 'chosen'],
      ['Squeeze', 'chosen', 'flat'],
      ['ReduceMean', 'flat', 'nll', { keepdims: 0 }],
    ],
  );
  const split = fromBinary(ModelProtoSchema, shapes);
  split.graph!.node.find((node) => node.opType === 'Split')!.output.push('other half');
  const old = fromBinary(ModelProtoSchema, image);
  old.opsetImport[0]!.version = 11n;
  for (const t of old.graph!.initializer) {
    const { buffer, byteOffset, length } = t.rawData.slice();
    if (t.dataType === 1) t.floatData = [...new Float32Array(buffer, byteOffset, length / 4)];
    else t.int64Data = [...new BigInt64Array(buffer, byteOffset, length / 8)];
    t.rawData = new Uint8Array();
  }
  const { GRAPH, TENSOR, FLOAT } = AttributeProto_AttributeType;
  const tensor = (elemType: number) => ({ value: { case: 'tensorType', value: { elemType } } }) as const;
  const value = (dataType: number, n: number) => ({
    name: 'value',
    type: TENSOR,
    t: { dataType, int32Data: [n], int64Data: [BigInt(n)] },
  });
  const branch = { node: [{ opType: 'Identity', input: ['y'], output: ['z'] }], output: [{ name: 'z' }] };
  const body = {
    input: [
      { name: 'i', type: tensor(7) },
      { name: 'c', type: tensor(9) },
      { name: 'v', type: tensor(1) },
    ],
    node: [
      { opType: 'Identity', input: ['c'], output: ['c2'] },
      { opType: 'Mul', input: ['v', 'V'], output: ['v2'] },
    ],
    output: [{ name: 'c2' }, { name: 'v2' }],
  };
  const alpha = { name: 'alpha', type: FLOAT, refAttrName: 'alpha' };
  const added = create(ModelProtoSchema, {
    functions: [
      {
        ...{ name: 'Leak', domain: 'own', input: ['a'], output: ['b'], attribute: ['alpha'] },
        node: [{ opType: 'LeakyRelu', input: ['a'], output: ['b'], attribute: [alpha] }],
        opsetImport: [{ version: 11n }],
      },
    ],
    graph: {
      node: [
        { opType: 'Constant', output: ['yes'], attribute: [value(9, 1)] },
        { opType: 'Constant', output: ['rounds'], attribute: [value(7, 3)] },
        {
          ...{ opType: 'If', input: ['yes'], output: ['taken'] },
          attribute: ['then_branch', 'else_branch'].map((name) => ({ name, type: GRAPH, g: branch })),
        },
        {
          ...{ opType: 'Loop', input: ['rounds', 'yes', 'taken'], output: ['looped'] },
          attribute: [{ name: 'body', type: GRAPH, g: body }],
        },
        {
          ...{ opType: 'Leak', domain: 'own', input: ['looped'], output: ['chosen'] },
          attribute: [{ name: 'alpha', type: FLOAT, f: 0.2 }],
        },
      ],
    },
  });
  const at = old.graph!.node.findIndex((node) => node.opType === 'Softplus');
  old.graph!.node[at]!.input[0] = 'chosen';
  old.graph!.node.splice(at, 0, ...added.graph!.node);
  old.functions = added.functions;
  return [image, toBinary(ModelProtoSchema, split), toBinary(ModelProtoSchema, old)];
}

export function onnxSamples(): Sample[] {
  const [image, ...rest] = onnxModels();
  const split = fromBinary(ModelProtoSchema, image!);
  let beside: Uint8Array = new Uint8Array();
  for (const t of split.graph!.initializer) {
    const entries = { location: besideName, offset: String(beside.length), length: String(t.rawData.length) };
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    t.externalData = create(TensorProtoSchema, { externalData }).externalData;
    t.dataLocation = TensorProto_DataLocation.EXTERNAL;
    beside = join2(beside, t.rawData);
    t.rawData = new Uint8Array();
  }
  const own = [image!, ...rest].map((bytes) => ({ bytes }));
  return [...own, { bytes: toBinary(ModelProtoSchema, split), beside }, ...goldens()];
}

/** Models of PyTorch's exporter, where they are. */
function goldens(): Sample[] {
  const folder = fileURLToPath(new URL('../../../shared/goldens', import.meta.url));
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((file) => file.endsWith('.onnx'));
  return names.sort().map((file) => ({ bytes: new Uint8Array(readFileSync(join(folder, file))) }));
}
