// Which examples of a data set are looked at, in whole groups; and which are left over.

import { checkArguments, wholeFrom } from '../arguments.ts';
import type { Dataset } from '../data/index.ts';
import { DataError } from '../errors.ts';

/**
 * Examples start .. end − 1 of a data set; what does not fill a group at the end is left out: `leftOver` tells which
 * these are.
 */
export interface Rows {
  readonly start?: number;
  readonly end?: number;
  /** Examples that runs are to be large enough for; default: those of the whole set. */
  readonly expected?: number;
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
  checkArguments('leftOver', { group }, { group: wholeFrom(1) });
  const { start = 0, end = data.length } = rows;
  return Array.from({ length: (end - start) % group }, (_, k) => end - ((end - start) % group) + k);
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
