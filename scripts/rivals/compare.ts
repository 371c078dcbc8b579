// Methods, a model and data sets in; AUROC of every detector against every set, and what it costs, out; as a table in
// Markdown as well.

import { type Dataset, shared } from '../../src/data/index.ts';
import { DataError, FisherError } from '../../src/errors.ts';
import { auroc, checkSetNames } from '../../src/eval/index.ts';
import { complexity } from './complexity.ts';
import { dose } from './dose.ts';
import { likelihoodRegret } from './likelihood-regret.ts';
import { deepFeatures, shuffledFeatures } from './mahalanobis.ts';
import type { Context, Method, Scores } from './method.ts';
import { msma } from './msma.ts';
import { combined, layerNorms, typicality } from './ours.ts';

/** In the order of the table. */
export const methods: readonly Method[] = [
  combined,
  layerNorms,
  typicality,
  complexity,
  dose,
  msma,
  likelihoodRegret,
  deepFeatures,
  shuffledFeatures,
];

export interface NamedSet {
  readonly name: string;
  readonly data: Dataset;
}

/** The figures of one detector. */
interface RivalRow {
  readonly detector: string;
  readonly source: string;
  /** By set, then by group size. */
  readonly auroc: Readonly<Record<string, Readonly<Record<number, number>>>>;
  /** Features and scores of single inputs. */
  readonly examplesPerSecond: number;
}

/** A method that is not for the model, and why. */
interface Refusal {
  readonly names: readonly string[];
  readonly reason: string;
}

export interface Rivals {
  readonly rows: readonly RivalRow[];
  readonly refused: readonly Refusal[];
}

/**
 * Fits every method and scores all sets. A method that refuses the model or the data is listed with its reason. Throws
 * a DataError where in-distribution inputs were fitted on, or a set holds no group of the largest size.
 */
export async function compareRivals(
  context: Context,
  inSet: NamedSet,
  oodSets: readonly NamedSet[],
  of: readonly Method[] = methods,
  onProgress: (text: string) => void = () => undefined,
): Promise<Rivals> {
  const both = shared(context.fit.origin, inSet.data.origin);
  if (both > 0) throw new DataError(`${inSet.name}: ${both} of its inputs are fitted on, expected others`);
  checkSetNames(
    oodSets.map(({ name }) => name),
    inSet.name,
  );
  const largest = context.groups.at(-1)!;
  for (const { name, data } of [inSet, ...oodSets]) {
    if (data.length < largest) throw new DataError(`${name}: ${data.length} inputs, expected ${largest} at least`);
  }
  const rows: RivalRow[] = [];
  const refused: Refusal[] = [];
  for (const method of of) {
    onProgress(method.names.join(', '));
    try {
      rows.push(...(await rowsOf(method, context, inSet, oodSets)));
    } catch (error) {
      if (!(error instanceof FisherError)) throw error;
      refused.push({ names: method.names, reason: error.message });
    }
  }
  return { rows, refused };
}

async function rowsOf(
  method: Method,
  context: Context,
  inSet: NamedSet,
  oodSets: readonly NamedSet[],
): Promise<RivalRow[]> {
  const fitted = await method.fit(context);
  try {
    const found = new Map<string, ReadonlyMap<number, Scores>>();
    let [examples, milliseconds] = [0, 0];
    for (const { name, data } of [inSet, ...oodSets]) {
      const began = performance.now();
      const score = await fitted.measure(data);
      const scores = new Map<number, Scores>([[1, await score(1)]]);
      // The first set opens sessions, which is no part of what an example costs.
      if (name !== inSet.name)
        [examples, milliseconds] = [examples + data.length, milliseconds + performance.now() - began];
      for (const B of context.groups) if (B !== 1) scores.set(B, await score(B));
      found.set(name, scores);
    }
    const scoresOf = (set: string, B: number, detector: string) => found.get(set)!.get(B)![detector]!;
    return method.names.map((detector) => {
      const of = (set: string, B: number) => auroc(scoresOf(inSet.name, B, detector), scoresOf(set, B, detector));
      const sets = oodSets.map(({ name }) => [name, Object.fromEntries(context.groups.map((B) => [B, of(name, B)]))]);
      const { source } = method;
      return { detector, source, auroc: Object.fromEntries(sets), examplesPerSecond: (1000 * examples) / milliseconds };
    });
  } finally {
    await fitted.dispose();
  }
}

/**
 * One row for each detector, one column for each set (AUROC for each group size) with their mean, and examples a
 * second.
 */
export function rivalsTable({ rows, refused }: Rivals, groups: readonly number[]): string {
  const sets = Object.keys(rows[0]?.auroc ?? {});
  const figures = (of: (B: number) => number) => groups.map((B) => of(B).toFixed(3).replace(/^0/, '')).join(' / ');
  const mean = (row: RivalRow, B: number) => sets.reduce((sum, set) => sum + row.auroc[set]![B]!, 0) / sets.length;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(['detector', ...sets, 'mean', 'examples a second']),
    line(['---', ...sets.map(() => '---'), '---', '---:']),
    ...rows.map((row) =>
      line([
        row.source === 'ours' ? row.detector : `${row.detector} (${row.source})`,
        ...sets.map((set) => figures((B) => row.auroc[set]![B]!)),
        figures((B) => mean(row, B)),
        String(Math.round(Number(row.examplesPerSecond.toPrecision(2)))),
      ]),
    ),
    ...refused.map(({ names, reason }) => `\nNot for this model: ${names.join(', ')}: ${reason}.`),
  ].join('\n');
}
