// The runtime of Node: sessions on onnxruntime-node, graphs that it has optimised kept on disk. The only file that imports it.

import './host.ts';
import { cpus } from 'node:os';
import { Float16Array } from '@petamoriken/float16';
import type * as Ort from 'onnxruntime-node';
import type {
  FileSession,
  Findings,
  FloatTensor,
  NumberTensor,
  Runtime,
  Session,
  SessionOptions,
  TensorData,
} from '../engine/index.ts';
import { isOutOfMemory } from '../engine/limits.ts';
import { FisherError, ModelError, UsageError } from '../errors.ts';
import { signature } from '../onnx/index.ts';
import { checkWhole } from '../tensor/whole.ts';
import { machineMemory, mostThreads } from './machine.ts';
import { cacheEntry, sessionCache } from './session-cache.ts';

/** Opens faster than this are not worth keeping. */
const WORTH_KEEPING = 200; // ms

/** Large, so it is loaded when something is run first. */
const load = (): Promise<typeof Ort> => import('onnxruntime-node');

const versionOf = ({ env }: typeof Ort): string => `onnxruntime ${env.versions.node}`;

export interface NodeRuntimeOptions {
  /** Folder of optimised graphs and findings; default: `sessionCache()`. Empty: nothing is kept. */
  readonly cache?: string | undefined;
  /** For sessions that are not told otherwise; default: as many as the machine has cores. */
  readonly threads?: number | undefined;
}

/** ONNX Runtime on this machine's processor. */
export function nodeRuntime(given: NodeRuntimeOptions = {}): Runtime {
  const { threads } = given;
  const cache = (given.cache ?? sessionCache()) || undefined;
  return {
    memory: machineMemory(),
    mostThreads: mostThreads(),
    open: (model, { keep = false, ...options } = {}) =>
      openSession(model, { threads: options.threads ?? threads, cache: keep ? cache : undefined }),
    openFile: (model, options) => openFile(model, { threads: options?.threads ?? threads }),
    findings: cache === undefined ? undefined : findingsIn(cache),
  };
}

function findingsIn(cache: string): Findings {
  const entry = async (key: string) =>
    cacheEntry(cache, new TextEncoder().encode(key), versionOf(await load()), 'json');
  return {
    read: async (key) => {
      const found = await (await entry(key)).read();
      return found && new TextDecoder().decode(found);
    },
    write: async (key, text) => (await entry(key)).put(new TextEncoder().encode(text)),
  };
}

interface OpenOptions {
  readonly threads?: number | undefined;
  /** A folder in which optimised graphs are kept, so that the same one opens faster the next time; see `sessionCache`. */
  readonly cache?: string | undefined;
}

/**
 * Opens a session for an ONNX model on the CPU. Throws a UsageError for threads that cannot be, a ModelError where the memory does not suffice.
 *
 * The runtime aborts the whole process when a worker thread ends (`terminate`, or `process.exit` in it) while one of its sessions runs: we open
 * sessions in the thread that calls us, and start none; a caller's worker should `dispose`, which waits for what runs, before it ends.
 */
export async function openSession(model: Uint8Array, options: OpenOptions = {}): Promise<Session> {
  const ort = await load();
  const session = await inMemory(() =>
    options.cache === undefined ? create(model, options) : cached(model, options.cache, options),
  );
  const running = new Set<Promise<unknown>>();
  let disposed: Promise<void> | undefined;
  return {
    run: async (feeds) => {
      if (disposed) throw new UsageError('the session was disposed of, open another one');
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, toTensor(ort, name, feeds[name])]));
      const run = inMemory(() => session.run(tensors));
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

/** Says so where the memory does not suffice: that is no fault of the graph. */
async function inMemory<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isOutOfMemory(error)) throw error;
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    const reason = line!.replace(/^.*(?=[Ff]ailed to allocate)/, ''); // without the places in the runtime's source
    throw new ModelError(`the memory does not suffice: ${reason}; a smaller batch takes less`, { cause: error });
  }
}

/** Opens a file of any making: its bytes, or its path where it has data beside it. Throws FisherError, in the runtime's words, where that does not go. */
async function openFile(
  model: Uint8Array | string,
  options: Pick<SessionOptions, 'threads'> = {},
): Promise<FileSession> {
  // As it is: to optimise it would take longer than to run it a few times.
  const ort = await load();
  const session = await said(create(model, options, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 }));
  return {
    async run(feeds, outputs) {
      const tensors = session.inputMetadata.map((v) => {
        const fed = feeds[v.name];
        if (!fed || !v.isTensor) throw new FisherError(`input '${v.name}' was not given`);
        return [v.name, toType(ort, v.type, fed)] as const;
      });
      const results = await said(session.run(Object.fromEntries(tensors), outputs));
      return Object.fromEntries(outputs.map((name) => [name, toNumbers(name, results[name])]));
    },
    dispose: () => session.release(),
  };
}

