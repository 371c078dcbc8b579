// The bytes of an ONNX file in; its main graph as plain data out, every size checked against what is there.

import { GraphError, ModelError } from '../errors.ts';
import type { DType } from '../graph/index.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  fromBinary,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  type ValueInfoProto,
} from './proto.ts';

/**
 * A tensor of an ONNX file: floats of up to 32 bits in float32, all else in float64 (exact for all types but int64 beyond 2^53). The numbers
 * may be the file's own bytes, so they are not to be changed.
 */
export interface FileTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The type in the file, a number of ONNX's own. */
  readonly element?: number;
  readonly data: Float32Array | Float64Array;
  /** The first numbers, 64 at most, and the last one, of a tensor that lies in another file: to see them is not to read all of it. */
  readonly ends?: { readonly head: Float32Array | Float64Array; readonly last: number };
}

/** Within a function: the attribute of this name of the node that calls it. */
interface AttrRef {
  readonly ref: string;
}

export type FileAttr = number | string | readonly number[] | readonly string[] | FileTensor | FileGraph | AttrRef;

export interface FileNode {
  readonly op: string;
  readonly domain: string;
  /** For messages: the node's name, or that of its first output. */
  readonly name: string;
  /** Empty strings stand for operands left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, FileAttr>>;
  /** What the exporter wrote about it. */
  readonly notes?: Notes;
}

/** What an exporter wrote about a graph, a node or a value: text by key, as far as it says where parameters went. */
export type Notes = Readonly<Record<string, string>>;

export interface FileInput {
  readonly name: string;
  readonly dtype: DType;
  readonly element?: number;
  /** Sizes, or names of sizes that are free. */
  readonly shape: readonly (number | string)[] | undefined;
  /** A sequence of tensors: of a loop's body alone. */
  readonly sequence?: boolean;
}

export interface FileGraph {
  readonly nodes: readonly FileNode[];
  readonly initializers: ReadonlyMap<string, FileTensor>;
  /** Without those that are initialisers. */
  readonly inputs: readonly FileInput[];
  readonly outputs: readonly string[];
  readonly notes?: Notes;
  /** Of initialisers, by name. */
  readonly valueNotes?: ReadonlyMap<string, Notes>;
}

/** A function that the model brings along: what a node of its name and domain stands for. */
export interface FileFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly FileNode[];
  /** Attributes that a call may leave out. */
  readonly defaults: Readonly<Record<string, FileAttr>>;
}

export interface FileModel {
  readonly graph: FileGraph;
  readonly opset: number;
  /** The program that wrote the file; empty where it does not say. */
  readonly producer?: string;
  readonly notes?: Notes;
  /** By `domain.name`, or the name alone for the ONNX domain. */
  readonly functions: ReadonlyMap<string, FileFunction>;
}

/** How a node's operator is called in messages, and under which a function is known. */
export function operatorName(node: Pick<FileNode, 'op' | 'domain'>): string {
  return node.domain === '' ? node.op : `${node.domain}.${node.op}`;
}

/** Files beside the model, by the name the model gives; both throw where that is not allowed. */
export interface ExternalData {
  /** Bytes in the file. */
  size(location: string): number;
  /** Some of them, which are there. */
  read(location: string, offset: number, length: number): Uint8Array;
  /** A few of them, which may be read again. */
  peek(location: string, offset: number, length: number): Uint8Array;
}

