// The bytes of an ONNX file in; its main graph as plain data out, every size checked against what is there.

import { GraphError, ModelError } from '../errors.ts';
import { plainBytes } from '../plain-bytes.ts';
import { shapeText } from '../tensor/shape.ts';
import {
  type FileAttr,
  type FileFunction,
  type FileGraph,
  type FileInput,
  type FileModel,
  type FileNode,
  type FileTensor,
  type Notes,
  operatorName,
} from './file.ts';
import { type Context, dtypeOf, type ExternalData, tensorOf } from './file-tensors.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  fromBinary,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from './proto.ts';

/** Throws a ModelError that names the file and the place in it. */
export function decode(bytes: Uint8Array, name: string, external?: ExternalData): FileModel {
  return naming(name, () => decoded(plainBytes(bytes), name, external));
}

/** What `work` throws about a file's content, with the file's name, and short however long the names in it are. */
export function naming<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof GraphError || error instanceof ModelError)) throw error;
    const { message } = error;
    const text = message.startsWith(name) ? message : `${name}: ${message}`;
    const most = name.length + 1000;
    if (text === message && text.length <= most) throw error;
    throw new ModelError(text.length <= most ? text : `${text.slice(0, most)}…`, { cause: error });
  }
}

function decoded(bytes: Uint8Array, name: string, external?: ExternalData): FileModel {
  if (bytes.length === 0) throw new ModelError(`${name}: is empty, expected an ONNX model`);
  let proto: ReturnType<typeof fromBinary<typeof ModelProtoSchema>>;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new ModelError(`${name}: is not an ONNX model: ${error instanceof Error ? error.message : error}`);
  }
  if (!proto.graph || proto.graph.output.length === 0) throw new ModelError(`${name}: is not an ONNX model: no graph`);
  const opset = proto.opsetImport.find((o) => o.domain === '' || o.domain === 'ai.onnx');
  if (!opset) throw new ModelError(`${name}: declares no version of the ONNX operators`);
  const ctx = { name, external };
  for (const f of proto.functions) {
    const own = f.opsetImport.find((o) => o.domain === '' || o.domain === 'ai.onnx');
    if (own && own.version !== opset.version) {
      throw new ModelError(
        `${name}: function '${f.name}' is written for opset ${own.version}, the model for ${opset.version}; expected one for both`,
      );
    }
  }
  const functions = proto.functions.map((f): [string, FileFunction] => [
    operatorName({ op: f.name, domain: f.domain === 'ai.onnx' ? '' : f.domain }),
    {
      inputs: f.input,
      outputs: f.output,
      nodes: f.node.map((node) => nodeOf(node, ctx)),
      defaults: Object.fromEntries(f.attributeProto.map((a) => [a.name, attrOf(a, `function '${f.name}'`, ctx)])),
    },
  ]);
  return {
    graph: graphOf(proto.graph, ctx),
    opset: Number(opset.version),
    producer: proto.producerName,
    notes: notesOf(proto),
    functions: new Map(functions),
  };
}

function graphOf(graph: GraphProto, ctx: Context): FileGraph {
  const initializers = new Map<string, FileTensor>();
  for (const tensor of graph.initializer) {
    if (initializers.has(tensor.name)) throw new ModelError(`${ctx.name}: two initialisers are named '${tensor.name}'`);
    initializers.set(tensor.name, tensorOf(tensor, `initialiser '${tensor.name}'`, ctx));
  }
  if (graph.sparseInitializer.length > 0) throw new ModelError(`${ctx.name}: sparse initialisers are not supported`);
  return {
    nodes: graph.node.map((node) => nodeOf(node, ctx)),
    initializers,
    inputs: graph.input.flatMap((v) => {
      const own = initializers.get(v.name);
      if (own) checkDefault(inputOf(v, ctx), own, ctx);
      return own ? [] : [inputOf(v, ctx)];
    }),
    outputs: graph.output.map((v) => v.name),
    notes: notesOf(graph),
    valueNotes: valueNotes(graph, initializers),
  };
}