/** What the runtime complains about: its first line, without the places in its own source. */
async function said<T>(work: Promise<T>): Promise<T> {
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

function toType(ort: typeof Ort, type: Ort.Tensor.Type, { data, shape }: NumberTensor): Ort.Tensor {
  const make =
    typeof type === 'string' && Object.hasOwn(arrays, type) ? arrays[type as keyof typeof arrays] : undefined;
  if (!make) throw new FisherError(`inputs of the type ${type} cannot be made`);
  return new ort.Tensor(type as 'float32', make(data) as Float32Array, [...shape]);
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

function toNumbers(name: string, t: Ort.Tensor | undefined): NumberTensor {
  if (!t || typeof t.type !== 'string' || t.type === 'string')
    throw new FisherError(`output '${name}' is no tensor of numbers`);
  const data =
    t.type === 'float16'
      ? new Float16Array(
          (t.data as Uint16Array).buffer as ArrayBuffer,
          (t.data as Uint16Array).byteOffset,
          t.data.length,
        )
      : t.data;
  return { data: Float64Array.from(data as ArrayLike<number>, Number), shape: t.dims };
}

/**
 * Passes of the runtime's optimiser that find nothing in our graphs: of quantised models, of attention and layers with skip connections as
 * other frameworks write them. Each walks the whole graph twice, which takes a third of the time to open one of ten thousand nodes.
 */
const UNUSED_PASSES = [
  'EnsureUniqueDQForNodeUnit',
  'DoubleQDQPairsRemover',
  'QDQPropagationTransformer',
  'WeightBiasQuantization',
  'WhereDummyDq',
  'QDQS8ToU8Transformer',
  'QDQSelectorActionTransformer',
  'QDQFinalCleanupTransformer',
  'MatMulIntegerToFloatFusion',
  'DynamicQuantizeMatMulFusion',
  'MatMulNBitsFusion',
  'GroupQueryAttentionFusion',
  'GroupQueryAttentionPreNormFusion',
  'AttentionFusion',
  'EmbedLayerNormFusion',
  'SkipLayerNormFusion',
  'BiasSkipLayerNormFusion',
  'SimplifiedLayerNormFusion',
  'BiasDropoutFusion',
  'SliceConcatToSpaceToDepthFusion',
  'GemmActivationFusion',
  'MatMulActivationFusion',
  'BiasSoftmaxFusion',
];

async function create(
  model: Uint8Array | string,
  options: OpenOptions,
  more: Ort.InferenceSession.SessionOptions = {},
) {
  if (options.threads !== undefined) checkWhole(options.threads, 'the number of threads', 1, mostThreads());
  const ort = await load();
  return ort.InferenceSession.create(model as string, {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? cpus().length,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableMemPattern: false, // it would reserve the whole peak a second time, for no measurable gain in speed
    extra: { optimization: { disable_specified_optimizers: UNUSED_PASSES.join(';') } },
    ...more,
  });
}

async function cached(model: Uint8Array, dir: string, options: OpenOptions): Promise<Ort.InferenceSession> {
  const entry = cacheEntry(dir, model, versionOf(await load()));
  const optimised = await entry.read();
  if (optimised) {
    const kept = await create(optimised, options, { graphOptimizationLevel: 'disabled' }).catch(() => undefined);
    if (kept && sameText(interfaceOf(kept), signature(model))) return kept;
    await kept?.release();
    await entry.drop();
  }
  let session: Ort.InferenceSession | undefined;
  await entry.fill(async (path) => {
    const began = performance.now();
    let saved = path !== undefined;
    session = await create(model, options, path === undefined ? {} : { optimizedModelFilePath: path }).catch(
      (error) => {
        if (!saved) throw error;
        saved = false; // the disk may be full; whether the graph is at fault, the second try tells
        return create(model, options);
      },
    );
    return saved && performance.now() - began > WORTH_KEEPING;
  });
  return session!;
}

/** What a session takes and gives, in the words of `signature`. */
function interfaceOf(session: Ort.InferenceSession): string[] {
  const describe = (v: Ort.InferenceSession.ValueMetadata) =>
    v.isTensor ? `${v.name} ${v.type} ${v.shape.join()}` : `${v.name}, which is no tensor`;
  return [...session.inputMetadata.map(describe), '→', ...session.outputMetadata.map(describe)];
}

const sameText = (a: readonly string[], b: readonly string[]) => a.join('\n') === b.join('\n');

function toTensor(ort: typeof Ort, name: string, t: TensorData | undefined): Ort.Tensor {
  if (!t) throw new FisherError(`input '${name}' was not given`);
  if (t.data instanceof Float32Array) return new ort.Tensor('float32', t.data, [...t.shape]);
  if (t.data instanceof BigInt64Array) return new ort.Tensor('int64', t.data, [...t.shape]);
  return new ort.Tensor('bool', t.data, [...t.shape]);
}

function fromTensor(name: string, t: Ort.Tensor | undefined): FloatTensor {
  if (!t || !(t.data instanceof Float32Array))
    throw new FisherError(`output '${name}' is ${t?.type ?? 'missing'}, not float32`);
  return { data: t.data, shape: t.dims };
}
