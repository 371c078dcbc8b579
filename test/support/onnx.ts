// ONNX models of one node: bytes for ONNX Runtime, and the same node as values of our graph.

import { Arena, interpret, type Value } from '../../src/graph/index.ts';
import { NodeContext, type OnnxModel, type OnnxNode, type OnnxTensor, operators } from '../../src/onnx/index.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  toBinary,
  ValueInfoProtoSchema,
} from '../../src/onnx/proto.ts';
import { constantData } from '../../src/ops/index.ts';
import { openSession } from '../../src/runtime/node.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { randomData } from './run.ts';

/** An operand: random floats of a shape, or given numbers. */
export interface Operand {
  readonly shape: Shape;
  /** Given numbers; floats are random without. */
  readonly data?: readonly number[];
  readonly dtype?: 'float' | 'int' | 'bool';
  /** Random floats are made positive. */
  readonly positive?: boolean;
  /** Floats that are constants of the model, not something to differentiate. */
  readonly constant?: boolean;
}

export type Attr =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] };

export interface NodeCase {
  readonly op: string;
  /** undefined stands for an operand left out. */
  readonly operands: readonly (Operand | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  readonly opset?: number;
  readonly outputs?: number;
}

export const dataOf = (operand: Operand, i: number): Float64Array => {
  if (operand.data) return Float64Array.from(operand.data);
  const random = randomData(`operand ${i}`, sizeOf(operand.shape));
  return Float64Array.from(random, (v) => Math.fround(operand.positive ? Math.exp(v / 2) + 0.2 : v));
};

export const isFree = (operand: Operand | undefined): boolean =>
  operand !== undefined && (operand.dtype ?? 'float') === 'float' && !operand.constant && operand.data === undefined;

const elemTypes = {
  float: TensorProto_DataType.FLOAT,
  int: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
} as const;

function rawOf(dtype: 'float' | 'int' | 'bool', data: Float64Array): Uint8Array<ArrayBuffer> {
  if (dtype === 'bool') return Uint8Array.from(data);
  const typed = dtype === 'float' ? Float32Array.from(data) : BigInt64Array.from(data as ArrayLike<number>, BigInt);
  return new Uint8Array(typed.buffer);
}

function attribute(name: string, value: Attr) {
  const { INT, INTS, FLOAT, FLOATS, STRING, STRINGS } = AttributeProto_AttributeType;
  if (typeof value === 'number') return create(AttributeProtoSchema, { name, type: INT, i: BigInt(value) });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: STRING, s: new TextEncoder().encode(value) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: FLOAT, f: value.float });
  if ('strings' in value) {
    return create(AttributeProtoSchema, {
      name,
      type: STRINGS,
      strings: value.strings.map((t) => new TextEncoder().encode(t)),
    });
  }
  if ('floats' in value) return create(AttributeProtoSchema, { name, type: FLOATS, floats: [...value.floats] });
  return create(AttributeProtoSchema, { name, type: INTS, ints: value.map(BigInt) });
}

/** The node's first output as ONNX Runtime computes it, as floats. */
export async function runtimeOutput(c: NodeCase): Promise<Float32Array> {
  const outputs = Array.from({ length: c.outputs ?? 1 }, (_, k) => `y${k}`);
  const node = create(NodeProtoSchema, {
    name: 'node',
    opType: c.op,
    input: c.operands.map((operand, i) => (operand ? `a${i}` : '')),
    output: outputs,
    attribute: Object.entries(c.attrs ?? {}).map(([name, value]) => attribute(name, value)),
  });
  const cast = create(NodeProtoSchema, {
    name: 'cast',
    opType: 'Cast',
    input: ['y0'],
    output: ['result'],
    attribute: [attribute('to', TensorProto_DataType.FLOAT)],
  });
  const initializer = c.operands.flatMap((operand, i) => {
    if (!operand) return [];
    const dtype = operand.dtype ?? 'float';
    const rawData = rawOf(dtype, dataOf(operand, i));
    return [
      create(TensorProtoSchema, {
        name: `a${i}`,
        dims: operand.shape.map(BigInt),
        dataType: elemTypes[dtype],
        rawData,
      }),
    ];
  });
  const type = create(TypeProto_TensorSchema, { elemType: TensorProto_DataType.FLOAT });
  const result = create(ValueInfoProtoSchema, {
    name: 'result',
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: type } }),
  });
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(c.opset ?? 18) })],
    graph: create(GraphProtoSchema, { name: 'g', node: [node, cast], initializer, output: [result] }),
  });
  const session = await openSession(toBinary(ModelProtoSchema, model), { threads: 1 });
  try {
    return (await session.run({})).result!.data;
  } finally {
    await session.dispose();
  }
}

