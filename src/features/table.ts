// The features of one data set under one model: the type, its invariants, and cutting and joining of tables.

import * as z from 'zod';
import { type Origin, sliceOf } from '../data/origin.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { parseAs } from '../json.ts';

/** Where the numbers of a table come from. `start` is what a resumed or sharded run needs; see `nextExample`. */
export interface FeatureMeta {
  /** SHA-256 (hex) of the model's weights and graph. Scores compare only under the same model. */
  readonly model: string;
  /** Name of the data set, for messages and reports. */
  readonly data: string;
  /** SHA-256 (hex) of the data set's content. */
  readonly dataFingerprint: string;
  /** Which examples of which source the data set holds. Left out: not known. */
  readonly origin?: Origin;
  /** Seed of the random inputs (noise, dequantisation). */
  readonly seed: number;
  /**
   * What tells one example's noise from another's, beside the seed: its content, or its index in the source. Left out: its index in the data
   * set itself, as tables of before this was said have it.
   */
  readonly noise?: NoiseKey;
  /** Index in the data set of the first example of the first group; the groups follow without gaps. */
  readonly start: number;
  /** What else was measured; left out: nothing. */
  readonly views?: readonly View[];
  /** SHA-256 of the metric of the view `fisher`. Its numbers compare only under the same metric. */
  readonly metric?: string;
  /** bits/dim = nll · factor / group, where the nll is that of discrete data. Left out where that means nothing. */
  readonly bitsPerDimFactor?: number;
}

export type NoiseKey = 'content' | 'index';

/**
 * What else is measured in the same pass. `radial`: ⟨θ_j, ∇_j⟩ of every layer, how the nll changes as the tensor is scaled. `fisher`: the
 * squared norm of every layer's gradient in a diagonal metric (`FeatureMeta.metric`).
 */
export type View = 'radial' | 'fisher';

/** In the order of files. */
export const viewNames = ['radial', 'fisher'] as const satisfies readonly View[];

/** Features of n groups of B consecutive examples each, of a model with L parameter tensors ("layers"). */
export interface FeatureTable {
  /** The L parameter tensors; unique. */
  readonly names: readonly string[];
  /** Number of elements of each parameter tensor [L]. Only the χ² detector needs it. */
  readonly dims?: readonly number[];
  /** [n] negative log-likelihood (or bound) in nats, summed over the group. NaN where it is not finite; see `notFinite`. */
  readonly nll: Float64Array;
  /** [n, L] row-major: squared L2 norms of the gradient of the nll summed over the group. NaN where one is not finite. */
  readonly sqNorms: Float64Array;
  /** [n, L] row-major, of the gradient of the nll summed over the group. NaN where one is not finite. */
  readonly views?: Views;
  /** B */
  readonly group: number;
  readonly meta: FeatureMeta;
}

type Views = Readonly<Partial<Record<View, Float64Array>>>;

const positiveInteger = z.int().min(1);

export const noiseSchema = z.enum(['content', 'index']);

export const originSchema = z
  .strictObject({
    fingerprint: z.string().min(1),
    runs: z.array(z.tuple([z.int().min(0), z.int().min(1)]).refine(([a, b]) => a < b, 'Invalid input: expected a < b')),
  })
  .refine(({ runs }) => runs.length > 0, 'Invalid input: expected at least one run');

/** What a file's metadata must look like. */
const metaSchema = z.strictObject({
  model: z.string().min(1),
  data: z.string(),
  dataFingerprint: z.string().min(1),
  origin: originSchema.optional(),
  seed: z.int().min(0),
  noise: noiseSchema.optional(),
  start: z.int().min(0),
  views: z
    .array(z.enum(viewNames))
    .min(1)
    .refine((views) => new Set(views).size === views.length, 'Invalid input: expected each view once')
    .optional(),
  metric: z.string().min(1).optional(),
  bitsPerDimFactor: z.number().positive().optional(),
});

/** Everything of a table but its numbers, as the formats store it. */
export const headSchema = z.strictObject({
  names: z.array(z.string().min(1)).min(1),
  dims: z.array(positiveInteger).optional(),
  group: positiveInteger,
  meta: metaSchema,
});

