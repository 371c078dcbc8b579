// A model and a data set in, a file with the feature table out: resumed where a killed run stopped, whole or not at all.

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Dataset } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { type Extractor, type Rows, wholeGroups } from './extractor.ts';
import { openPartial, type Partial, partialTables, readPartial } from './partial.ts';
import { nextExample } from './table.ts';
import { tableFormatOf, writeStored } from './table-files.ts';

export interface FeatureRun {
  readonly extractor: Extractor;
  readonly data: Dataset;
  readonly rows?: Rows;
  /** .parquet, .npz or .json. Rows that are done are kept in `${out}.partial` until the table is complete. */
  readonly out: string;
  readonly onProgress?: (progress: FeatureProgress) => void;
}

export interface FeatureProgress {
  /** Examples done, those of an earlier run included, and of how many. */
  readonly done: number;
  readonly of: number;
  readonly examplesPerSecond: number;
  readonly secondsLeft: number;
}

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
 * Computes the table and writes it, in memory that does not grow with the data where `out` is a Parquet file. A `.partial` file of the same model, data, seed and range is continued; one of anything
 * else is refused with a DataError, since it may hold hours of work.
 */
export async function runFeatures(run: FeatureRun): Promise<FeatureResult> {
  const { extractor, data, out } = run;
  tableFormatOf(out); // refuses an unknown ending before the work, not after it
  const { start, end } = wholeGroups(data, extractor.group, run.rows ?? {});
  const path = `${out}.partial`;
  const before = existsSync(path) ? await readPartial(path) : undefined;
  if (before) checkSame(path, before, run, start, end);
  const from = start + (before?.rows ?? 0) * extractor.group;

  const began = performance.now();
  let speed = 0;
  const writer = await openPartial(path, end, before);
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
  const whole = await readPartial(path);
  const rows = (end - start) / extractor.group;
  if (whole?.rows !== rows) throw new DataError(`${path}: rows that were written are gone`);
  await writeStored(out, { head: whole.head, rows, tables: () => partialTables(path, whole) });
  await rm(path, { force: true });
  return { rows, names: extractor.names, examplesPerSecond: speed, resumed: from - start };
}

function checkSame(path: string, before: Partial, run: FeatureRun, start: number, end: number): void {
  const { extractor, data } = run;
  const describe = (part: { group: number; model: string; data: string; seed: number; start: number; end: number }) =>
    `model ${part.model.slice(0, 12)}, data ${part.data.slice(0, 12)}, seed ${part.seed}, examples ${part.start} to ${part.end - 1} in groups of ${part.group}`;
  const { meta, group } = before.head;
  const there = describe({ ...meta, data: meta.dataFingerprint, group, end: before.end });
  const here = describe({ ...extractor, data: data.fingerprint, start, end });
  if (there !== here || before.head.names.join() !== extractor.names.join()) {
    throw new DataError(
      `${path} is of another run; delete it to start over, or write elsewhere\n  there:     ${there}\n  asked for: ${here}`,
    );
  }
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
