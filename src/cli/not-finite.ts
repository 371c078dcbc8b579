// Inputs whose features are not finite, and inputs that fill no group: said as they are met, and at the end by the exit
// code.

import { DataError } from '../errors.ts';
import { describeExamples, type FeatureTable, notFinite, whatIsNotFinite } from '../features/index.ts';
import type { SetFeatures } from '../scoring/index.ts';
import { say } from './terminal.ts';

/** A group of inputs of which nothing can be said. */
export interface Odd {
  /** Name of the data set. */
  readonly set: string;
  readonly group: number;
  /** First example of the group. */
  readonly index: number;
  /** Which examples, and what of them is not finite, for people. */
  readonly what: string;
}

export function oddOf(table: FeatureTable, set = table.meta.data): Odd[] {
  const { group, meta } = table;
  return notFinite(table).map((i) => ({
    set,
    group,
    index: meta.start + i * group,
    what: `${describeExamples(table, [i])}: not finite: ${whatIsNotFinite(table, i)}`,
  }));
}

/** In all tables of a set; an input that its features for the combined detector mark as well, once. */
export function oddIn({ name, tables, singles }: SetFeatures): Odd[] {
  const found = tables.flatMap((table) => oddOf(table, name));
  const known = new Set(found.filter(({ group }) => group === 1).map(({ index }) => index));
  return [...found, ...(singles ? oddOf(singles, name).filter(({ index }) => !known.has(index)) : [])];
}

/** Lines of this many inputs; how many there are beyond. */
const MOST_LINES = 20;

/** A line for each of them. `said`: how many there were before. */
export function sayOdd(odd: readonly Odd[], said = 0): void {
  for (const { set, what } of odd.slice(0, Math.max(0, MOST_LINES - said))) say(`${set}: ${what}`);
}

/** After all is done: an error that says how many there were, for the exit code. */
export function failOnOdd(odd: readonly Odd[]): void {
  if (odd.length === 0) return;
  const more = odd.length > MOST_LINES ? `, the first ${MOST_LINES} of them listed above` : '';
  const what = odd.every(({ group }) => group === 1) ? 'inputs' : 'groups';
  throw new DataError(`${odd.length} ${what} have no finite norms or likelihood${more}; the others are done`);
}

/** Examples that fill no group, as people write them. */
export function sayLeftOver(set: string, group: number, examples: readonly number[]): void {
  if (examples.length === 0) return;
  const [first, last] = [examples[0]!, examples.at(-1)!];
  const which = first === last ? `example ${first} is` : `examples ${first} to ${last} are`;
  say(`${set}: ${which} left over: they fill no group of ${group}`);
}
