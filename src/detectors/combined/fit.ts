// Features of single in-distribution inputs and of recombined ones in; the combined detector, calibrated for every
// group size, out.

import { fitNormalScores, fitRanks, type NormalScores, normalScores, surprise } from '../../densities/normal-scores.ts';
import { meansOf, pick, type Rows, rowOf } from '../../densities/rows.ts';
import { fitStandard, varies } from '../../densities/standard.ts';
import { DataError } from '../../errors.ts';
import { checkTable, differenceOf, type FeatureTable, finiteRows, rowsOf } from '../../features/table.ts';
import { RandomStream } from '../../tensor/random.ts';
import { columnsOf, type Floors, fitFloors } from './columns.ts';
import {
  canLeaveOut,
  columnsOfView,
  type FittedView,
  fitView,
  isOfGradient,
  leftOutColumns,
  randomGroups,
  standardised,
  type View,
  views,
} from './views.ts';

/**
 * For groups of one size: how each view's numbers become standard normal, and what the scores of in-distribution groups
 * are.
 */
export interface CombinedGroup {
  /** B */
  readonly group: number;
  /** [views][K] of the density's numbers. */
  readonly inner: readonly (readonly NormalScores[])[];
  /** [views] of the view's score. */
  readonly outer: readonly NormalScores[];
  /** Of the scores, the weighted sums of the views' surprises: of all views, and of those of the gradient alone. */
  readonly calibration: { readonly combined: NormalScores; readonly gradient: NormalScores };
}

/** The combined detector of a model. */
export interface Combined {
  /** The layers, in the order of the tables; of several aspects those of one after the other. */
  readonly names: readonly string[];
  /** Names of the aspects of the model, of which the tables have the columns; empty where it has one. */
  readonly aspects: readonly string[];
  /** Inputs it was fitted on. */
  readonly n: number;
  /** How many of them have the features of an earlier one, if any: the same input again. */
  readonly repeats?: number | undefined;
  /** Whether neighbours among them resemble each other, so that groups are those of neighbours. */
  readonly related: boolean;
  readonly seed: number;
  readonly floors: Floors;
  readonly views: readonly FittedView[];
  /** Views of the design that there are not; undefined of a file of before, which does not say. */
  readonly without?: readonly MissingView[] | undefined;
  readonly groups: readonly CombinedGroup[];
}

/** A view that a combined detector does without. */
interface MissingView {
  readonly view: string;
  /** Index of the aspect of the model; left out: of all of them. */
  readonly aspect?: number | undefined;
  readonly reason: string;
}

/** Below so many fit inputs every view is fitted without each part in turn. */
const FEW = 200;
/** Fewest fit inputs. */
const LEAST = 20;
/** Calibration groups of more than one input: as many as a false-positive rate of 0.001 takes. */
const GROUPS = 1000;
/**
 * Mean correlation of neighbours from which on they are not independent, for n inputs: half as much again as one
 * feature's standard deviation, since a common cause of all of them leaves the mean no better known than one.
 */
const relatedFrom = (n: number): number => 1.6 / Math.sqrt(n);
/** Parts of the inputs that are held out in turn. */
const COMBINED_FOLDS = 10;
/** Fit inputs that are remembered, at most: the file and the search for neighbours grow with them. */
const MOST = 1000;

/** Of `fitCombined`. */
export interface CombinedOptions {
  /**
   * Sizes of the groups that will be judged. Those of which one does not fit into a tenth of the inputs are left out.
   */
  readonly groups: readonly number[];
  /** Of the folds and the groups. Default: that of the table. */
  readonly seed?: number;
  /** See `Combined`. Default: none. */
  readonly aspects?: readonly string[];
  /**
   * Why there are no recombined inputs, or no activations, where there are none, as `Combined.without` is to say it.
   */
  readonly reasons?: { readonly contrast?: string | undefined; readonly activations?: string | undefined };
}

/** Fit inputs that groups of B take: every fold has to hold one. */
export const inputsForGroups = (B: number): number => COMBINED_FOLDS * B;

/** The group sizes among these that n fit inputs are enough for, ascending. */
const groupSizesFor = (n: number, groups: readonly number[]): number[] =>
  [...new Set(groups)].filter((B) => n >= inputsForGroups(B)).sort((a, b) => a - b);

/**
 * Fits every view on the features of single inputs (with the views `radial` and `fisher`), the contrast against those
 * of recombined inputs, one table for each way; then brings each view's numbers to the scale of a standard normal by
 * what it says of inputs that it was not fitted on (ten folds), and remembers how the scores of these are distributed.
 * Of a set of more than 1,000 inputs it takes 1,000. Throws a DataError for fewer than twenty inputs, and a ModelError
 * for tables that differ in model or layers.
 */
