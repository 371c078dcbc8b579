// An ONNX file whose inputs declare a fixed number of examples, in; the same with that number left open, out.

import {
  create,
  fromBinary,
  ModelProtoSchema,
  TensorShapeProto_DimensionSchema,
  toBinary,
  type ValueInfoProto,
} from './proto.ts';

/** The file with the first size of every input left open, and what it says about the sizes of all else left out. */
export function withOpenBatch(bytes: Uint8Array): Uint8Array {
  const proto = fromBinary(ModelProtoSchema, bytes);
  const { graph } = proto;
  if (!graph) return bytes;
  const constants = new Set(graph.initializer.map((t) => t.name));
  for (const v of graph.input) {
    const first = shapeOf(v)?.dim[0];
    if (first && !constants.has(v.name))
      first.value = create(TensorShapeProto_DimensionSchema, { value: { case: 'dimParam', value: 'n' } }).value;
  }
  for (const v of graph.output) {
    for (const dim of shapeOf(v)?.dim ?? []) dim.value = { case: undefined };
  }
  graph.valueInfo = [];
  return toBinary(ModelProtoSchema, proto);
}

function shapeOf(v: ValueInfoProto) {
  return v.type?.value.case === 'tensorType' ? v.type.value.value.shape : undefined;
}
