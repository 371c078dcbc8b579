// A lowered graph as the bytes of an ONNX file.

import type { OnnxAttr } from '../graph/index.ts';
import type { OnnxDType, OnnxModel, OnnxTensor, OnnxValue } from './model.ts';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  fromBinary,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  toBinary,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './proto.ts';

/** Opset of everything we emit: reductions take axes as an input from 18 on. */
const OPSET = 18;
const IR_VERSION = 9;

const dataTypes = {
  float: TensorProto_DataType.FLOAT,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
} satisfies Record<OnnxDType, TensorProto_DataType>;

export function encode(model: OnnxModel): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'fisher-ood',
    node: model.nodes.map((node) =>
      create(NodeProtoSchema, {
        name: node.output,
        opType: node.op,
        input: [...node.inputs],
        output: [node.output, ...(node.more ?? [])],
        attribute: Object.entries(node.attrs).map(([name, value]) => attribute(name, value)),
      }),
    ),
    input: model.inputs.map(valueInfo),
    output: model.outputs.map(valueInfo),
  });
  const proto = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'fisher-ood',
    opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(OPSET) })],
  });
  const [frame, nodes] = [toBinary(ModelProtoSchema, proto), toBinary(GraphProtoSchema, graph)];
  const tensors = model.initializers.flatMap(tensor);
  return joined([frame, ...field(MODEL_GRAPH, [nodes, ...tensors])]);
}

/** Field numbers of ONNX's messages. */
const [MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA] = [7, 5, 9];

/** The pieces of a field that holds bytes: its tag and length, then its content. */
function field(number: number, content: readonly Uint8Array[]): Uint8Array[] {
  const head: number[] = [(number << 3) | 2];
  let rest = content.reduce((sum, piece) => sum + piece.length, 0);
  for (; rest > 127; rest = Math.floor(rest / 128)) head.push((rest % 128) + 128);
  return [Uint8Array.of(...head, rest), ...content];
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The inputs and outputs of a file that `encode` has made, a line each: name, type and sizes; '→' between them. */
export function signature(bytes: Uint8Array): string[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  const describe = (v: ValueInfoProto) => {
    const type = v.type?.value.case === 'tensorType' ? v.type.value.value : undefined;
    const [name] = Object.entries(runtimeNames).find(([, code]) => code === type?.elemType) ?? ['unknown'];
    return `${v.name} ${name} ${type?.shape?.dim.map((d) => d.value.value ?? '').join() ?? ''}`;
  };
  return [...(graph?.input ?? []).map(describe), '→', ...(graph?.output ?? []).map(describe)];
}

/** The nodes of a file that `encode` has made: of a convolution the dimensions that it goes over. */
export function nodesOf(bytes: Uint8Array): { name: string; op: string; dimensions?: number }[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  return (graph?.node ?? []).map(({ name, opType: op, attribute: attributes }) => {
    const pads = op.startsWith('Conv') ? attributes.find((a) => a.name === 'pads')?.ints.length : undefined;
    return { name, op, ...(pads === undefined ? {} : { dimensions: pads / 2 }) };
  });
}

/** The types as the runtime calls them. */
const runtimeNames = { float32: dataTypes.float, int64: dataTypes.int64, bool: dataTypes.bool } as const;

function attribute(name: string, value: OnnxAttr) {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  }
  if (typeof value === 'string') {
    const s = new TextEncoder().encode(value);
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s });
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.float });
  }
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) });
}

/**
 * An initialiser's field, its numbers as they are: a message within a message would be copied once for each, weights of
 * gigabytes too.
 */
function tensor(t: OnnxTensor): Uint8Array[] {
  const head = create(TensorProtoSchema, { name: t.name, dims: t.dims.map(BigInt), dataType: dataTypes[t.dtype] });
  const data = new Uint8Array(t.data.buffer as ArrayBuffer, t.data.byteOffset, t.data.byteLength);
  return field(GRAPH_INITIALIZER, [toBinary(TensorProtoSchema, head), ...field(TENSOR_RAW_DATA, [data])]);
}

function valueInfo(v: OnnxValue) {
  const dim = v.dims.map((d) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(d) } }),
  );
  const shape = create(TensorShapeProtoSchema, { dim });
  const tensorType = create(TypeProto_TensorSchema, { elemType: dataTypes[v.dtype], shape });
  return create(ValueInfoProtoSchema, {
    name: v.name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}