export function fitCombined(
  given: FeatureTable,
  recombined: readonly FeatureTable[],
  { groups, seed = given.meta.seed, aspects = [], reasons = {} }: CombinedOptions,
): Combined {
  checkTable(given, given.meta.data);
  const finite = finiteRows(given);
  const largest = Math.max(1, ...groupSizesFor(Math.min(MOST, rowsOf(finite)), groups));
  const kept = keptOf(rowsOf(finite), MOST, largest, seed);
  const n = kept.length;
  if (n < LEAST) {
    throw new DataError(`${given.meta.data}: ${n} inputs to fit the combined detector on, expected at least ${LEAST}`);
  }
  for (const table of recombined) {
    checkTable(table, table.meta.data);
    const difference = differenceOf(given, table);
    if (difference !== undefined) throw new DataError(`${table.meta.data}: cannot fit together: ${difference}`);
  }
  const floors = fitFloors(finite);
  const sizes = groupSizesFor(n, groups);
  if (sizes.length === 0) {
    const least = Math.min(...groups);
    const needed = `groups of ${least} take ${inputsForGroups(least)}`;
    throw new DataError(`${given.meta.data}: ${n} inputs to fit the combined detector on, and ${needed}`);
  }
  const of = Math.max(1, aspects.length);
  const others = recombined.map(finiteRows).filter((table) => rowsOf(table) >= 2);
  const lacking = (view: View): string | undefined => {
    if (view.density === 'contrast' && others.length === 0) {
      const none =
        recombined.length === 0 ? 'there are no recombined inputs' : 'no features of recombined inputs are finite';
      return (recombined.length === 0 ? reasons.contrast : undefined) ?? none;
    }
    const isLacking = view.of.includes('activations') && given.views?.activations === undefined;
    return isLacking ? (reasons.activations ?? 'the features have no activations') : undefined;
  };
  const without: MissingView[] = views.flatMap((view) => {
    const reason = lacking(view);
    return reason === undefined ? [] : [{ view: view.name, reason }];
  });
  const data = Array.from({ length: of }, (_, index) => views.map((view) => ({ view, index })))
    .flat()
    .filter(({ view }) => lacking(view) === undefined)
    .map(({ view, index }) => {
      const columns = (table: FeatureTable) => columnsOf(table, floors, view.of, { index, of });
      const isContrast = view.density === 'contrast';
      return { view, index, own: pick(columns(finite), kept), others: isContrast ? others.map(columns) : [] };
    })
    .filter(({ view, index, own }) => {
      if (varies(own)) return true;
      const aspect = aspects.length > 0 ? { aspect: index } : {};
      without.push({ view: view.name, ...aspect, reason: `it is the same for all ${n} inputs` });
      return false;
    });
  const chosen = data.map(({ view }) => view);
  if (!chosen.some(isOfGradient)) {
    throw new DataError(`${given.meta.data}: no feature of the gradient varies over the ${n} inputs to fit on`);
  }
  const fitOne = (k: number, indices: ArrayLike<number>) =>
    fitView(data[k]!.view, data[k]!.index, pick(data[k]!.own, indices), data[k]!.others, seed);

  const inputs = Array.from({ length: n }, (_, i) => i);
  const fitted = data.map((_, k) => fitOne(k, inputs));
  const related = isRelated(data.map(({ own }) => own));
  const repeats = repeatsIn(data.map(({ own }) => own)) || undefined;
  const run = related ? largest : 1;
  const dealt = new RandomStream(seed, 'folds').permutation(run, Math.ceil(n / run));
  // With few inputs all depends on each, and leaving one out is more than a correction.
  const isShort = n < FEW;
  const leftOut = chosen.map((view, k) =>
    canLeaveOut(view) && !isShort ? leftOutColumns(fitted[k]!, standardised(fitted[k]!, data[k]!.own)) : undefined,
  );
  const folds = Array.from({ length: COMBINED_FOLDS }, (_, fold): Fold => {
    const isHeldOut = (i: number) => dealt[Math.floor(i / run)]! % COMBINED_FOLDS === fold;
    const others = inputs.filter((i) => !isHeldOut(i));
    const views = chosen.map((_, k) => (leftOut[k] ? undefined : fitOne(k, others)));
    return { views, heldOut: inputs.filter(isHeldOut) };
  });
  const calibrated = sizes.map((B): CombinedGroup => {
    const drawn = folds.map(({ heldOut }) =>
      B === 1 ? heldOut : related ? runsOf(heldOut, B) : randomOf(heldOut, B, seed),
    );
    // [views][K]: the numbers of groups of inputs that the view was not fitted on, fold after fold.
    const numbers = chosen.map((_, k) => {
      const { own } = data[k]!;
      const without = leftOut[k];
      if (without) return without(drawn.flat(), B);
      return joined(
        // Of neighbours, a fold at the end of the data need not hold a whole group.
        folds.flatMap(({ views }, fold) => {
          if (drawn[fold]!.length === 0) return [];
          const u = standardised(views[k]!, pick(own, drawn[fold]!));
          return [columnsOfView(views[k]!, meansOf(u, B), B)];
        }),
      );
    });
    const inner = numbers.map((columns) => columns.map((column) => fitNormalScores(column)));
    const scores = numbers.map((columns, k) => viewScores(columns, inner[k]!));
    const outer = scores.map((column) => fitNormalScores(column));
    const z = scores.map((column, k) => normalScores(outer[k]!, column));
    const sum = (which: readonly boolean[]) =>
      fitRanks(
        totals(
          chosen.map(({ weight }) => weight),
          z,
          which,
        ),
      );
    return {
      group: B,
      inner,
      outer,
      calibration: { combined: sum(chosen.map(() => true)), gradient: sum(chosen.map(isOfGradient)) },
    };
  });
  return { names: given.names, aspects, n, repeats, related, seed, floors, views: fitted, without, groups: calibrated };
}

