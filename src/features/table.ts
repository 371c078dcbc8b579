// The features of one data set under one model: the type, its invariants, and cutting and joining of tables.

import { checkArguments, table as tableRule } from '../arguments.ts';
import { type Origin, sliceOf } from '../data/origin.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { columnsOf, headOf, parseHead, type TableHead, type View } from './table-head.ts';

/** Features of n groups of B consecutive examples each, of a model with L parameter tensors ("layers"). */
export interface FeatureTable extends TableHead {
  /**
   * [n] negative log-likelihood (or bound) in nats, summed over the group. NaN where it is not finite; see `notFinite`.
   */
  readonly nll: Float64Array;
  /**
   * [n, L] row-major: squared L2 norms of the gradient of the nll summed over the group. NaN where one is not finite.
   */
  readonly sqNorms: Float64Array;
  /**
   * [n, L] row-major, of the gradient of the nll summed over the group, or [n, `columnsOf`]. NaN where one is not
   * finite.
   */
  readonly views?: Views;
  /**
   * [n · B] What the examples are called, in their order, such as the names of their files. Left out where they have no
   * names.
   */
  readonly ids?: readonly string[];
}

type Views = Readonly<Partial<Record<View, Float64Array>>>;

/** A table that is not in memory: its head, and its rows as tables that follow one another. */
export interface StoredTable {
  readonly head: TableHead;
  readonly rows: number;
  /** Whether the tables have `ids`. */
  readonly named: boolean;
  /** From the first row, each time it is called. */
  tables(): AsyncIterable<FeatureTable>;
}

/**
 * Returns `table` if all that is promised about tables holds; throws a DataError if not: at least one row and one
 * layer, unique names, sizes that agree (that of `ids`, too), nll finite, squared norms finite and >= 0, either of them
 * NaN where it is not known. `where` names the file or caller.
 */