/** Throws a ModelError that names the file and the place in it. */
export function decode(bytes: Uint8Array, name: string, external?: ExternalData): FileModel {
  return naming(name, () => decoded(bytes, name, external));
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

interface Context {
  readonly name: string;
  readonly external: ExternalData | undefined;
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
 * An input may have its value in the file (before IR version 4 all initialisers are inputs, too). PyTorch's exporter also gives an intermediate
 * result that it computes the name of an input, which then is lost.
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

const { FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL } =
  TensorProto_DataType;

function dtypeOf(type: number, where: string, ctx: Context): DType {
  if (type === FLOAT || type === DOUBLE || type === FLOAT16 || type === BFLOAT16) return 'float';
  if (type === BOOL) return 'bool';
  const integers: readonly number[] = [INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64];
  if (integers.includes(type)) return 'int';
  throw new ModelError(
    `${ctx.name}: ${where} is of a type that is not supported (${TensorProto_DataType[type] ?? type})`,
  );
}

const bytesPerElement: Readonly<Record<number, number>> = {
  [FLOAT]: 4,
  [DOUBLE]: 8,
  [FLOAT16]: 2,
  [BFLOAT16]: 2,
  [INT8]: 1,
  [INT16]: 2,
  [INT32]: 4,
  [INT64]: 8,
  [UINT8]: 1,
  [UINT16]: 2,
  [UINT32]: 4,
  [UINT64]: 8,
  [BOOL]: 1,
};

function tensorOf(t: TensorProto, where: string, ctx: Context): FileTensor {
  const shape = t.dims.map(Number);
  const dtype = dtypeOf(t.dataType, where, ctx);
  if (shape.some((d) => !Number.isSafeInteger(d) || d < 0)) {
    throw new ModelError(`${ctx.name}: ${where} has the shape ${shapeText(shape)}`);
  }
  const size = sizeOf(shape);
  const place = `${where} ${shapeText(shape)}`;
  const needed = size * bytesPerElement[t.dataType]!;
  const enough = (found: number) => {
    if (found !== needed) {
      throw new ModelError(`${ctx.name}: ${place} has ${found} bytes of data, expected ${needed}`);
    }
  };
  if (t.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const { length, read, peek } = externalBytes(t, place, ctx);
    enough(length);
    const numbers = (from: number, count: number) => {
      const width = bytesPerElement[t.dataType]!;
      return fromRaw(peek(from * width, count * width), t.dataType, count);
    };
    const ends = () => ({
      head: numbers(0, Math.min(HEAD, size)),
      last: size > 0 ? numbers(size - 1, 1)[0]! : Number.NaN,
    });
    return new LaterTensor(shape, dtype, t.dataType, () => fromRaw(read(), t.dataType, size), ends);
  }
  if (t.rawData.length > 0) {
    enough(t.rawData.length);
    return { shape, dtype, element: t.dataType, data: fromRaw(t.rawData, t.dataType, size) };
  }
  const typed = typedData(t);
  if (typed.length !== size) {
    throw new ModelError(`${ctx.name}: ${place} has ${typed.length} numbers of data, expected ${size}`);
  }
  return {
    shape,
    dtype,
    element: t.dataType,
    data: t.dataType === FLOAT ? Float32Array.from(typed as number[]) : Float64Array.from(typed, Number),
  };
}

/** A tensor whose numbers are read when they are first asked for: of a large model, never all but the weights that matter. */
class LaterTensor implements FileTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly element: number;
  readonly #read: () => FileTensor['data'];
  readonly #readEnds: () => NonNullable<FileTensor['ends']>;
  #data: FileTensor['data'] | undefined;
  #ends: NonNullable<FileTensor['ends']> | undefined;

  constructor(
    shape: Shape,
    dtype: DType,
    element: number,
    read: () => FileTensor['data'],
    ends: () => NonNullable<FileTensor['ends']>,
  ) {
    this.shape = shape;
    this.dtype = dtype;
    this.element = element;
    this.#read = read;
    this.#readEnds = ends;
  }

  get data(): FileTensor['data'] {
    this.#data ??= this.#read();
    return this.#data;
  }

  get ends(): NonNullable<FileTensor['ends']> {
    this.#ends ??= this.#readEnds();
    return this.#ends;
  }
}

/** Numbers at the beginning of a tensor that lies in another file. */
const HEAD = 64;

function typedData(t: TensorProto): ArrayLike<number | bigint> {
  switch (t.dataType) {
    case FLOAT:
      return t.floatData;
    case DOUBLE:
      return t.doubleData;
    case INT64:
      return t.int64Data;
    case UINT32:
    case UINT64:
      return t.uint64Data;
    case FLOAT16:
      return t.int32Data.map((bits) => fromHalf(bits & 0xffff));
    case BFLOAT16:
      return t.int32Data.map((bits) => fromBrain(bits & 0xffff));
    default:
      return t.int32Data;
  }
}

/** Numbers that this machine has in the same form are taken as they are where they lie at a multiple of their size. */
function fromRaw(raw: Uint8Array, type: number, size: number): Float32Array | Float64Array {
  if (littleEndian && (type === FLOAT || type === DOUBLE)) {
    const Numbers = type === FLOAT ? Float32Array : Float64Array;
    const aligned = raw.byteOffset % Numbers.BYTES_PER_ELEMENT === 0 ? raw : raw.slice();
    return new Numbers(aligned.buffer as ArrayBuffer, aligned.byteOffset, size);
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const read: Readonly<Record<number, (i: number) => number>> = {
    [FLOAT]: (i) => view.getFloat32(4 * i, true),
    [DOUBLE]: (i) => view.getFloat64(8 * i, true),
    [FLOAT16]: (i) => fromHalf(view.getUint16(2 * i, true)),
    [BFLOAT16]: (i) => fromBrain(view.getUint16(2 * i, true)),
    [INT8]: (i) => view.getInt8(i),
    [INT16]: (i) => view.getInt16(2 * i, true),
    [INT32]: (i) => view.getInt32(4 * i, true),
    [INT64]: (i) => Number(view.getBigInt64(8 * i, true)),
    [UINT8]: (i) => view.getUint8(i),
    [UINT16]: (i) => view.getUint16(2 * i, true),
    [UINT32]: (i) => view.getUint32(4 * i, true),
    [UINT64]: (i) => Number(view.getBigUint64(8 * i, true)),
    [BOOL]: (i) => Number(view.getUint8(i) !== 0),
  };
  const one = read[type]!;
  const narrow = type === FLOAT || type === FLOAT16 || type === BFLOAT16;
  const data = narrow ? new Float32Array(size) : new Float64Array(size);
  for (let i = 0; i < size; i++) data[i] = one(i);
  return data;
}

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** The upper half of a binary32. */
function fromBrain(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
}

function externalBytes(
  t: TensorProto,
  place: string,
  ctx: Context,
): { length: number; read: () => Uint8Array; peek: (from: number, count: number) => Uint8Array } {
  const entries = Object.fromEntries(t.externalData.map((e) => [e.key, e.value]));
  const { external } = ctx;
  const { location } = entries;
  if (!location || !external) {
    throw new ModelError(
      `${ctx.name}: ${place} is stored outside the file, and ${location ? 'no folder is known' : 'it is not said where'}`,
    );
  }
  const size = external.size(location);
  const offset = Number(entries.offset ?? 0);
  const length = entries.length === undefined ? size - offset : Number(entries.length);
  if (
    !(
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(length) &&
      offset >= 0 &&
      length >= 0 &&
      offset + length <= size
    )
  ) {
    throw new ModelError(
      `${ctx.name}: ${place} is at bytes ${offset} to ${offset + length} of '${location}', which has ${size}`,
    );
  }
  return {
    length,
    read: () => external.read(location, offset, length),
    peek: (from: number, count: number) => external.peek(location, offset + from, count),
  };
}
