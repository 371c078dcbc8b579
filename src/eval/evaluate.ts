// A detector file, features of in-distribution inputs and of every out-of-distribution set in; one row of figures for every
// (group size, set, detector) out.

import { type DetectorFile, type DetectorName, type Scored, scoreTable } from '../detectors/index.ts';
import { DataError } from '../errors.ts';
import type { FeatureTable } from '../features/table.ts';
import { aurocInterval, type BootstrapOptions } from './bootstrap.ts';
import { auprOf, aurocOf, fpr95Of, rank } from './metrics.ts';

/** The figures of one detector against one out-of-distribution set. */
export interface Metrics {
  readonly auroc: number;
  /** Ends of the bootstrap interval, 95 % unless asked otherwise. */
  readonly aurocLow: number;
  readonly aurocHigh: number;
  /** In-distribution is the positive class. */
  readonly aupr: number;
  readonly fpr95: number;
  /** Number of groups of each kind. */
  readonly nIn: number;
  readonly nOod: number;
}

/** A row of results, keys in the order of the `--json` output. */
export interface EvalRow extends Metrics {
  readonly detector: DetectorName;
  /** B */
  readonly group: number;
  /** Name of the out-of-distribution set. */
  readonly ood: string;
}

/** All figures of two lists of scores. Throws a DataError for an empty list or a NaN. */
export function measure(inScores: ArrayLike<number>, oodScores: ArrayLike<number>, options: BootstrapOptions): Metrics {
  const ranking = rank(inScores, oodScores);
  const { low, high } = aurocInterval(ranking, options);
  return {
    auroc: aurocOf(ranking),
    aurocLow: low,
    aurocHigh: high,
    aupr: auprOf(ranking),
    fpr95: fpr95Of(ranking),
    nIn: ranking.nIn,
    nOod: ranking.nOod,
  };
}

/** An out-of-distribution set: its name in the results and its features, one table per group size. */
export interface OodSet {
  readonly name: string;
  readonly tables: readonly FeatureTable[];
}

/**
 * Scores everything and compares: rows by group size, then set, then detector, each in the order given. `inTables` holds
 * in-distribution features that were not fitted on (the paper: the second half of a test set; `overlapsFit` tells), one table per group
 * size; every set needs a table for each of those sizes. Throws a DataError when one is missing or there twice, and a
 * ModelError when a table does not fit the detector.
 */
export function evaluate(
  file: DetectorFile,
  inTables: readonly FeatureTable[],
  oodSets: readonly OodSet[],
  options: BootstrapOptions,
): EvalRow[] {
  if (inTables.length === 0) throw new DataError('no in-distribution features, expected one table per group size');
  if (oodSets.length === 0) throw new DataError('no out-of-distribution sets, expected at least 1');
  return inTables.flatMap((inTable) => {
    const { group } = inTable;
    tableOfGroup('in-distribution', inTables, group); // refuses two tables of one size
    const inScored = scoreTable(file, inTable);
    return oodSets.flatMap(({ name, tables }) => {
      const oodScored = scoreTable(file, tableOfGroup(name, tables, group));
      return inScored.map((scored, k): EvalRow => {
        const { auroc, aurocLow, aurocHigh, aupr, fpr95, nIn, nOod } = measure(
          scored.scores,
          sameDetector(scored, oodScored[k]!),
          options,
        );
        return { detector: scored.detector, group, ood: name, auroc, aurocLow, aurocHigh, aupr, fpr95, nIn, nOod };
      });
    });
  });
}

function tableOfGroup(name: string, tables: readonly FeatureTable[], group: number): FeatureTable {
  const found = tables.filter((table) => table.group === group);
  if (found.length === 1) return found[0]!;
  throw new DataError(`${name}: has ${found.length} tables for groups of ${group}, expected 1`);
}

/** Both lists come from one file's detectors in one order; this holds that assumption. */
function sameDetector(expected: Scored, found: Scored): Float64Array {
  if (found.detector === expected.detector) return found.scores;
  throw new Error(`scores of ${found.detector} paired with ${expected.detector}`);
}