export function checkTable(table: FeatureTable, where: string): FeatureTable {
  const { names, dims, nll, sqNorms, views = {}, ids } = table;
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
  if (ids !== undefined && ids.length !== n * table.group) {
    throw new DataError(`${where}: has ${ids.length} ids, expected ${n} rows × ${table.group} examples`);
  }
  for (const [view, values] of entriesOf(views)) {
    const columns = columnsOf(table, view);
    const [width, kind] = [columns.length, columns === names ? 'layer' : 'column'];
    if (values.length !== n * width) {
      throw new DataError(`${where}: has ${values.length} values of ${view}, expected ${n} rows × ${width} ${kind}s`);
    }
    const odd = values.findIndex((v) => Math.abs(v) === Infinity || (view === 'fisher' && v < 0));
    if (odd >= 0) {
      const place = `${where}: row ${Math.floor(odd / width)}, ${kind} '${columns[odd % width]}'`;
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

/**
 * The rows whose nll or one of whose squared norms or other numbers is NaN: what the model makes of these inputs is
 * beyond float32, or no number at all.
 */
export function notFinite(table: FeatureTable): number[] {
  checkArguments('notFinite', { table }, { table: tableRule });
  const { nll, sqNorms, views = {} } = table;
  const n = nll.length;
  const rowIn = (values: Float64Array, i: number) =>
    values.subarray((i * values.length) / n, ((i + 1) * values.length) / n);
  const all = [sqNorms, ...Object.values(views)];
  const marked = (i: number) => Number.isNaN(nll[i]) || all.some((values) => rowIn(values, i).some(Number.isNaN));
  return [...nll.keys()].filter(marked);
}

/** What is not finite in a row of `notFinite`, for people: 'nll' or the names of the first layers. */
export function whatIsNotFinite(table: FeatureTable, row: number): string {
  const { nll, sqNorms, views = {} } = table;
  const of = (what: string, values: Float64Array, view?: View) => {
    const columns = columnsOf(table, view);
    const layers = columns.filter((_, j) => Number.isNaN(values[row * columns.length + j]));
    const more = layers.length > 1 ? ` and ${layers.length - 1} more` : '';
    return layers.length === 0 ? [] : [`${what} of '${layers[0]}'${more}`];
  };
  return [
    ...(Number.isNaN(nll[row]) ? ['negative log-likelihood'] : []),
    ...of('squared gradient norm', sqNorms),
    ...entriesOf(views).flatMap(([view, values]) => of(`view ${view}`, values, view)),
  ].join(', ');
}

/**
 * The table without the rows of `notFinite`. Its rows need not follow one another any more: for fitting and figures
 * only.
 */
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
  return {
    ...table,
    ...defined({ ids: table.ids && Array.from(rows, (i) => idsOf(table, i)!).flat() }),
    nll: Float64Array.from(rows, (i) => table.nll[i]!),
    ...eachMatrix(table, (values, view) => {
      const l = columnsOf(table, view).length;
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
  return { sqNorms, views: Object.fromEntries(entriesOf(table.views).map(([view, v]) => [view, change(v, view)])) };
}

const entriesOf = (views: Views) => Object.entries(views) as [View, Float64Array][];

/** What the examples of a row are called; undefined where the table does not say. */
export function idsOf({ ids, group }: Pick<FeatureTable, 'ids' | 'group'>, row: number): readonly string[] | undefined {
  return ids?.slice(row * group, (row + 1) * group);
}

/** The examples of some rows, for people: the first ten, with what they are called. */
export function describeExamples(table: Pick<FeatureTable, 'group' | 'meta' | 'ids'>, rows: readonly number[]): string {
  const { group, meta } = table;
  const first = rows.slice(0, 10).map((i) => {
    const k = meta.start + i * group;
    const ids = idsOf(table, i);
    if (group === 1) return ids ? `${k} (${ids[0]})` : String(k);
    return `${k} to ${k + group - 1}${ids ? ` (${ids[0]} to ${ids.at(-1)})` : ''}`;
  });
  const each = first.join(', ');
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

/**
 * Index in the data set of the first example after this table's: where a resumed run goes on, the next shard starts.
 */
export function nextExample(table: FeatureTable): number {
  return table.meta.start + rowsOf(table) * table.group;
}

/**
 * Rows from..to-1 as a table of their own (copied). Throws a DataError unless 0 <= from < to <= n. The protocol's
 * halves are `sliceTable(t, 0, n >> 1)` and `sliceTable(t, n >> 1, n)`.
 */
export function sliceTable(table: FeatureTable, from: number, to: number): FeatureTable {
  const n = rowsOf(table);
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= n)) {
    throw new DataError(`${table.meta.data}: rows [${from}:${to}] do not fit, expected 0 <= from < to <= ${n}`);
  }
  const widthOf = (view: View | undefined) => columnsOf(table, view).length;
  return {
    ...table,
    ...defined({ ids: table.ids?.slice(from * table.group, to * table.group) }),
    nll: table.nll.slice(from, to),
    ...eachMatrix(table, (values, view) => values.slice(from * widthOf(view), to * widthOf(view))),
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
    ...defined({ ids: first.ids && ordered.flatMap(({ ids }) => ids!) }),
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
  if (JSON.stringify(a.columns) !== JSON.stringify(b.columns)) return 'views have other columns';
  if (a.metric !== b.metric) return 'views are of other metrics';
  if (a.basis !== b.basis) return 'activations are along other directions';
  if ((expected.ids === undefined) !== (found.ids === undefined)) return 'only some say what the examples are called';
  const [drawn, expectedDraws] = [b, a].map((meta) => meta.noiseSamples ?? 1);
  if (drawn !== expectedDraws) return `means are over ${drawn} draws of the noise, expected ${expectedDraws}`;
  if (a.noise !== b.noise) return `noise is by ${b.noise ?? 'place'}, expected by ${a.noise ?? 'place'}`;
  return undefined;
}

/**
 * Enough of a hash to tell two apart in a message, and whatever follows it: what was done to the data is what differs
 * between two slices.
 */
export function shortHash(hash: string): string {
  return hash.replace(/[0-9a-f]{64}/g, (whole) => `${whole.slice(0, 12)}…`);
}
