// A model and a data set in; the negative log-likelihood and the layer-wise squared gradient norms of every group out.

import type { Batch, Dataset } from '../data/index.ts';
import { indexIn } from '../data/index.ts';
import { DataError, FisherError, ModelError } from '../errors.ts';
import { inputsOf } from '../graph/index.ts';
import { chooseBatch, estimateMemory, lower, type PlanChoice } from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { sessionCache } from '../runtime/cache.ts';
import { feedsFor } from '../runtime/feeds.ts';
import { checkFits } from '../runtime/limits.ts';
import { openSession } from '../runtime/node.ts';
import type { ScoringModel } from '../store/index.ts';
import { checkWhole } from '../tensor/whole.ts';
import { asModelTakes, type InputOptions } from './inputs.ts';
import { normGraph } from './norms.ts';
import { withRanges } from './ranges.ts';
import { rescueOf } from './rescue.ts';
import { concatTables, type FeatureTable, type NoiseKey, type TableHead } from './table.ts';

export interface ExtractorOptions extends InputOptions {
  /** Examples per group, B. Default 1. */
  readonly group?: number;
  /** Examples per run, rounded down to whole groups. Default: up to 64, from a memory estimate. */
  readonly batch?: number;
  /** Bytes that a run may take, for the choice of the batch. Default: 1 GiB. */
  readonly memory?: number;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number;
  /**
   * What an example's draws depend on beside the seed. 'content' (default): a hash of its numbers as the model takes them, so that equal inputs
   * have equal norms wherever they stand. 'index': its index in the source that its data set was cut from. 'place': its index in the data set
   * itself, however that was cut, as tables and detectors of before have it that do not say.
   */
  readonly noise?: NoiseKey | 'place';
  readonly threads?: number;
  readonly plan?: PlanChoice;
  /** Folder of the runtime's optimised graphs; default: `sessionCache()`. */
  readonly cache?: string;
}

/** Examples start .. end − 1 of a data set; what does not fill a group at the end is left out: `leftOver` tells which these are. */
export interface Rows {
  readonly start?: number;
  readonly end?: number;
}

export interface Extractor {
  readonly group: number;
  /** Hash of the model. */
  readonly model: string;
  readonly seed: number;
  /** Examples per run. */
  readonly batch: number;
  readonly names: readonly string[];
  readonly plan: PlanChoice;
  /** What the tables of these data say of themselves, from example `start` on. With `plan` it tells whether two runs have the same rows. */
  head(data: Dataset, start: number): TableHead;
  /**
   * Tables of consecutive groups, one per run. The data are made ready for the model as the command line does it (`asModelTakes`), unless they
   * are already. What float32 cannot hold is computed again, scaled; what is not finite even so is NaN in the table (`notFinite`).
   */
  tables(data: Dataset, rows?: Rows): AsyncIterable<FeatureTable>;
  /** All of them as one table. */
  table(data: Dataset, rows?: Rows, onProgress?: (examples: number, of: number) => void): Promise<FeatureTable>;
  dispose(): Promise<void>;
}