export type TableHead = Pick<FeatureTable, 'names' | 'dims' | 'group' | 'meta'>;

/** Checks a table's head. `where` names the file or caller. */
export function parseHead(value: unknown, where: string): TableHead {
  // zod types an optional key as `T | undefined`; under exactOptionalPropertyTypes a missing key is something else.
  const { dims, meta, ...rest } = parseAs(headSchema, value, where);
  const { bitsPerDimFactor, origin, noise, views, metric, ...needed } = meta;
  return {
    ...rest,
    ...defined({ dims }),
    meta: {
      ...needed,
      ...defined({ origin, noise, views, metric, bitsPerDimFactor }),
    },
  };
}

/** A table that is not in memory: its head, and its rows as tables that follow one another. */
export interface StoredTable {
  readonly head: TableHead;
  readonly rows: number;
  /** From the first row, each time it is called. */
  tables(): AsyncIterable<FeatureTable>;
}

/** The head of a table. */
export function headOf(table: TableHead): TableHead {
  const { names, dims, group, meta } = table;
  return { names, group, meta, ...defined({ dims }) };
}

/**
 * Returns `table` if all that is promised about tables holds; throws a DataError if not: at least one row and one layer,
 * unique names, sizes that agree, nll finite, squared norms finite and >= 0, either of them NaN where it is not known. `where` names the
 * file or caller.
 */
export function checkTable(table: FeatureTable, where: string): FeatureTable {
  const { names, dims, nll, sqNorms, views = {} } = table;
  parseHead(headOf(table), where);
  const { views: said = [] } = table.meta;
  if (Object.keys(views).length !== said.length || said.some((view) => views[view] === undefined)) {
    const list = (all: readonly string[]) => all.join(', ') || 'none';
    throw new DataError(`${where}: has the views ${list(Object.keys(views))}, its head says ${list(said)}`);
  }
  const l = names.length;
  const n = nll.length;
  const seen = new Map<string, number>();
  for (const [j, name] of names.entries()) {
    const other = seen.get(name);
    if (other !== undefined) throw new DataError(`${where}: layers ${other} and ${j} are both named '${name}'`);
    if (name.includes('\0')) throw new DataError(`${where}: the name of layer ${j} contains a zero character`);
    seen.set(name, j);
  }
  if (dims !== undefined && dims.length !== l) {
    throw new DataError(`${where}: has dims of ${dims.length} layers, expected ${l} (one per name)`);
  }
  if (n === 0) throw new DataError(`${where}: has no rows, expected at least 1`);
  if (sqNorms.length !== n * l) {
    throw new DataError(`${where}: has ${sqNorms.length} squared norms, expected ${n} rows × ${l} layers = ${n * l}`);
  }
  for (const [view, values] of Object.entries(views)) {
    if (values.length !== n * l) {
      throw new DataError(`${where}: has ${values.length} values of ${view}, expected ${n} rows × ${l} layers`);
    }
    const odd = values.findIndex((v) => Math.abs(v) === Infinity || (view === 'fisher' && v < 0));
    if (odd >= 0) {
      const place = `${where}: row ${Math.floor(odd / l)}, layer '${names[odd % l]}'`;
      const wanted = view === 'fisher' ? 'a finite number >= 0' : 'a finite number';
      throw new DataError(`${place}: ${view} is ${values[odd]}, expected ${wanted}`);
    }
  }
  for (let i = 0; i < n; i++) {
    if (Math.abs(nll[i]!) === Infinity)
      throw new DataError(`${where}: row ${i}: nll is ${nll[i]}, expected a finite number`);
    for (let j = 0; j < l; j++) {
      const value = sqNorms[i * l + j]!;
      if (value < 0 || value === Infinity) {
        const place = `${where}: row ${i}, layer '${names[j]}'`;
        throw new DataError(`${place}: squared norm is ${value}, expected a finite number >= 0`);
      }
    }
  }
  return table;
}

