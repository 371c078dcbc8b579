// The combined detector and features of single inputs in; scores of groups of them, and what each view and layer adds
// to these, out.

import { nearest } from '../../densities/local-outlier-factor.ts';
import { normalScores, surprise } from '../../densities/normal-scores.ts';
import { meansOf, type Rows, rowOf } from '../../densities/rows.ts';
import { contributions } from '../../densities/shrunk-normal.ts';
import { ModelError } from '../../errors.ts';
import { type FeatureTable, notFinite, rowsOf } from '../../features/table.ts';
import { type Aspect, columnsOf, layersOf } from './columns.ts';
import { type Combined, type CombinedGroup, totals, viewScores } from './fit.ts';
import { columnsOfView, type FittedView, isOfGradient, standardised } from './views.ts';

/** The names of the combined detector: of all views, and of those of the gradient alone. */
export const combinedKinds = ['combined', 'combined-gradient'] as const;
/** Which views are added up: all, or those of the gradient alone. */
export type CombinedKind = (typeof combinedKinds)[number];

/** Whether a choice is one of them, and not of the detectors that are fitted for each group size. */
export const isCombined = (choice: unknown): choice is CombinedKind =>
  (combinedKinds as readonly unknown[]).includes(choice);

/** The fit for groups of B. Throws a ModelError where there is none. */
export function combinedGroup({ groups }: Combined, B: number): CombinedGroup {
  const found = groups.find(({ group }) => group === B);
  if (found) return found;
  const there = groups.map(({ group }) => group).join(', ');
  throw new ModelError(`group size is ${B}, the combined detector was fitted for ${there}`);
}

/**
 * [⌊n / B⌋] scores of groups of B consecutive inputs, from the features of single inputs; NaN for a group with an input
 * whose features are not finite. Throws a ModelError for a table of other layers, of groups, or without the views it
 * needs.
 */
export const scoreCombined = (fit: Combined, table: FeatureTable, B: number, kind: CombinedKind): Float64Array =>
  judged(fit, table, B).scores(kind);

/** Both detectors' word on the groups of a table, for which each view is asked once. */
export interface Judged {
  /** See `scoreCombined`. */
  scores(kind: CombinedKind): Float64Array;
  /** See `explainCombined`. */
  shares(kind: CombinedKind): Shares[];
}

/** Throws as `scoreCombined` does. The table is not to change as long as it is asked. */
export function judged(fit: Combined, table: FeatureTable, B: number): Judged {
  const views = normalViews(fit, table, B);
  return {
    scores: (kind) => scoresFrom(fit, views, kind),
    shares: (kind) => sharesFrom(fit, table, B, { ...views, kind }),
  };
}

function scoresFrom(fit: Combined, { z, odd }: NormalViews, kind: CombinedKind): Float64Array {
  const scores = totals(
    fit.views.map(({ view }) => view.weight),
    z,
    fit.views.map(({ view }) => kind === 'combined' || isOfGradient(view)),
  );
  for (const g of odd) scores[g] = Number.NaN;
  return scores;
}

/**
 * The share of in-distribution groups that score as high, by the smoothed distribution of the calibration scores: below
 * one in a hundred by the line that its tail is laid along. That goes on to a tenth of what n inputs can count
 * (`leastPValue`), and no further. NaN as the scores.
 */
export function combinedPValues(fit: Combined, scores: Float64Array, B: number, kind: CombinedKind): Float64Array {
  const { calibration } = combinedGroup(fit, B);
  const z = normalScores(kind === 'combined' ? calibration.combined : calibration.gradient, scores);
  const least = leastPValue(fit);
  return z.map((value) => (Number.isNaN(value) ? value : Math.max(least, Math.exp(-surprise(value)))));
}

/** No p-value is less, and no false-positive rate can be: 1 / (10 (n + 1)). */
export const leastPValue = ({ n }: Pick<Combined, 'n'>): number => 1 / (10 * (n + 1));

/** What adds up to the score of one group, in nats. */
export interface Shares {
  readonly views: readonly { readonly name: string; readonly share: number }[];
  /** [L] in the order of the detector's layers. */
  readonly layers: readonly {
    readonly name: string;
    readonly share: number;
    /** √B times the mean of the standardised log norms. */
    readonly z: number;
  }[];
  /** What the activations add, which belong to no parameter. */
  readonly activations: number;
  /** What the likelihood itself adds. */
  readonly likelihood: number;
}

/**
 * The shares of every group's score: a view's is its weighted surprise, which its layers divide by what they add to the
 * density's number: to the squared distance, to the squared distance from the neighbours, to the projections on the
 * directions that surprise. Parts that speak for an ordinary input count as nothing. NaN as the scores.
 */
export const explainCombined = (fit: Combined, table: FeatureTable, B: number, kind: CombinedKind): Shares[] =>
  judged(fit, table, B).shares(kind);

