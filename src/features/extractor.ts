// A model and a data set in; the negative log-likelihood and the layer-wise squared gradient norms of every group out.

import type { Batch, Dataset } from '../data/index.ts';
import { DataError, ModelError } from '../errors.ts';
import { inputsOf } from '../graph/index.ts';
import { chooseBatch, estimateMemory, lower, type PlanChoice } from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { sessionCache } from '../runtime/cache.ts';
import { feedsFor } from '../runtime/feeds.ts';
import { openSession } from '../runtime/node.ts';
import type { ScoringModel } from '../store/index.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import { normGraph } from './norms.ts';
import { withRanges } from './ranges.ts';
import { concatTables, type FeatureTable, type TableHead } from './table.ts';

export interface ExtractorOptions {
  /** Examples per group, B. Default 1. */
  readonly group?: number;
  /** Examples per run, rounded down to whole groups. Default: up to 64, from a memory estimate. */
  readonly batch?: number;
  /** Bytes that a run may take, for the choice of the batch. Default: 1 GiB. */
  readonly memory?: number;
  /** Seed of the random inputs; an example's draws depend on the seed and its index alone. Default 0. */
  readonly seed?: number;
  readonly threads?: number;
  readonly plan?: PlanChoice;
  /** Folder of the runtime's optimised graphs; default: `sessionCache()`. */
  readonly cache?: string;
}

/** Examples start .. end − 1 of a data set; what does not fill a group at the end is left out. */
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
   * Tables of consecutive groups, one per run. Results beyond the range of float32 are its largest number. Throws a DataError that names the
   * example where one is NaN.
   */
  tables(data: Dataset, rows?: Rows): AsyncIterable<FeatureTable>;
  /** All of them as one table. */
  table(data: Dataset, rows?: Rows, onProgress?: (examples: number, of: number) => void): Promise<FeatureTable>;
  dispose(): Promise<void>;
}

/** Lowers the model's norms for batches of one size and opens a session for them. */
export async function openExtractor(model: ScoringModel, options: ExtractorOptions = {}): Promise<Extractor> {
  const { group = 1, seed = 0, plan = 'auto', cache = sessionCache() } = options;
  const { graph: norms, names, sizes } = normGraph(model.loss());
  const { graph, check } = withRanges(norms);
  const batch = options.batch
    ? Math.max(1, Math.floor(options.batch / group)) * group
    : chooseBatch(estimateMemory(graph, group, plan), group, options.memory);
  const inputs = inputsOf(graph);
  const bytes = encode(lower(graph, { examples: batch, group, weights: model.weights, plan }));
  const session = await openSession(bytes, {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    cache,
  });
  const factor = model.dims === undefined ? {} : { bitsPerDimFactor: 1 / (model.dims * Math.LN2) };

  const head = (data: Dataset, start: number): TableHead => ({
    names,
    dims: sizes,
    group,
    meta: { model: model.hash, data: data.name, dataFingerprint: data.fingerprint, seed, start, ...factor },
  });

  async function* tables(data: Dataset, rows: Rows = {}): AsyncIterable<FeatureTable> {
    checkShape(model, data);
    const { start, end } = wholeGroups(data, group, rows);
    for await (const found of data.batches(batch, { start, end })) {
      const indices = Array.from({ length: batch }, (_, i) => found.start + Math.min(i, found.n - 1));
      const outputs = await session.run(feedsFor(inputs, filled(found, batch), indices, seed));
      check(outputs, found.n, data.name, found.start);
      const n = found.n / group;
      const table: FeatureTable = {
        ...head(data, found.start),
        nll: Float64Array.from(outputs.nll!.data.subarray(0, n)),
        sqNorms: Float64Array.from(outputs.sqnorm!.data.subarray(0, n * names.length)),
      };
      yield checked(table);
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
    dispose: () => session.dispose(),
  };
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

/** The largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/**
 * What overflows counts as the largest float32: an input whose gradient is that long is as far out of distribution as numbers go, and no
 * reason to give up on the others. A NaN is refused.
 */
function checked(table: FeatureTable): FeatureTable {
  const l = table.names.length;
  for (let i = 0; i < table.nll.length; i++) {
    const first = table.meta.start + i * table.group;
    const example = table.group === 1 ? `example ${first}` : `examples ${first} to ${first + table.group - 1}`;
    if (table.nll[i] === Infinity) table.nll[i] = LARGEST;
    if (!Number.isFinite(table.nll[i]!)) {
      throw new DataError(`${table.meta.data}: ${example}: the negative log-likelihood is ${table.nll[i]}`);
    }
    const row = table.sqNorms.subarray(i * l, (i + 1) * l);
    for (let j = 0; j < l; j++) {
      if (row[j] === Infinity) row[j] = LARGEST;
      if (!Number.isFinite(row[j]!)) {
        throw new DataError(
          `${table.meta.data}: ${example}: the squared gradient norm of '${table.names[j]}' is ${row[j]}`,
        );
      }
    }
  }
  return table;
}

function checkShape(model: ScoringModel, data: Dataset): void {
  for (const [name, expected] of Object.entries(model.inputs)) {
    const found = Object.hasOwn(data.shapes, name) ? data.shapes[name] : undefined;
    if (!found) {
      const there = Object.keys(data.shapes).join(', ');
      throw new ModelError(`${data.name}: has no array '${name}', which the model takes; it has ${there}`);
    }
    if (!sameShape(found, expected)) {
      throw new ModelError(
        `${data.name}: '${name}' is ${shapeText(found)} an example, the model takes ${shapeText(expected)}`,
      );
    }
  }
}
