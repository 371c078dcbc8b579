// A detector file, features of in-distribution inputs and of every out-of-distribution set in; one row of figures for
// every (group size, set, detector) out.

import {
  aList,
  checkArguments,
  checkOptions,
  detector as detectorRule,
  listOf,
  objectWith,
  optional,
  table,
  text,
  wholeFrom,
} from '../arguments.ts';
import { type DetectorChoice, type DetectorFile, type Scored, scoreTable } from '../detectors/index.ts';
import { DataError } from '../errors.ts';
import { type FeatureTable, finiteRows } from '../features/table.ts';
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

/** A row of results, keys in the order in which JSON has them. */
export interface EvalRow extends Metrics {
  /** Its name. */
  readonly detector: string;
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

export interface EvalOptions extends BootstrapOptions {
  /** See `scoreTable`: left out, all of ours that are fitted. */
  readonly detectors?: readonly DetectorChoice[];
}

/** An out-of-distribution set: its name in the results and its features, one table per group size. */
export interface OodSet {
  readonly name: string;
  readonly tables: readonly FeatureTable[];
}

/**
 * Throws a DataError unless the names of out-of-distribution sets tell them apart in a table and on a page: not empty,
 * without control characters or spaces at their ends, no two the same to the eye, nor one that of the in-distribution
 * set where that is given.
 */
export function checkSetNames(names: readonly string[], inName?: string): void {
  const seen = new Set(inName === undefined ? [] : [inName.normalize('NFKC')]);
  for (const name of names) {
    const shown = JSON.stringify(name);
    if (name.trim() === '') throw new DataError(`a data set is named ${shown}, expected a name`);
    // Control characters, those that change how others are read, and line ends; none of them can be seen.
    if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name) || name.trim() !== name) {
      throw new DataError(`a data set is named ${shown}, expected no control characters and no spaces at its ends`);
    }
    const key = name.normalize('NFKC');
    if (seen.has(key)) throw new DataError(`two data sets are named ${shown}, expected a name of its own for each`);
    seen.add(key);
  }
}

/**
 * Scores everything and compares: rows by group size, then set, then detector, each in the order given. `inTables`
 * holds in-distribution features that were not fitted on (the paper: the second half of a test set; `overlapsFit`
 * tells), one table per group size; every set needs a table for each of those sizes. Rows that are not finite have no
 * score and are left out (`nIn` and `nOod` tell; `notFinite` names them). Throws a DataError when a table is missing or
 * there twice or two sets have one name, and a ModelError when a table does not fit the detector.
 */
export function evaluate(
  file: DetectorFile,
  inTables: readonly FeatureTable[],
  oodSets: readonly OodSet[],
  options: EvalOptions,
): EvalRow[] {
  const set = objectWith({ name: text, tables: listOf(table) }, '{ name, tables }');
  checkArguments(
    'evaluate',
    { detector: file, inTables, oodSets },
    { detector: detectorRule, inTables: listOf(table), oodSets: listOf(set) },
  );
  checkOptions('evaluate', options, { seed: wholeFrom(0), detectors: optional(aList) });
  if (inTables.length === 0) throw new DataError('no in-distribution features, expected one table per group size');
  if (oodSets.length === 0) throw new DataError('no out-of-distribution sets, expected at least 1');
  checkSetNames(oodSets.map(({ name }) => name));
  return inTables.flatMap((inTable) => {
    const { group } = inTable;
    tableOfGroup('in-distribution', inTables, group); // refuses two tables of one size
    const inScored = scoreTable(file, finiteOf('in-distribution', inTable), options.detectors);
    return oodSets.flatMap(({ name, tables }) => {
      const oodScored = scoreTable(file, finiteOf(name, tableOfGroup(name, tables, group)), options.detectors);
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

function finiteOf(name: string, table: FeatureTable): FeatureTable {
  const finite = finiteRows(table);
  if (finite.nll.length > 0) return finite;
  throw new DataError(`${name}: the norms or the likelihood of all ${table.nll.length} groups are not finite`);
}

/** Both lists come from one file's detectors in one order; this holds that assumption. */
function sameDetector(expected: Scored, found: Scored): Float64Array {
  if (found.detector === expected.detector) return found.scores;
  throw new Error(`scores of ${found.detector} paired with ${expected.detector}`);
}
