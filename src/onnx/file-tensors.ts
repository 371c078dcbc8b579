// The tensors of an ONNX file: where their bytes are, checked, and the numbers that these are.

import { ModelError } from '../errors.ts';
import type { DType } from '../graph/index.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { FileTensor } from './file.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from './proto.ts';

/** Files beside the model, by the name the model gives; both throw where that is not allowed. */
export interface ExternalData {
  /** Bytes in the file. */
  size(location: string): number;
  /** Some of them, which are there. */
  read(location: string, offset: number, length: number): Uint8Array;
  /** A few of them, which may be read again. */
  peek(location: string, offset: number, length: number): Uint8Array;
}

/** What is read, for messages and for tensors that lie elsewhere. */
export interface Context {
  readonly name: string;
  readonly external: ExternalData | undefined;
}

const { FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL } =
  TensorProto_DataType;

/** Throws a ModelError for a type that has no numbers here. */
export function dtypeOf(type: number, where: string, ctx: Context): DType {
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

/** Throws a ModelError that names the place where the data are not there or not of the size. */
export function tensorOf(t: TensorProto, where: string, ctx: Context): FileTensor {
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

/**
 * A tensor whose numbers are read when they are first asked for: of a large model, never all but the weights that
 * matter.
 */
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
