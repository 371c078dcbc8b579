// A graph over one example in; runs of it for batches of examples out: lowered, encoded and opened for each size of
// batch that is asked for, or of the parts that it is run in.

import type { Batch } from '../data/dataset.ts';
import { defined } from '../defined.ts';
import { type Graph, inputsOf, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import {
  chooseBatch,
  choosePart,
  countMultiplications,
  estimateMemory,
  lower,
  outputNamed,
  type PlanChoice,
} from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { simplifyGraph } from '../ops/index.ts';
import { type Shape, shapeText } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { checkWhole } from '../tensor/whole.ts';
import { type ByContent, feedsFor } from './feeds.ts';
import { freeNow } from './free.ts';
import { type Lanes, openLanes } from './lanes.ts';
import { checkFits } from './limits.ts';
import { cut, joined, partsOf } from './parts.ts';
import type { Feeds, Outputs, Runtime } from './runtime.ts';
import { type SessionPool, sessionPool } from './sessions.ts';

/** The shape of one example of each input. */
export type Shapes = Readonly<Record<string, Shape>>;

export interface ProgramOptions {
  readonly runtime: Runtime;
  readonly weights: Weights | 'inputs';
  /** Examples per group; default 1. */
  readonly group?: number | undefined;
  readonly plan?: PlanChoice | undefined;
  /** Examples per run at most, rounded down to whole groups. Default: up to 64, from a memory estimate. */
  readonly batch?: number | undefined;
  /** Bytes that a run may take, for the choice of the batch. Default: 1 GiB. */
  readonly memory?: number | undefined;
  readonly threads?: number | undefined;
  /** See `SessionOptions`. */
  readonly keep?: boolean | undefined;
  /**
   * Sessions that are open at once, at most: one for each size of batch and each shape of the inputs that was asked
   * for. Default 8.
   */
  readonly sessions?: number | undefined;
  /** Groups are but parts of a batch, whose size is all that anybody chooses: for the same message. */
  readonly divisible?: boolean | undefined;
  /** What a run does, for the message that it does not fit into the memory. Default: 'a batch'. */
  readonly runs?: string | undefined;
}

/** One graph, for examples of one shape. */
export interface Program<C extends Compiled = Compiled> {
  /** What was compiled. */
  readonly compiled: C;
  /** The inputs that `graph` reads. */
  readonly inputs: readonly Value[];
  /** Examples per run at most. */
  readonly batch: number;
  /**
   * Examples per run for a set of n: as few as hold its whole groups, a power of two of these, so that there are not
   * many sizes; at most `batch`.
   */
  sizeFor(n: number): number;
  /** What the inputs are fed with for these examples, see `feedsFor`. */
  feeds(batch: Batch, draws: ArrayLike<number> | ByContent, seed: number, samples?: readonly number[]): Feeds;
  /** Runs once, for so many examples; default `batch`. The first time of each size opens a session for it. */
  run(feeds: Feeds, examples?: number): Promise<Outputs>;
  /** Opens the session for so many examples if it is not open. */
  open(examples?: number): Promise<void>;
  /** Whether the fastest way to run it, at the size that was run last, has been found. */
  settled(): boolean;
  dispose(): Promise<void>;
}

/** A graph, and whatever else comes of compiling it. */
export interface Compiled {
  readonly graph: Graph;
}

/** A graph for every shape that examples come in. */
export interface Programs<C extends Compiled = Compiled> {
  at(shapes: Shapes): Omit<Program<C>, 'dispose'>;
  /** Closes the sessions of all of them, when what runs has ended. */
  dispose(): Promise<void>;
}

/** Throws a ModelError where a batch does not fit into the machine. Opens no session before it is needed. */
export function openProgram(graph: Graph, options: ProgramOptions): Program {
  const programs = openPrograms(() => ({ graph }), options);
  return { ...programs.at({}), dispose: programs.dispose };
}

/** Graphs that are kept, each with what is known of it. */
const MOST_SHAPES = 16;

/**
 * `compile` makes the graph for inputs of given shapes, over a fresh arena. It is called again for shapes that were not
 * in use for long.
 */
export function openPrograms<C extends Compiled>(compile: (shapes: Shapes) => C, options: ProgramOptions): Programs<C> {
  const pool = sessionPool<Lanes>(options.sessions ?? 8);
  const known = new Map<string, Omit<Program<C>, 'dispose'>>();
  return {
    at(shapes) {
      const key = keyOf(shapes);
      const found = known.get(key) ?? programOf(compile(shapes), key, pool, options);
      known.delete(key);
      known.set(key, found); // the one used last at the end
      if (known.size > MOST_SHAPES) known.delete(known.keys().next().value!);
      return found;
    },
    dispose: () => pool.dispose(),
  };
}

/** Runs a graph once, for as many examples as there are in a batch. */
export async function runOnce(
  graph: Graph,
  options: Omit<ProgramOptions, 'batch'> & { readonly batch: number },
  feeds: (program: Program) => Feeds,
): Promise<Outputs> {
  const program = openProgram(graph, options);
  try {
    return await program.run(feeds(program));
  } finally {
    await program.dispose();
  }
}

/** Outputs by the names that they have in the graph. */
const byOutput = (found: Outputs): Outputs =>
  Object.fromEntries(Object.entries(found).map(([name, t]) => [outputNamed(name), t]));

const keyOf = (shapes: Shapes): string =>
  Object.entries(shapes)
    .map(([name, shape]) => `${name} ${shapeText(shape)}`)
    .sort()
    .join();

function programOf<C extends Compiled>(
  compiled: C,
  key: string,
  pool: SessionPool<Lanes>,
  { runtime, weights, plan, threads, keep, memory, ...options }: ProgramOptions,
): Omit<Program<C>, 'dispose'> {
  const graph = simplifyGraph(compiled.graph);
  const group = checkWhole(options.group ?? 1, 'the group size', 1);
  const estimate = estimateMemory(graph, group, plan);
  const batch =
    options.batch === undefined
      ? chooseBatch(estimate, group, memory)
      : Math.max(1, Math.floor(checkWhole(options.batch, 'the batch size', 1) / group)) * group;
  const needed = estimate.fixed + batch * estimate.perExample;
  const remedy =
    options.group === undefined || options.group === options.batch || options.divisible
      ? 'a smaller batch takes less'
      : 'a smaller batch or group takes less';
  checkFits(needed, runtime.memory, `${options.runs ?? 'a batch'} of ${batch} examples`, remedy);
  if (threads !== undefined) checkWhole(threads, 'the number of threads', 1, runtime.mostThreads);
  const inputs = inputsOf(graph);

  const part = runtime.undivided ? Number.MAX_SAFE_INTEGER : choosePart(estimate, group);
  const most = Math.min(threads ?? Number.POSITIVE_INFINITY, runtime.lanes ?? 1);
  /** Sessions side by side for runs of so many examples: no more memory than these take in one. */
  const lanesFor = (examples: number, size: number) => {
    const room = estimate.fixed + examples * estimate.perExample;
    const fit = Math.floor(room / (estimate.fixed + size * estimate.perExample));
    return Math.min(most, Math.ceil(examples / size), Math.max(1, fit));
  };

  const open = (examples: number, size: number) => async () => {
    const model = lower(graph, { examples: size, group, weights, ...defined({ plan }) });
    let bytes: Uint8Array | undefined = encode(model);
    let hash: string | undefined;
    const work = {
      steps: model.nodes.length,
      multiplications: size * countMultiplications(graph, group, plan),
      bytes: size * estimate.perExample,
    };
    const lanes = lanesFor(examples, size);
    return openLanes({
      open: (apart) => runtime.open(bytes!, { threads: apart ? 1 : threads, keep, work, ...(apart ? { apart } : {}) }),
      allOpen: () => {
        if (bytes) freeNow(bytes); // of a large model as much as its weights
        bytes = undefined;
      },
      lanes,
      key: () => {
        hash ??= host().sha256().update(bytes!).digest();
        return `lanes, version 1, ${threads} threads, ${lanes} of ${hash}`;
      },
      findings: keep ? runtime.findings : undefined,
    });
  };
  let last: Lanes | undefined;
  const use = <T>(examples: number, work: Parameters<typeof pool.use<T>>[2]) => {
    const { size } = partsOf(examples, part, group);
    return pool.use(`${key} × ${size}`, open(examples, size), work);
  };
  return {
    compiled,
    inputs,
    batch,
    sizeFor: (n) => Math.min(batch, group * 2 ** Math.ceil(Math.log2(Math.max(1, Math.floor(n / group))))),
    feeds: (found, draws, seed, samples) => feedsFor(inputs, found, draws, seed, samples),
    run: (feeds, examples = batch) => {
      const { size, starts } = partsOf(examples, part, group);
      return use(examples, async (lanes) => {
        last = lanes;
        const whole = joined(graph, { examples, group });
        const parts = starts.map((start) => () => cut(feeds, inputs, { start, size, examples }));
        await lanes.run(parts, (k, found) => whole.put(starts[k]!, byOutput(found)));
        return whole.outputs;
      });
    },
    open: (examples = batch) => use(examples, async () => undefined),
    settled: () => last?.settled() ?? false,
  };
}
