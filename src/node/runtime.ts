// The runtime of Node: sessions on onnxruntime-node, graphs that it has optimised kept on disk. No other file imports
// it but `lane.js`.

import './host.ts';
import { availableParallelism, cpus } from 'node:os';
import type * as Ort from 'onnxruntime-node';
import type { FileSession, Findings, Runtime, Session, SessionOptions, Work } from '../engine/index.ts';
import { fileSessionOver, inMemory, type MakeTensor, type OrtSession, said, sessionOver } from '../engine/ort.ts';
import { ModelError, UsageError } from '../errors.ts';
import { checkWhole } from '../tensor/whole.ts';
import { openOnCard } from './card.ts';
import { hasLanes, openLane } from './lanes.ts';
import { machineMemory, mostThreads } from './machine.ts';
import { cacheEntry, MOST_KEPT, sessionCache } from './session-cache.ts';

/** Opens faster than this are not worth keeping. */
const WORTH_KEEPING = 200; // ms

/**
 * Large, so it is loaded when something is run first. Throws a ModelError that says how it is installed where it is not
 * there or does not go.
 */
async function load(): Promise<typeof Ort> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new ModelError(
      `onnxruntime-node, which runs the models, cannot be loaded: ${reason}. It is installed anew by \`ONNXRUNTIME_NODE_INSTALL=skip npm install fisher-ood\`; without the variable its install script downloads GPU libraries, and fails where it cannot`,
      { cause: error },
    );
  }
}

const versionOf = ({ env }: typeof Ort): string => `onnxruntime ${env.versions.node}`;

/**
 * What runs the graphs: this machine's processor, or its graphics card by WebGPU (through Vulkan, Metal or Direct3D).
 */
export type Provider = 'cpu' | 'webgpu';

/** Of `nodeRuntime`: what runs the graphs, what is kept between runs of the program, and threads. */
export interface NodeRuntimeOptions {
  /** Default: 'cpu'. With 'webgpu' nothing is kept, and threads are for the ops that the card cannot run. */
  readonly provider?: Provider | undefined;
  /** Folder of optimised graphs and findings; default: `sessionCache()`. Empty: nothing is kept. */
  readonly cache?: string | undefined;
  /** For sessions that are not told otherwise; default: as many as the machine has cores. */
  readonly threads?: number | undefined;
}

/**
 * ONNX Runtime on this machine's processor, or on its graphics card. Files of any making (`openFile`) run on the
 * processor always. Throws a UsageError for a provider that there is not; `open` a ModelError where the card cannot be
 * used.
 */
export function nodeRuntime(given: NodeRuntimeOptions = {}): Runtime {
  const { threads, provider = 'cpu' } = given;
  if (provider === 'webgpu') return cardRuntime(threads);
  if (provider !== 'cpu') throw new UsageError(`\`provider: '${provider}'\`: there are 'cpu' and 'webgpu'`);
  const cache = (given.cache ?? sessionCache()) || undefined;
  return {
    memory: machineMemory(),
    mostThreads: mostThreads(),
    lanes: hasLanes ? Math.min(threads ?? availableParallelism(), availableParallelism()) : undefined,
    open: (model, { keep = false, ...options } = {}) =>
      openSession(model, { ...options, threads: options.threads ?? threads, cache: keep ? cache : undefined }),
    openFile: (model, options) => openFile(model, { threads: options?.threads ?? threads }),
    findings: cache === undefined ? undefined : findingsIn(cache),
  };
}

/**
 * Whole batches, one at a time: parts and sessions side by side are for the caches and the cores of a processor. How
 * much memory the card has nobody tells.
 */
const cardRuntime = (threads: number | undefined): Runtime => ({
  memory: Number.POSITIVE_INFINITY,
  mostThreads: mostThreads(),
  undivided: true,
  open: (model, options = {}) =>
    openSession(model, { threads: options.threads ?? threads, work: options.work, provider: 'webgpu' }),
  openFile: (model, options) => openFile(model, { threads: options?.threads ?? threads }),
});

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
  /**
   * A folder in which optimised graphs are kept, so that the same one opens faster the next time; see `sessionCache`.
   */
  readonly cache?: string | undefined;
  /** Left out: runs are taken to be large. */
  readonly work?: Work | undefined;
  /** In a thread of its own. Default: in the one that calls. */
  readonly apart?: boolean | undefined;
  /** Default: 'cpu'. */
  readonly provider?: Provider | undefined;
}

/**
 * Opens a session for an ONNX model. Throws a UsageError for threads that cannot be, a ModelError where the memory does
 * not suffice or the provider cannot be used.
 *
 * The runtime aborts the whole process when a worker thread ends (`terminate`, or `process.exit` in it) while one of
 * its sessions runs: threads of our own (`lanes.ts`) are waited for when the process ends; a caller's worker, in which
 * we start none, should `dispose`, which waits for what runs, before it ends.
 */
