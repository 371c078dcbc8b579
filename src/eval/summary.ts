// Rows of many comparisons in; averages, quartiles and wins of every detector out, as in the paper's main tables.

import { quantile } from '../densities/quantile.ts';
import { DataError } from '../errors.ts';

/** One AUROC: a detector on one pair of data sets under one model. */
export interface ResultRow {
  readonly model: string;
  /** In-distribution and out-of-distribution set. */
  readonly in: string;
  readonly ood: string;
  /** B */
  readonly group: number;
  readonly detector: string;
  readonly auroc: number;
}

/** The AUROCs (0 to 1) of one detector over all pairs of sets in a block. */
export interface DetectorSummary {
  readonly detector: string;
  /** Over the pairs: mean, least, lower quartile, median, upper quartile, greatest AUROC (quartiles as `quantile`). */
  readonly mean: number;
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
  /** Pairs on which no detector has a higher AUROC; one that k detectors share counts 1/k to each. */
  readonly wins: number;
}

/** One block of results in few figures: those of each detector over the same pairs of sets. */
export interface Summary {
  /** The values that the rows of this block share, in the order of `by`. */
  readonly key: readonly (string | number)[];
  /** Number of (model, in, ood, B). */
  readonly pairs: number;
  readonly detectors: readonly DetectorSummary[];
}

/**
 * Summarises the rows in blocks that share the columns `by` (default: model and B; none: all rows in one block), blocks
 * and detectors in order of appearance. Throws a DataError where a pair has a detector twice or lacks one that others
 * have: averages over different pairs would not compare.
 */
export function summarise(
  rows: readonly ResultRow[],
  by: readonly ('model' | 'in' | 'ood' | 'group')[] = ['model', 'group'],
): Summary[] {
  const blocks = groupBy(rows, (row) => JSON.stringify(by.map((column) => row[column])));
  return [...blocks.values()].map((block) => {
    const detectors = [...new Set(block.map((row) => row.detector))];
    const pairs = [...groupBy(block, (row) => JSON.stringify([row.model, row.in, row.ood, row.group])).values()];
    for (const pair of pairs) checkPair(pair, detectors);
    const wins = new Map(detectors.map((name) => [name, 0]));
    for (const pair of pairs) {
      const best = Math.max(...pair.map((row) => row.auroc));
      const winners = pair.filter((row) => row.auroc === best);
      for (const { detector } of winners) wins.set(detector, wins.get(detector)! + 1 / winners.length);
    }
    return {
      key: by.map((column) => block[0]![column]),
      pairs: pairs.length,
      detectors: detectors.map((detector) => {
        const aurocs = block.flatMap((row) => (row.detector === detector ? [row.auroc] : [])).sort((a, b) => a - b);
        return {
          detector,
          mean: aurocs.reduce((sum, v) => sum + v, 0) / aurocs.length,
          min: aurocs[0]!,
          q1: quantile(aurocs, 0.25),
          median: quantile(aurocs, 0.5),
          q3: quantile(aurocs, 0.75),
          max: aurocs.at(-1)!,
          wins: wins.get(detector)!,
        };
      }),
    };
  });
}

function checkPair(pair: readonly ResultRow[], detectors: readonly string[]): void {
  const { model, in: inSet, ood, group } = pair[0]!;
  const where = `${model}, ${inSet} against ${ood}, groups of ${group}`;
  for (const name of detectors) {
    const found = pair.filter((row) => row.detector === name);
    if (found.length !== 1) throw new DataError(`${where}: has ${found.length} results of ${name}, expected 1`);
    if (!(found[0]!.auroc >= 0 && found[0]!.auroc <= 1)) {
      throw new DataError(`${where}: AUROC of ${name} is ${found[0]!.auroc}, expected 0 to 1`);
    }
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const out = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const list = out.get(key);
    if (list === undefined) out.set(key, [item]);
    else list.push(item);
  }
  return out;
}