function sharesFrom(
  fit: Combined,
  table: FeatureTable,
  B: number,
  { z, odd, kind }: NormalViews & { readonly kind: CombinedKind },
): Shares[] {
  const means = meansIn(fit, table, B);
  const group = combinedGroup(fit, B);
  const place = new Map(fit.names.map((name, j) => [name, j]));
  return Array.from({ length: Math.floor(rowsOf(table) / B) }, (_, g): Shares => {
    const layers = new Float64Array(fit.names.length);
    const zs = new Float64Array(fit.names.length).fill(Number.NaN);
    let [activations, likelihood] = [0, 0];
    const views = fit.views.flatMap((fitted, k) => {
      const { view, standard } = fitted;
      if (kind !== 'combined' && !isOfGradient(view)) return [];
      const share = odd.has(g) ? Number.NaN : view.weight * surprise(z[k]![g]!);
      const row = rowOf(means[k]!, g);
      const names = layersOf(fit.names, view.of, aspectOf(fit, fitted));
      const parts = partsOf(fitted, group, k, row, B).map((part) => Math.max(0, part));
      const sum = parts.reduce((total, part) => total + part, 0);
      for (const [q, part] of parts.entries()) {
        const mine = share * (sum > 0 ? part / sum : 1 / parts.length);
        const j = place.get(names[standard.columns[q]!]!);
        if (view.of.includes('likelihood')) likelihood += mine;
        else if (j === undefined) activations += mine;
        else layers[j]! += mine;
      }
      if (view.of[0] === 'norms') {
        const width = fit.names.length / aspectOf(fit, fitted).of;
        for (const [q, column] of standard.columns.entries()) {
          if (column >= width) continue;
          zs[fitted.aspect * width + column] = odd.has(g) ? Number.NaN : Math.sqrt(B) * row[q]!;
        }
      }
      const { [fitted.aspect]: aspect } = fit.aspects;
      return [{ name: aspect === undefined ? view.name : `${aspect} ${view.name}`, share }];
    });
    return {
      views,
      layers: fit.names.map((name, j) => ({ name, share: layers[j]!, z: zs[j]! })),
      activations,
      likelihood,
    };
  });
}

const aspectOf = ({ aspects }: Combined, { aspect }: FittedView): Aspect => ({
  index: aspect,
  of: Math.max(1, aspects.length),
});

/** What each standardised column adds to a view's number for one group, [q]. */
function partsOf({ model }: FittedView, group: CombinedGroup, k: number, mean: Float64Array, B: number): Float64Array {
  if (model.density === 'normal') return contributions(model.normal, mean, B);
  if (model.density === 'local-outlier-factor') {
    const factors = model.at(B);
    const at = mean.map((v) => Math.sqrt(B) * v);
    const [first] = nearest(factors.rows, at, 1).index;
    return rowOf(factors.rows, first!).map((v, j) => (v - at[j]!) ** 2);
  }
  const parts = new Float64Array(mean.length);
  const { directions, centre } = model.contrast;
  for (const [way, w] of directions.entries()) {
    const along = w.map((v, j) => Math.sqrt(B) * v * (mean[j]! - centre[j]!));
    const total = along.reduce((sum, v) => sum + v, 0);
    const [z] = normalScores(group.inner[k]![way]!, [total]);
    for (const [j, v] of along.entries()) parts[j]! += surprise(z!) * (total > 0 ? Math.max(0, v / total) : 0);
  }
  return parts;
}

/** What each view says of the groups of a table. */
interface NormalViews {
  /** On the scale of a standard normal, [views] of [groups]. */
  readonly z: readonly Float64Array[];
  /** Groups about which nothing can be said. */
  readonly odd: ReadonlySet<number>;
}

function normalViews(fit: Combined, table: FeatureTable, B: number): NormalViews {
  const group = combinedGroup(fit, B);
  const names = table.names;
  if (names.length !== fit.names.length || names.some((name, j) => name !== fit.names[j])) {
    throw new ModelError(`${table.meta.data}: cannot score: other layers than the detector's`);
  }
  const odd = new Set(notFinite(table).map((i) => Math.floor(i / B)));
  const z = meansIn(fit, table, B).map((means, k) => {
    const scores = viewScores(columnsOfView(fit.views[k]!, means, B), group.inner[k]!);
    return normalScores(group.outer[k]!, scores);
  });
  return { z, odd };
}

/** The means of each view's standardised columns over the inputs of each group, [views] of [groups, q]. */
function meansIn(fit: Combined, table: FeatureTable, B: number): readonly Rows[] {
  return fit.views.map((fitted) =>
    meansOf(standardised(fitted, columnsOf(withNumbers(table), fit.floors, fitted.view.of, aspectOf(fit, fitted))), B),
  );
}

/**
 * With numbers in place of what is not finite, since a search for neighbours takes no others; the groups are marked.
 */
function withNumbers(table: FeatureTable): FeatureTable {
  if (notFinite(table).length === 0) return table;
  const numbers = (values: Float64Array) => values.map((v) => (Number.isFinite(v) ? v : 1));
  const views = Object.fromEntries(Object.entries(table.views ?? {}).map(([name, values]) => [name, numbers(values)]));
  return { ...table, nll: numbers(table.nll), sqNorms: numbers(table.sqNorms), views };
}