/** Lowers the model's norms for batches of one size and opens a session for them. */
export async function openExtractor(model: ScoringModel, options: ExtractorOptions = {}): Promise<Extractor> {
  const { seed = 0, noise = 'content', plan = 'auto', cache = sessionCache() } = options;
  const group = checkWhole(options.group ?? 1, 'the group size', 1);
  checkWhole(seed, 'the seed', 0);
  await model.batchLoss?.({ cache, ...(options.threads === undefined ? {} : { threads: options.threads }) });
  const { graph: norms, names, sizes } = normGraph(model.loss());
  const { graph, check } = withRanges(norms);
  const estimate = estimateMemory(graph, group, plan);
  const batch =
    options.batch === undefined
      ? chooseBatch(estimate, group, options.memory)
      : Math.max(1, Math.floor(checkWhole(options.batch, 'the batch size', 1) / group)) * group;
  const needed = estimate.fixed + batch * estimate.perExample;
  checkFits(needed, `a batch of ${batch} examples`, 'a smaller batch or group takes less');
  const inputs = inputsOf(graph);
  const bytes = encode(lower(graph, { examples: batch, group, weights: model.weights, plan }));
  const sessionOptions = { ...(options.threads === undefined ? {} : { threads: options.threads }), cache };
  const session = await openSession(bytes, sessionOptions).catch((error: unknown) => cannotRun(model, error));
  const { weights } = model;
  const rescue = rescueOf({ ...sessionOptions, group, memory: options.memory, weights, loss: () => model.loss() });
  const factor = model.dims === undefined ? {} : { bitsPerDimFactor: 1 / (model.dims * Math.LN2) };

  const taken = new WeakMap<Dataset, Dataset>();
  const ready = (data: Dataset): Dataset => {
    const found = taken.get(data) ?? asModelTakes(model, data, options);
    taken.set(data, found);
    return found;
  };

  const head = (given: Dataset, start: number): TableHead => {
    const { name, fingerprint, origin } = ready(given);
    const keyed = noise === 'place' ? {} : { noise };
    return {
      names,
      dims: sizes,
      group,
      meta: { model: model.hash, data: name, dataFingerprint: fingerprint, origin, seed, ...keyed, start, ...factor },
    };
  };

  async function* tables(given: Dataset, rows: Rows = {}): AsyncIterable<FeatureTable> {
    const data = ready(given);
    const { start, end } = wholeGroups(data, group, rows);
    const indexOf = noise === 'index' ? indexIn(data.origin) : (i: number) => i;
    for await (const found of data.batches(batch, { start, end })) {
      const draws =
        noise === 'content'
          ? { group }
          : Array.from({ length: batch }, (_, i) => indexOf(found.start + Math.min(i, found.n - 1)));
      const feeds = feedsFor(inputs, filled(found, batch), draws, seed);
      const outputs = await session.run(feeds);
      check(outputs, found.n, data.name, found.start);
      const n = found.n / group;
      const table: FeatureTable = {
        ...head(given, found.start),
        nll: Float64Array.from(outputs.nll!.data.subarray(0, n)),
        sqNorms: Float64Array.from(outputs.sqnorm!.data.subarray(0, n * names.length)),
      };
      await rescue.mend(table, feeds);
      yield table;
    }
  }

  return {
    group,
    model: model.hash,
    seed,
    batch,
    names,
    plan,
    head,
    tables,
    table: async (data, rows = {}, onProgress) => {
      const { start, end } = wholeGroups(data, group, rows);
      const parts: FeatureTable[] = [];
      for await (const part of tables(data, rows)) {
        parts.push(part);
        onProgress?.(part.meta.start + part.nll.length * group - start, end - start);
      }
      return concatTables(parts);
    },
    dispose: async () => {
      await rescue.dispose();
      await session.dispose();
    },
  };
}

/** Says of which model it is that the runtime does not take what was made of it. */
function cannotRun({ about }: ScoringModel, error: unknown): never {
  if (error instanceof FisherError) throw error;
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  throw new ModelError(
    `${about}: ONNX Runtime does not run what this model is made into: ${reason}. Please report it, with the model`,
    { cause: error },
  );
}

/** The range of `rows` without the incomplete group at its end. */
export function wholeGroups(data: Dataset, group: number, rows: Rows): { start: number; end: number } {
  const { start = 0, end = data.length } = rows;
  if (start < 0 || end > data.length || start >= end) {
    throw new DataError(`${data.name}: examples ${start} to ${end} asked for, the data set has ${data.length}`);
  }
  const whole = Math.floor((end - start) / group) * group;
  if (whole === 0) throw new DataError(`${data.name}: ${end - start} examples do not fill a group of ${group}`);
  return { start, end: start + whole };
}

/** The examples of `rows` that `wholeGroups` leaves out, at the end. */
export function leftOver(data: Dataset, group: number, rows: Rows = {}): number[] {
  const { start = 0, end = data.length } = rows;
  return Array.from({ length: (end - start) % group }, (_, k) => end - ((end - start) % group) + k);
}

/** The batch with its last example repeated up to `size`: a session takes batches of one size. */
function filled(batch: Batch, size: number): Batch {
  if (batch.n === size) return batch;
  const arrays = Object.entries(batch.arrays).map(([name, { data, shape }]) => {
    const stride = data.length / batch.n;
    const make = data.constructor as new (length: number) => typeof data;
    const grown = new make(size * stride);
    grown.set(data as never);
    for (let i = batch.n; i < size; i++) grown.copyWithin(i * stride, (batch.n - 1) * stride, batch.n * stride);
    return [name, { data: grown, shape: [size, ...shape.slice(1)] }] as const;
  });
  return { ...batch, n: size, arrays: Object.fromEntries(arrays) };
}

/** The examples of shard i of n (1 ≤ i ≤ n): whole groups, all shards together the whole range. */
export function shardRows(data: Dataset, group: number, shard: number, shards: number): Rows {
  const groups = Math.floor(data.length / group);
  const at = (k: number) => Math.floor((k * groups) / shards) * group;
  if (at(shard - 1) === at(shard)) {
    throw new DataError(`${data.name}: ${groups} groups do not divide into ${shards} shards`);
  }
  return { start: at(shard - 1), end: at(shard) };
}