/** The rows whose nll or one of whose squared norms or other numbers is NaN: what the model makes of these inputs is beyond float32, or no number at all. */
export function notFinite({ nll, names, sqNorms, views = {} }: FeatureTable): number[] {
  const l = names.length;
  const all = [sqNorms, ...Object.values(views)];
  const marked = (i: number) =>
    Number.isNaN(nll[i]) || all.some((values) => values.subarray(i * l, (i + 1) * l).some(Number.isNaN));
  return [...nll.keys()].filter(marked);
}

/** What is not finite in a row of `notFinite`, for people: 'nll' or the names of the first layers. */
export function whatIsNotFinite({ nll, names, sqNorms, views = {} }: FeatureTable, row: number): string {
  const l = names.length;
  const of = (what: string, values: Float64Array) => {
    const layers = names.filter((_, j) => Number.isNaN(values[row * l + j]));
    const more = layers.length > 1 ? ` and ${layers.length - 1} more` : '';
    return layers.length === 0 ? [] : [`${what} of '${layers[0]}'${more}`];
  };
  return [
    ...(Number.isNaN(nll[row]) ? ['negative log-likelihood'] : []),
    ...of('squared gradient norm', sqNorms),
    ...Object.entries(views).flatMap(([view, values]) => of(`view ${view}`, values)),
  ].join(', ');
}

/** The table without the rows of `notFinite`. Its rows need not follow one another any more: for fitting and figures only. */
export function finiteRows(table: FeatureTable): FeatureTable {
  const marked = new Set(notFinite(table));
  return marked.size === 0
    ? table
    : pickRows(
        table,
        [...table.nll.keys()].filter((i) => !marked.has(i)),
      );
}

/** Rows by index. Their groups are no longer consecutive, so `meta.start` means nothing. */
export function pickRows(table: FeatureTable, rows: ArrayLike<number>): FeatureTable {
  const l = table.names.length;
  return {
    ...table,
    nll: Float64Array.from(rows, (i) => table.nll[i]!),
    ...eachMatrix(table, (values) => {
      const picked = new Float64Array(rows.length * l);
      for (let k = 0; k < rows.length; k++) picked.set(values.subarray(rows[k]! * l, (rows[k]! + 1) * l), k * l);
      return picked;
    }),
  };
}

/** The numbers of all layers, changed alike: squared norms and views. */
function eachMatrix(
  table: Pick<FeatureTable, 'sqNorms' | 'views'>,
  change: (values: Float64Array, view: View | undefined) => Float64Array,
): Pick<FeatureTable, 'sqNorms' | 'views'> {
  const sqNorms = change(table.sqNorms, undefined);
  if (table.views === undefined) return { sqNorms };
  const views = Object.entries(table.views) as [View, Float64Array][];
  return { sqNorms, views: Object.fromEntries(views.map(([view, values]) => [view, change(values, view)])) };
}

/** The examples of some rows, for people: the first ten. */
export function describeExamples(
  { group, meta }: Pick<FeatureTable, 'group' | 'meta'>,
  rows: readonly number[],
): string {
  const first = rows.slice(0, 10).map((i) => meta.start + i * group);
  const each = first.map((k) => (group === 1 ? String(k) : `${k} to ${k + group - 1}`)).join(', ');
  const more = rows.length > first.length ? ` and ${rows.length - first.length} more` : '';
  return `${group === 1 && rows.length === 1 ? 'example' : 'examples'} ${each}${more}`;
}

/** Where the examples of the rows come from; undefined where the table does not know. */
export function examplesOf(table: FeatureTable): Origin | undefined {
  const { origin, start } = table.meta;
  return origin && sliceOf(origin, start, nextExample(table));
}

/** Number of groups n. */
export function rowsOf(table: FeatureTable): number {
  return table.nll.length;
}

/** Index in the data set of the first example after this table's: where a resumed run goes on, the next shard starts. */
export function nextExample(table: FeatureTable): number {
  return table.meta.start + rowsOf(table) * table.group;
}

/**
 * Rows from..to-1 as a table of their own (copied). Throws a DataError unless 0 <= from < to <= n. The protocol's halves are
 * `sliceTable(t, 0, n >> 1)` and `sliceTable(t, n >> 1, n)`.
 */
