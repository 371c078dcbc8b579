// ONNX Runtime as our own sessions, whichever build of it: what onnxruntime-node and onnxruntime-web have in common.

import { Float16Array } from '@petamoriken/float16';
import { FisherError, ModelError, UsageError } from '../errors.ts';
import { isOutOfMemory } from './limits.ts';
import type { FileSession, FloatTensor, NumberTensor, Session, TensorData } from './runtime.ts';

interface OrtTensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly { readonly name: string; readonly isTensor: boolean; readonly type?: string }[];
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    outputs: readonly string[],
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/** A tensor of that build. */
export type MakeTensor = (type: string, data: unknown, dims: readonly number[]) => OrtTensor;

/** A session for a graph of our own making. */
export function sessionOver(session: OrtSession, make: MakeTensor): Session {
  const running = new Set<Promise<unknown>>();
  let disposed: Promise<void> | undefined;
  return {
    run: async (feeds) => {
      if (disposed) throw new UsageError('the session was disposed of, open another one');
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, toTensor(make, name, feeds[name])]));
      const run = inMemory(() => session.run(tensors, session.outputNames));
      running.add(run);
      const results = await run.finally(() => running.delete(run));
      return Object.fromEntries(session.outputNames.map((name) => [name, fromTensor(name, results[name])]));
    },
    dispose: () => {
      disposed ??= Promise.allSettled(running).then(() => session.release());
      return disposed;
    },
  };
}

/** A session for a file of any making. */
export function fileSessionOver(session: OrtSession, make: MakeTensor): FileSession {
  return {
    async run(feeds, outputs) {
      const tensors = session.inputMetadata.map(({ name, isTensor, type }) => {
        const fed = feeds[name];
        if (!fed || !isTensor) throw new FisherError(`input '${name}' was not given`);
        return [name, toType(make, type, fed)] as const;
      });
      const results = await said(session.run(Object.fromEntries(tensors), outputs));
      return Object.fromEntries(outputs.map((name) => [name, toNumbers(name, results[name])]));
    },
    dispose: () => session.release(),
  };
}

/** Says so where the memory does not suffice: that is no fault of the graph. */
export async function inMemory<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    const reason = line!.replace(/^.*(?=[Ff]ailed to allocate)/, ''); // without the places in the runtime's source
    throw new ModelError(`the memory does not suffice: ${reason}; a smaller batch takes less`, { cause: error });
  }
}

/** What the runtime complains about: its first line, without the places in its own source. */
export async function said<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof FisherError) throw error;
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new FisherError(line!.replace(/^.*Status Message: /, '').replace(/\S*\/onnxruntime\/\S*\s*/g, ''), {
      cause: error,
    });
  }
}

function toType(make: MakeTensor, type: string | undefined, { data, shape }: NumberTensor): OrtTensor {
  const typed = type !== undefined && Object.hasOwn(arrays, type) ? arrays[type as keyof typeof arrays] : undefined;
  if (!typed) throw new FisherError(`inputs of the type ${type} cannot be made`);
  return make(type!, typed(data), [...shape]);
}

/** Numbers in the types of the runtime. */
const arrays = {
  float32: (x) => Float32Array.from(x),
  float64: (x) => x,
  float16: (x) => new Uint16Array(new Float16Array(x).buffer),
  int8: (x) => Int8Array.from(x),
  int16: (x) => Int16Array.from(x),
  int32: (x) => Int32Array.from(x),
  int64: (x) => BigInt64Array.from(x as ArrayLike<number>, BigInt),
  uint8: (x) => Uint8Array.from(x),
  uint16: (x) => Uint16Array.from(x),
  uint32: (x) => Uint32Array.from(x),
  uint64: (x) => BigUint64Array.from(x as ArrayLike<number>, BigInt),
  bool: (x) => Uint8Array.from(x),
} satisfies Record<string, (x: Float64Array) => ArrayLike<number | bigint>>;

function toNumbers(name: string, t: OrtTensor | undefined): NumberTensor {
  if (!t || t.type === 'string') throw new FisherError(`output '${name}' is no tensor of numbers`);
  const data = t.data as Float32Array | Uint16Array;
  const numbers =
    t.type === 'float16' && data instanceof Uint16Array // else the host has such numbers itself
      ? new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
      : data;
  return { data: Float64Array.from(numbers as ArrayLike<number>, Number), shape: t.dims };
}

function toTensor(make: MakeTensor, name: string, t: TensorData | undefined): OrtTensor {
  if (!t) throw new FisherError(`input '${name}' was not given`);
  const type = t.data instanceof Float32Array ? 'float32' : t.data instanceof BigInt64Array ? 'int64' : 'bool';
  return make(type, t.data, [...t.shape]);
}

function fromTensor(name: string, t: OrtTensor | undefined): FloatTensor {
  if (!t || !(t.data instanceof Float32Array))
    throw new FisherError(`output '${name}' is ${t?.type ?? 'missing'}, not float32`);
  return { data: t.data, shape: t.dims };
}