/**
 * An input may have its value in the file (before IR version 4 all initialisers are inputs, too). PyTorch's exporter
 * also gives an intermediate result that it computes the name of an input, which then is lost.
 */
function checkDefault({ name, dtype, shape }: FileInput, own: FileTensor, ctx: Context): void {
  const fits = shape?.length === own.shape.length && shape.every((d, a) => typeof d === 'string' || d === own.shape[a]);
  if (shape === undefined || (fits && dtype === own.dtype)) return;
  throw new ModelError(
    `${ctx.name}: two tensors are named '${name}', an input ${dtype} [${shape.join(',')}] and an initialiser ${own.dtype} ${shapeText(own.shape)}; export the model with another name for the input`,
  );
}

/** All but the exporter's own stack traces, which are most of what is written. */
function notesOf(of: { readonly metadataProps: readonly { readonly key: string; readonly value: string }[] }): Notes {
  return Object.fromEntries(of.metadataProps.flatMap((p) => (p.key.endsWith('stack_trace') ? [] : [[p.key, p.value]])));
}

/** Exporters write about an initialiser at its type, or at the tensor itself. */
function valueNotes(graph: GraphProto, initializers: ReadonlyMap<string, FileTensor>): Map<string, Notes> {
  const found = new Map<string, Notes>();
  for (const v of [...graph.valueInfo, ...graph.input, ...graph.initializer]) {
    if (!initializers.has(v.name) || v.metadataProps.length === 0) continue;
    found.set(v.name, { ...found.get(v.name), ...notesOf(v) });
  }
  return found;
}

function nodeOf(node: NodeProto, ctx: Context): FileNode {
  const name = node.name || node.output.find((output) => output !== '') || node.opType;
  return {
    op: node.opType,
    domain: node.domain === 'ai.onnx' ? '' : node.domain,
    name,
    inputs: node.input,
    outputs: node.output,
    attrs: Object.fromEntries(node.attribute.map((a) => [a.name, attrOf(a, `${node.opType} '${name}'`, ctx)])),
    notes: notesOf(node),
  };
}

function attrOf(a: AttributeProto, where: string, ctx: Context): FileAttr {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (a.refAttrName !== '') return { ref: a.refAttrName };
  switch (a.type) {
    case AttributeProto_AttributeType.FLOAT:
      return a.f;
    case AttributeProto_AttributeType.INT:
      return Number(a.i);
    case AttributeProto_AttributeType.STRING:
      return text(a.s);
    case AttributeProto_AttributeType.FLOATS:
      return a.floats;
    case AttributeProto_AttributeType.INTS:
      return a.ints.map(Number);
    case AttributeProto_AttributeType.STRINGS:
      return a.strings.map(text);
    case AttributeProto_AttributeType.TENSOR:
      if (a.t) return tensorOf(a.t, `attribute '${a.name}' of ${where}`, ctx);
      break;
    case AttributeProto_AttributeType.GRAPH:
      if (a.g) return graphOf(a.g, ctx);
      break;
  }
  throw new ModelError(`${ctx.name}: ${where}: attribute '${a.name}' is of a kind that is not supported (${a.type})`);
}

function inputOf(v: ValueInfoProto, ctx: Context): FileInput {
  const type = v.type?.value;
  if (type?.case === 'sequenceType') return { name: v.name, dtype: 'float', shape: undefined, sequence: true };
  // A body's inputs need none: they are what the node gives them.
  if (type?.case === undefined) return { name: v.name, dtype: 'float', shape: undefined };
  if (type?.case !== 'tensorType') throw new ModelError(`${ctx.name}: input '${v.name}' is not a tensor`);
  const shape = type.value.shape?.dim.map((d, axis) => {
    // Exporters write 0 or -1 for a size that they do not know.
    if (d.value.case === 'dimValue') return d.value.value > 0n ? Number(d.value.value) : `?${axis}`;
    return d.value.case === 'dimParam' ? d.value.value : `?${axis}`;
  });
  const element = type.value.elemType;
  return { name: v.name, dtype: dtypeOf(element, `input '${v.name}'`, ctx), element, shape };
}
