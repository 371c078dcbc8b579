// A configuration of one ONNX operator: its operands with their numbers, its attributes, the opset; and the two files
// made of it, one for ONNX Runtime alone and one for the import.

import {
  create,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/onnx/proto.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { type Attr, modelBytes, node, value } from '../support/proto.ts';

export const elements = {
  float: TensorProto_DataType.FLOAT,
  double: TensorProto_DataType.DOUBLE,
  float16: TensorProto_DataType.FLOAT16,
  bfloat16: TensorProto_DataType.BFLOAT16,
  int8: TensorProto_DataType.INT8,
  int16: TensorProto_DataType.INT16,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  uint8: TensorProto_DataType.UINT8,
  uint16: TensorProto_DataType.UINT16,
  uint32: TensorProto_DataType.UINT32,
  uint64: TensorProto_DataType.UINT64,
  bool: TensorProto_DataType.BOOL,
} as const;

export type Element = keyof typeof elements;

export const isFloat = (element: Element): boolean => element.includes('float') || element === 'double';

/** An input varies with the example; a weight is an initialiser. */
export type Role = 'input' | 'weight';

export interface Operand {
  readonly shape: Shape;
  readonly element: Element;
  readonly role: Role;
  /** Numbers for two examples; of a weight twice the same. */
  readonly examples: readonly [readonly number[], readonly number[]];
}

export interface Configuration {
  readonly op: string;
  readonly opset: number;
  /** undefined stands for an operand left out. */
  readonly operands: readonly (Operand | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  /** Which outputs are asked for; default the first. */
  readonly outputs?: readonly boolean[];
  /**
   * Nodes from operands a0, a1, … to y0 in place of the one: for operators whose operands or results are no tensors.
   */
  readonly nodes?: readonly NodeProto[];
}

const operandName = (i: number) => `a${i}`;
export const outputNames = (c: Configuration): string[] =>
  (c.outputs ?? [true]).flatMap((on, k) => (on ? [`y${k}`] : []));

/**
 * How an input's numbers are fed: in float32, or int64 for whole numbers. The model casts them to the operand's own
 * type.
 */
export const fedAs = (element: Element): 'float' | 'int64' => (isFloat(element) ? 'float' : 'int64');

function theNodes(c: Configuration): readonly NodeProto[] {
  if (c.nodes) return c.nodes;
  const inputs = c.operands.map((operand, i) => (operand ? operandName(i) : ''));
  const outputs = (c.outputs ?? [true]).map((on, k) => (on ? `y${k}` : ''));
  return [node(c.op, inputs, outputs, c.attrs)];
}

const untyped = (name: string): ValueInfoProto => create(ValueInfoProtoSchema, { name });

/** The node with its operands as they are, each result cast to double: what ONNX Runtime's own kernel computes. */
export function runtimeModel(c: Configuration): Uint8Array {
  const inputs: ValueInfoProto[] = [];
  const before: NodeProto[] = [];
  for (const [i, operand] of c.operands.entries()) {
    if (operand?.role !== 'input') continue;
    inputs.push(value(`x${i}`, elements[fedAs(operand.element)], operand.shape));
    before.push(node('Cast', [`x${i}`], [operandName(i)], { to: elements[operand.element] }));
  }
  const after = outputNames(c).map((y) => node('Cast', [y], [`${y}.double`], { to: TensorProto_DataType.DOUBLE }));
  const parts = {
    node: [...before, ...theNodes(c), ...after],
    initializer: initializers(c),
    input: inputs,
    output: outputNames(c).map((y) => untyped(`${y}.double`)),
  };
  return modelBytes(parts, c.opset, { irVersion: 10n });
}

/** The node in a model of examples: each input is one row of numbers, given the operand's shape inside the model. */
export function exampleModel(c: Configuration): Uint8Array {
  const inputs: ValueInfoProto[] = [];
  const before: NodeProto[] = [];
  const shapes: TensorProto[] = [];
  for (const [i, operand] of c.operands.entries()) {
    if (operand?.role !== 'input') continue;
    inputs.push(value(`x${i}`, elements[fedAs(operand.element)], ['n', sizeOf(operand.shape)]));
    shapes.push(initializer(`shape${i}`, [operand.shape.length], 'int64', operand.shape));
    before.push(
      node('Reshape', [`x${i}`, `shape${i}`], [`r${i}`]),
      node('Cast', [`r${i}`], [operandName(i)], { to: elements[operand.element] }),
    );
  }
  // Something that depends on the data and on a parameter, whatever the node does.
  inputs.push(value('anchor.x', elements.float, ['n', 2]));
  const anchor = node('MatMul', ['anchor.x', 'anchor.weight'], ['anchor']);
  const parts = {
    node: [...before, anchor, ...theNodes(c)],
    initializer: [...shapes, ...initializers(c), initializer('anchor.weight', [2, 2], 'float', [0.5, -1, 2, 0.25])],
    input: inputs,
    output: [...outputNames(c), 'anchor'].map(untyped),
  };
  return modelBytes(parts, c.opset, { irVersion: 10n });
}

function initializers(c: Configuration): TensorProto[] {
  return c.operands.flatMap((operand, i) =>
    operand?.role === 'weight'
      ? [initializer(operandName(i), operand.shape, operand.element, operand.examples[0])]
      : [],
  );
}

/** A tensor of any type of the table. */
export function initializer(name: string, shape: Shape, element: Element, data: readonly number[]): TensorProto {
  const dims = shape.map(BigInt);
  const dataType = elements[element];
  switch (element) {
    case 'float':
      return create(TensorProtoSchema, { name, dims, dataType, floatData: [...data] });
    case 'double':
      return create(TensorProtoSchema, { name, dims, dataType, doubleData: [...data] });
    case 'int64':
      return create(TensorProtoSchema, { name, dims, dataType, int64Data: data.map(BigInt) });
    case 'uint32':
    case 'uint64':
      return create(TensorProtoSchema, { name, dims, dataType, uint64Data: data.map(BigInt) });
    case 'float16':
      return create(TensorProtoSchema, { name, dims, dataType, int32Data: data.map(halfBits) });
    case 'bfloat16':
      return create(TensorProtoSchema, { name, dims, dataType, int32Data: data.map(brainBits) });
    default:
      return create(TensorProtoSchema, { name, dims, dataType, int32Data: [...data] });
  }
}

/** binary16 of numbers that it holds exactly. */
function halfBits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  if (Number.isNaN(x)) return 0x7e00;
  if (!Number.isFinite(x)) return sign | 0x7c00;
  if (x === 0) return sign;
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  return sign | ((exponent + 15) << 10) | Math.round((Math.abs(x) / 2 ** exponent - 1) * 1024);
}

const brainBits = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0]! >>> 16;