export async function openSession(model: Uint8Array, options: OpenOptions = {}): Promise<Session> {
  const ort = await load();
  const { cache, provider } = options;
  const session = await inMemory(() => {
    if (provider === 'webgpu') return openOnCard(ort, model, (how) => create(model, options, how));
    return cache === undefined || model.length > MOST_KEPT ? create(model, options) : cached(model, cache, options);
  });
  return sessionOver(session, options.apart ? plain : tensorsOf(ort));
}

/** What is sent to another thread. */
const plain: MakeTensor = (type, data, dims) => ({ type, data, dims });

/** Tensors of this build. */
const tensorsOf =
  (ort: typeof Ort): MakeTensor =>
  (type, data, dims) =>
    new ort.Tensor(type as 'float32', data as Float32Array, dims);

/**
 * Opens a file of any making: its bytes, or its path where it has data beside it. Throws FisherError, in the runtime's
 * words, where that does not go.
 */
async function openFile(
  model: Uint8Array | string,
  options: Pick<SessionOptions, 'threads'> = {},
): Promise<FileSession> {
  // As it is: to optimise it would take longer than to run it a few times.
  const ort = await load();
  const session = await said(create(model, options, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 }));
  return fileSessionOver(session, tensorsOf(ort));
}

/**
 * Passes of the runtime's optimiser that find nothing in our graphs: of equal steps and constants, which are one
 * already, of quantised models, of attention and layers with skip connections as other frameworks write them. Each
 * walks the whole graph twice, which takes a third of the time to open one of ten thousand nodes.
 */
const UNUSED_PASSES = [
  'CommonSubexpressionElimination',
  'ConstantSharing',
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

/**
 * Multiplications for each step of a graph from which a second thread pays, measured: with fewer, waking it for a step
 * takes longer than what it does there, and a thread that others keep off its core is waited for in every step.
 */
const WORTH_THREADS = 2 ** 17;

/** Runs that take more bytes are not planned: the runtime would reserve the whole peak a second time. */
const WORTH_PLANNING = 32 * 2 ** 20;

/** How long a thread that has nothing to do looks for more before it sleeps. The runtime's own is some 30 ms. */
const SPIN_MICROSECONDS = 1000;

/** Threads for runs that nobody has said the number for. */
export const threadsFor = (work: Work | undefined, cores: number): number =>
  work && work.multiplications < WORTH_THREADS * work.steps ? 1 : cores;
/** A session of the runtime, here or in a thread of its own. */
type Told = Pick<Ort.InferenceSession, 'inputMetadata' | 'outputMetadata'>;
type Opened = OrtSession & Told;

async function create(
  model: Uint8Array | string,
  options: OpenOptions,
  more: Ort.InferenceSession.SessionOptions = {},
): Promise<Opened> {
  if (options.threads !== undefined) checkWhole(options.threads, 'the number of threads', 1, mostThreads());
  const ort = await load();
  const all: Ort.InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? threadsFor(options.work, cpus().length),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Places for all values beforehand: a tenth of a run of thousands of small steps, nothing of a large one.
    enableMemPattern: options.work !== undefined && options.work.bytes < WORTH_PLANNING,
    extra: {
      optimization: { disable_specified_optimizers: UNUSED_PASSES.join(';') },
      // Threads of one session that spin while another runs take its cores.
      session: { intra_op: { spin_duration_us: String(SPIN_MICROSECONDS) } },
    },
    ...more,
  };
  return options.apart ? openLane<Told>(model, all) : ort.InferenceSession.create(model as string, all);
}

async function cached(model: Uint8Array, dir: string, options: OpenOptions): Promise<Opened> {
  const entry = cacheEntry(dir, model, versionOf(await load()));
  const optimised = await entry.read();
  if (optimised) {
    const kept = await create(optimised, options, { graphOptimizationLevel: 'disabled' }).catch(() => undefined);
    const { signature } = await import('../onnx/index.ts');
    if (kept && sameText(interfaceOf(kept), signature(model))) return kept;
    await kept?.release();
    await entry.drop();
  }
  let session: Opened | undefined;
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
function interfaceOf(session: Opened): string[] {
  const describe = (v: Ort.InferenceSession.ValueMetadata) =>
    v.isTensor ? `${v.name} ${v.type} ${v.shape.join()}` : `${v.name}, which is no tensor`;
  return [...session.inputMetadata.map(describe), '→', ...session.outputMetadata.map(describe)];
}

const sameText = (a: readonly string[], b: readonly string[]) => a.join('\n') === b.join('\n');
