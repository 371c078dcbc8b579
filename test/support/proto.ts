// Pieces of ONNX files as tests build them by hand.

import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_SequenceSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  toBinary,
  ValueInfoProtoSchema,
} from '../../src/onnx/proto.ts';

export const { FLOAT, INT64, BOOL } = TensorProto_DataType;

export type Attr =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto };

function attribute(name: string, v: Attr) {
  const { INT, INTS, FLOAT: F, FLOATS, STRING, STRINGS, GRAPH, TENSOR } = AttributeProto_AttributeType;
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (typeof v === 'number') return create(AttributeProtoSchema, { name, type: INT, i: BigInt(v) });
  if (typeof v === 'string') return create(AttributeProtoSchema, { name, type: STRING, s: bytes(v) });
  if ('graph' in v) return create(AttributeProtoSchema, { name, type: GRAPH, g: v.graph });
  if ('tensor' in v) return create(AttributeProtoSchema, { name, type: TENSOR, t: v.tensor });
  if ('float' in v) return create(AttributeProtoSchema, { name, type: F, f: v.float });
  if ('floats' in v) return create(AttributeProtoSchema, { name, type: FLOATS, floats: [...v.floats] });
  if ('strings' in v) return create(AttributeProtoSchema, { name, type: STRINGS, strings: v.strings.map(bytes) });
  return create(AttributeProtoSchema, { name, type: INTS, ints: v.map(BigInt) });
}

/** A node named by its operator and its first output. */
export function node(
  op: string,
  input: string[],
  output: string[],
  attrs: Readonly<Record<string, Attr>> = {},
  domain = '',
) {
  const list = Object.entries(attrs).map(([name, v]) => attribute(name, v));
  return create(NodeProtoSchema, { name: `${op} ${output[0]}`, opType: op, domain, input, output, attribute: list });
}

export function tensor(name: string, dims: readonly number[], data: Float32Array | BigInt64Array | Uint8Array) {
  const dataType = data instanceof Float32Array ? FLOAT : data instanceof BigInt64Array ? INT64 : BOOL;
  const rawData = new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType, rawData });
}

/** A tensor that lies in another file; without a length up to the file's end. */
export function externalTensor(name: string, dims: readonly number[], location: string, offset = 0, length?: number) {
  const entries = { location, offset: String(offset), ...(length === undefined ? {} : { length: String(length) }) };
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: FLOAT,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  });
}

/** An input or output; sizes may be names, and may be left out altogether. */
export function value(name: string, elemType: number, dims?: readonly (number | string)[]) {
  const dim = dims?.map((d) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof d === 'number' ? { case: 'dimValue', value: BigInt(d) } : { case: 'dimParam', value: d },
    }),
  );
  const shape = dim ? { shape: create(TensorShapeProtoSchema, { dim }) } : {};
  const type = create(TypeProto_TensorSchema, { elemType, ...shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: type } }),
  });
}

/** An input or output that is a sequence of tensors. */
export function sequenceValue(name: string, elemType: number) {
  const element = create(TypeProto_TensorSchema, { elemType });
  const elem = create(TypeProtoSchema, { value: { case: 'tensorType', value: element } });
  const value = create(TypeProto_SequenceSchema, { elemType: elem });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'sequenceType', value } }),
  });
}

export interface GraphParts {
  readonly node: ReturnType<typeof node>[];
  readonly initializer?: ReturnType<typeof tensor>[];
  readonly input?: ReturnType<typeof value>[];
  readonly output: ReturnType<typeof value>[];
}

export const graph = (parts: GraphParts) => create(GraphProtoSchema, { name: 'graph', ...parts });

/** The bytes of a model file. */
export function modelBytes(parts: GraphParts, opset = 17, more: object = {}): Uint8Array {
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) })];
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph: graph(parts), ...more }),
  );
}