interface Fold {
  /** [views] fitted on the others, where that is needed. */
  readonly views: readonly (FittedView | undefined)[];
  /** Ascending. */
  readonly heldOut: readonly number[];
}

/**
 * Whether neighbours in the data resemble each other, as frames of a film or crops of one photograph do: then what is
 * said of groups has to be measured on groups of neighbours. By the mean over all columns of the correlation of each
 * with that of the next input.
 */
function isRelated(all: readonly Rows[]): boolean {
  const correlations = all.flatMap((rows) =>
    fitStandard(rows).columns.map((j) => {
      const values = Float64Array.from({ length: rows.n }, (_, i) => rowOf(rows, i)[j]!);
      const mean = values.reduce((sum, v) => sum + v, 0) / rows.n;
      let [products, squares] = [0, 0];
      for (const [i, v] of values.entries()) {
        squares += (v - mean) ** 2;
        if (i > 0) products += (v - mean) * (values[i - 1]! - mean);
      }
      return products / squares;
    }),
  );
  return correlations.reduce((total, r) => total + r, 0) / correlations.length > relatedFrom(all[0]!.n);
}

/** Rows that are the same as an earlier one in all views. */
function repeatsIn(all: readonly Rows[]): number {
  const n = all[0]!.n;
  const seen = new Set(Array.from({ length: n }, (_, i) => all.map((rows) => rowOf(rows, i).join()).join(';')));
  return n - seen.size;
}

/** Groups of B that stand together among these indices, overlapping ones too, one after the other. */
function runsOf(indices: readonly number[], B: number): number[] {
  return indices.flatMap((first, k) => {
    const group = indices.slice(k, k + B);
    return group.length === B && group[B - 1] === first + B - 1 ? group : [];
  });
}

/** Random groups of B of these indices, one after the other. */
function randomOf(indices: readonly number[], B: number, seed: number): number[] {
  const groups = randomGroups(indices.length, B, Math.ceil(GROUPS / COMBINED_FOLDS), seed);
  return Array.from(groups, (i) => indices[i]!);
}

/**
 * Consecutive runs of `length`, drawn at random and put in order, until there are `most` inputs of n; all of them where
 * there are not more.
 */
function keptOf(n: number, most: number, length: number, seed: number): number[] {
  if (n <= most) return Array.from({ length: n }, (_, i) => i);
  const runs = Array.from(new RandomStream(seed, 'fit inputs').permutation(length, Math.floor(n / length)));
  const chosen = runs.slice(0, Math.floor(most / length)).sort((a, b) => a - b);
  return chosen.flatMap((run) => Array.from({ length }, (_, k) => run * length + k));
}

const joined = (parts: readonly (readonly Float64Array[])[]): Float64Array[] =>
  parts[0]!.map((_, column) => Float64Array.from(parts.flatMap((part) => [...part[column]!])));

/** [n] of a view: its one number, or of several the sum of their surprises. */
export function viewScores(columns: readonly Float64Array[], inner: readonly NormalScores[]): Float64Array {
  if (columns.length === 1) return columns[0]!;
  const surprises = columns.map((column, k) => normalScores(inner[k]!, column).map(surprise));
  return surprises[0]!.map((_, i) => surprises.reduce((sum, one) => sum + one[i]!, 0));
}

/** [n] the weighted surprises of the views chosen. */
export function totals(
  weights: readonly number[],
  z: readonly Float64Array[],
  which: readonly boolean[],
): Float64Array {
  return z[0]!.map((_, i) => z.reduce((sum, one, k) => sum + (which[k] ? weights[k]! * surprise(one[i]!) : 0), 0));
}
