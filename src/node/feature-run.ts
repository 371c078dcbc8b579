// A model and a data set in, a file with the feature table out: resumed where a killed run stopped, whole or not at
// all.

import { rm } from 'node:fs/promises';
import { aFunction, checkOptions, dataset, objectWith, text } from '../arguments.ts';
import { type Dataset, namesIn, originHash } from '../data/index.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import type { Extractor } from '../features/extractor.ts';
import { type Rows, wholeGroups } from '../features/rows.ts';
import { type FeatureTable, nextExample, notFinite, shortHash } from '../features/table.ts';
import type { TableHead } from '../features/table-head.ts';
import { type Claim, claimFile, during } from './output.ts';
import { firstLine, openPartial, type Partial, partialTables, type RunKey, readPartial } from './partial.ts';
import { tableFormatOf, writeStored } from './table-files.ts';

/** What `runFeatures` computes, and where to. */
export interface FeatureRun {
  readonly extractor: Extractor;
  readonly data: Dataset;
  readonly rows?: Rows;
  /** .parquet, .npz or .json. Rows that are done are kept in `${out}.partial` until the table is complete. */
  readonly out: string;
  /** Of `out`, where it was claimed before, see `claimFile`. Left out: it is claimed here. */
  readonly claim?: Claim;
  readonly onProgress?: (progress: FeatureProgress) => void;
  /** Parts of the complete table, those of an earlier run included, that hold rows which are not finite. */
  readonly onNotFinite?: (table: FeatureTable) => void;
}

/** How far a table is, and how long it will still take (seconds). */
export interface FeatureProgress {
  /** Examples done, those of an earlier run included, and of how many. */
  readonly done: number;
  readonly of: number;
  readonly examplesPerSecond: number;
  readonly secondsLeft: number;
}

/** What `runFeatures` has written. */
export interface FeatureResult {
  /** Groups in the table. */
  readonly rows: number;
  readonly names: readonly string[];
  /** Of this run; 0 where there was nothing left to do. */
  readonly examplesPerSecond: number;
  /** Examples that an earlier run had done. */
  readonly resumed: number;
}

/**
 * Computes the table and writes it, in memory that does not grow with the data where `out` is a Parquet file. A
 * `.partial` file of the same model, examples and seed is continued; one of anything else is refused with a DataError,
 * since it may hold hours of work, and so is a second run with this `out` while the first goes on.
 */
export async function runFeatures(run: FeatureRun): Promise<FeatureResult> {
  checkOptions('runFeatures', run, {
    extractor: objectWith({ tables: aFunction }, 'an extractor'),
    data: dataset,
    out: text,
  });
  tableFormatOf(run.out); // refuses an unknown ending before the work, not after it
  return run.claim ? runClaimed(run) : during(await claimFile(run.out), () => runClaimed(run));
}

async function runClaimed(run: FeatureRun): Promise<FeatureResult> {
  const { extractor, data, out } = run;
  const { start, end } = wholeGroups(data, extractor.group, run.rows ?? {});
  const path = `${out}.partial`;
  const head = extractor.head(data, start);
  const key: RunKey = { end, origin: originHash(data.origin), plan: extractor.plan, version: ROWS };
  const line = firstLine(head, key);
  const found = await readPartial(path, line);
  // One with its first line alone is of a run that was refused at once, such as for its pixels, and is now called as
  // the message said.
  const before = found?.empty ? undefined : found;
  if (before) checkSame(path, before, head, key);
  const from = start + (before?.rows ?? 0) * extractor.group;

  const began = performance.now();
  let speed = 0;
  const writer = await openPartial(path, line, before);
  try {
    if (from < end) {
      for await (const table of extractor.tables(data, { start: from, end })) {
        await writer.append(table);
        const done = nextExample(table);
        speed = ((done - from) / (performance.now() - began)) * 1000;
        run.onProgress?.({
          done: done - start,
          of: end - start,
          examplesPerSecond: speed,
          secondsLeft: (end - done) / speed,
        });
      }
    }
  } finally {
    await writer.close();
  }
  const whole = await readPartial(path, line);
  const rows = (end - start) / extractor.group;
  if (whole?.rows !== rows) throw new DataError(`${path}: rows that were written are gone`);
  // The rows of an earlier run have the names that these very data have.
  async function* named(): AsyncGenerator<FeatureTable> {
    for await (const table of partialTables(path, whole!)) {
      const ids = await namesIn(data, table.meta.start, nextExample(table) - table.meta.start);
      yield { ...table, ...defined({ ids }) };
    }
  }
  for await (const table of named()) if (notFinite(table).length > 0) run.onNotFinite?.(table);
  await writeStored(out, { head: whole.head, rows, named: data.ids !== undefined, tables: named });
  await rm(path, { force: true });
  return { rows, names: extractor.names, examplesPerSecond: speed, resumed: from - start };
}

/** To be raised when the code makes other rows of the same head: a file of before is then refused, not continued. */
const ROWS = 1;

/** Everything that decides a row must be the same; names of data sets and files need not be. */
function checkSame(path: string, before: Partial, head: TableHead, key: RunKey): void {
  const [there, here] = [rowsKey(before.head, before.run), rowsKey(head, key)];
  const names = [...new Set([...Object.keys(there), ...Object.keys(here)])];
  const different = names.filter((name) => there[name] !== here[name]);
  if (different.length === 0) return;
  const text = (value: string | undefined) => (value === undefined ? 'not said' : shortHash(value));
  const lines = different.map((name) => `\n  ${name}: there ${text(there[name])}, asked for ${text(here[name])}`);
  const data = before.head.meta.data === head.meta.data ? '' : ` (${before.head.meta.data}, not ${head.meta.data})`;
  throw new DataError(
    `${path} is of another run${data}; delete it to start over, or write elsewhere${lines.join('').slice(0, 2000)}`,
  );
}

/** By what a message calls them. */
function rowsKey({ meta, ...head }: TableHead, { end, ...key }: RunKey): Readonly<Record<string, string>> {
  const { data: _, dataFingerprint, start, ...rest } = meta;
  const examples = `${start} to ${end - 1}`;
  const all = { ...rest, data: dataFingerprint, examples, ...head, ...key };
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