/** The node's first output over operands made by `leaf`; those not free are constants. */
export function importNode(arena: Arena, c: NodeCase, leaf: (name: string, shape: Shape) => Value): Value {
  const values = c.operands.map((operand, i) => {
    if (!operand) return undefined;
    if (isFree(operand)) return leaf(`a${i}`, operand.shape);
    return arena.constant(dataOf(operand, i), operand.shape, operand.dtype ?? 'float');
  });
  const node = {
    op: c.op,
    domain: '',
    name: 'node',
    inputs: c.operands.map((operand, i) => (operand ? `a${i}` : '')),
    outputs: Array.from({ length: c.outputs ?? 1 }, (_, k) => `y${k}`),
    attrs: Object.fromEntries(
      Object.entries(c.attrs ?? {}).map(([name, v]) => {
        if (typeof v !== 'object' || Array.isArray(v)) return [name, v as number | string | readonly number[]];
        const w = v as { float: number } | { floats: readonly number[] } | { strings: readonly string[] };
        return [name, 'float' in w ? w.float : 'floats' in w ? w.floats : w.strings];
      }),
    ),
  };
  const importer = {
    arena,
    opset: c.opset ?? 18,
    known: (v: Value) => {
      if (constantData(v)) return constantData(v);
      return v.lead === 'none' && !reachesParam(v) ? interpret({ arena, outputs: { v } }, {}).v!.data : undefined;
    },
    inline: () => [],
  };
  const result = operators[c.op]!(new NodeContext(importer, node, values));
  return Array.isArray(result) ? (result[0] as Value) : (result as Value);
}

function reachesParam(v: Value): boolean {
  if (v.source.kind === 'node') return v.source.inputs.some(reachesParam);
  return v.source.kind !== 'constant';
}

export function bindingsOf(c: NodeCase): Record<string, Float64Array> {
  return Object.fromEntries(
    c.operands.flatMap((operand, i) => (operand && isFree(operand) ? [[`a${i}`, dataOf(operand, i)] as const] : [])),
  );
}

export const newArena = () => new Arena();

/** A network of named nodes with random weights; all sizes are for one example. */
export function network(
  inputs: Record<string, readonly number[]>,
  weights: Record<string, readonly number[]>,
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
  whole: readonly string[] = [],
): OnnxModel {
  const initializers = Object.entries(weights).map(([name, dims]): OnnxTensor => {
    const size = dims.reduce((a, b) => a * b, 1);
    return { name, dims, dtype: 'float', data: randomData(name, size, 0.5) };
  });
  return {
    inputs: Object.entries(inputs).map(([name, dims]) => ({
      name,
      dims: [1, ...dims],
      dtype: whole.includes(name) ? 'int64' : 'float',
    })),
    outputs: outputs.map((name) => ({ name, dims: [1], dtype: 'float' })),
    nodes,
    initializers,
  };
}

export const node = (op: string, inputs: string[], output: string, attrs: OnnxNode['attrs'] = {}): OnnxNode => ({
  op,
  inputs,
  output,
  attrs,
});