export function sliceTable(table: FeatureTable, from: number, to: number): FeatureTable {
  const n = rowsOf(table);
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= n)) {
    throw new DataError(`${table.meta.data}: rows [${from}:${to}] do not fit, expected 0 <= from < to <= ${n}`);
  }
  const l = table.names.length;
  return {
    ...table,
    nll: table.nll.slice(from, to),
    ...eachMatrix(table, (values) => values.slice(from * l, to * l)),
    meta: { ...table.meta, start: table.meta.start + from * table.group },
  };
}

/**
 * Joins the parts of one run (shards, or what a killed run left and what the resumed one added), in any order. Throws a
 * DataError when they differ in model, layers, group size, data or seed, or leave a gap or an overlap between them.
 */
export function concatTables(parts: readonly FeatureTable[]): FeatureTable {
  const ordered = parts.toSorted((a, b) => a.meta.start - b.meta.start);
  const first = ordered[0];
  if (first === undefined) throw new DataError('no feature tables to join, expected at least 1');
  for (const [k, part] of ordered.entries()) {
    const difference = differenceOf(first, part) ?? originDifference(first, part);
    const where = `features of '${part.meta.data}' from example ${part.meta.start}`;
    if (difference !== undefined) throw new DataError(`${where}: cannot join: ${difference}`);
    const before = ordered[k - 1];
    if (before !== undefined && nextExample(before) !== part.meta.start) {
      throw new DataError(`${where}: cannot join: expected to start at example ${nextExample(before)}`);
    }
  }
  const joined = (of: (part: FeatureTable) => Float64Array) => {
    const all = new Float64Array(ordered.reduce((sum, part) => sum + of(part).length, 0));
    let at = 0;
    for (const part of ordered) {
      all.set(of(part), at);
      at += of(part).length;
    }
    return all;
  };
  return {
    ...first,
    nll: joined(({ nll }) => nll),
    ...eachMatrix(first, (_, view) => joined((part) => (view === undefined ? part.sqNorms : part.views![view]!))),
  };
}

/** Why numbers of two tables cannot be compared ("model is …, expected …"), or undefined when they can. */
export function differenceOf(
  expected: { readonly names: readonly string[]; readonly group: number; readonly meta: { readonly model: string } },
  found: { readonly names: readonly string[]; readonly group: number; readonly meta: { readonly model: string } },
): string | undefined {
  if (found.meta.model !== expected.meta.model) {
    return `model is ${shortHash(found.meta.model)}, expected ${shortHash(expected.meta.model)}`;
  }
  if (found.names.length !== expected.names.length) {
    return `has ${found.names.length} layers, expected ${expected.names.length}`;
  }
  const j = expected.names.findIndex((name, i) => name !== found.names[i]);
  if (j >= 0) return `layer ${j} is '${found.names[j]}', expected '${expected.names[j]}'`;
  if (found.group !== expected.group) return `group size is ${found.group}, expected ${expected.group}`;
  return undefined;
}

function originDifference(expected: FeatureTable, found: FeatureTable): string | undefined {
  const a = expected.meta;
  const b = found.meta;
  if (a.dataFingerprint !== b.dataFingerprint) {
    return `data has fingerprint ${shortHash(b.dataFingerprint)}, expected ${shortHash(a.dataFingerprint)}`;
  }
  if (a.seed !== b.seed) return `seed is ${b.seed}, expected ${a.seed}`;
  const [views, expectedViews] = [b, a].map((meta) => meta.views?.join(', ') ?? 'none');
  if (views !== expectedViews) return `views are ${views}, expected ${expectedViews}`;
  if (a.metric !== b.metric) return 'views are of other metrics';
  if (a.noise !== b.noise) return `noise is by ${b.noise ?? 'place'}, expected by ${a.noise ?? 'place'}`;
  return undefined;
}

/** Enough of a hash to tell two apart in a message, and whatever follows it: what was done to the data is what differs between two slices. */
export function shortHash(hash: string): string {
  return hash.replace(/[0-9a-f]{64}/g, (whole) => `${whole.slice(0, 12)}…`);
}
