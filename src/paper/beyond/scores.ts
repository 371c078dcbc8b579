// Features of one model's sets in; scores of every detector for groups of every size out.

import { columnMeans, rowsOver } from '../../densities/rows.ts';
import {
  combinedKinds,
  fitCombined,
  fitDetectors,
  openCombined,
  scoreCombined,
  scoreTable,
  storeCombined,
} from '../../detectors/index.ts';
import { type FeatureTable, finiteRows, normGraph } from '../../features/index.ts';
import type { Model } from '../../store/index.ts';

/** Scores by group size, by detector, in the order of the set; groups with features that are not finite have none. */
export type Scores = Readonly<Record<number, Readonly<Record<string, readonly number[]>>>>;

/** The features of what the combined detector is fitted on, and of other sets, of single inputs. */
export interface CombinedTables {
  /** Names of the model's aspects; none where it has one. */
  readonly aspects: readonly string[];
  readonly fit: FeatureTable;
  readonly recombined: readonly FeatureTable[];
}

/** What the two combined detectors say of other sets; of group sizes that there are fit inputs enough for. */
export function combinedScorer(
  model: Model,
  { aspects, fit, recombined }: CombinedTables,
  { groups, seed }: { readonly groups: readonly number[]; readonly seed: number },
): (table: FeatureTable) => Scores {
  // As a detector file has it, which rounds.
  const stored = storeCombined(fitCombined(fit, recombined, { groups, seed, aspects }));
  const detector = openCombined(stored, normGraph(model.loss()).names, fit.meta.data);
  const sizes = detector.groups.map(({ group }) => group);
  return (table) =>
    byGroup(sizes, (B) =>
      Object.fromEntries(
        combinedKinds.map((kind) => [
          kind,
          [...scoreCombined(detector, table, B, kind)].filter((s) => !Number.isNaN(s)),
        ]),
      ),
    );
}

/** All others of ours, fitted for each group size: a table for each. */
export function otherScorer(fit: readonly FeatureTable[]): (tables: readonly FeatureTable[]) => Scores {
  const files = new Map(fit.map((table) => [table.group, fitDetectors([table], { leaveOut: true })]));
  return (tables) =>
    byGroup(
      tables.map(({ group }) => group),
      (B) => {
        const table = finiteRows(tables.find(({ group }) => group === B)!);
        return Object.fromEntries(
          scoreTable(files.get(B)!, table).map(({ detector, scores }) => [detector, [...scores]]),
        );
      },
    );
}

/**
 * Likelihood and typicality as our detectors of these names have them, for groups of every size: what they ask of a
 * group is the sum of its inputs' own.
 */
export function likelihoodScorer(fit: FeatureTable, groups: readonly number[]): (table: FeatureTable) => Scores {
  const [entropy] = columnMeans(rowsOver(finiteRows(fit).nll, 1));
  return (table) => {
    const means = meanScores('likelihood', finiteRows(table).nll, groups);
    return byGroup(groups, (B) => {
      const likelihood = means[B]!.likelihood!;
      return { likelihood, typicality: likelihood.map((mean) => Math.abs(mean - entropy!)) };
    });
  };
}

/** The means of B consecutive numbers of single inputs, as scores of a detector of this name. */
export function meanScores(detector: string, singles: Float64Array, groups: readonly number[]): Scores {
  return byGroup(groups, (B) => ({
    [detector]: Array.from({ length: Math.floor(singles.length / B) }, (_, g) =>
      singles.subarray(g * B, (g + 1) * B).reduce((sum, v) => sum + v / B, 0),
    ),
  }));
}

const byGroup = <T>(groups: readonly number[], of: (B: number) => T): Readonly<Record<number, T>> =>
  Object.fromEntries(groups.map((B) => [B, of(B)]));

/** The detectors of all of these side by side. */
export function together(all: readonly Scores[]): Scores {
  const groups = [...new Set(all.flatMap((scores) => Object.keys(scores).map(Number)))].sort((a, b) => a - b);
  return byGroup(groups, (B) => Object.assign({}, ...all.map((scores) => scores[B] ?? {})));
}

/**
 * A table of the combined detector as others take it: squared norms and loss alone, of the first aspect where there are
 * several, which is how the model is scored when nothing is asked for.
 */
export function withoutViews(model: Model, table: FeatureTable): FeatureTable {
  const { names, sizes } = normGraph(model.loss());
  const { views: _, columns: __, metric: ___, ...meta } = table.meta;
  const [n, width] = [table.nll.length, table.sqNorms.length / table.nll.length];
  const sqNorms = new Float64Array(n * names.length);
  for (let i = 0; i < n; i++)
    sqNorms.set(table.sqNorms.subarray(i * width, i * width + names.length), i * names.length);
  return { names, dims: sizes, group: table.group, meta, nll: table.nll, sqNorms };
}
