// Which densities look at which columns; one of them fitted on single inputs, and what it says of groups.

import { type Contrast, type ContrastFit, contrasts, fitContrast, leftOutContrasts } from '../../densities/contrast.ts';
import {
  fitLocalOutlierFactor,
  type LocalOutlierFactor,
  localOutlierFactors,
} from '../../densities/local-outlier-factor.ts';
import { meansOf, pick, type Rows, rowsOver } from '../../densities/rows.ts';
import { distances, fitShrunkNormal, leftOutDistances, type ShrunkNormal } from '../../densities/shrunk-normal.ts';
import { fitStandard, type Standard, standardise } from '../../densities/standard.ts';
import { RandomStream } from '../../tensor/random.ts';
import { type ColumnGroup, isOfLayers } from './columns.ts';

/** A density over some of the columns. */
export interface View {
  readonly name: string;
  readonly density: 'normal' | 'local-outlier-factor' | 'contrast';
  readonly of: readonly ColumnGroup[];
  /** How often its surprise counts. */
  readonly weight: number;
}

/**
 * The design, fixed once on the published pairs (docs/detection.md has what was tried): the whole shape of the
 * gradients' lengths in the Fisher metric; how empty an input's surroundings are; how far it lies towards recombined
 * inputs; and, of what flows through the model before any gradient, the activations and the likelihood.
 */
export const views: readonly View[] = [
  { name: 'metric', density: 'normal', of: ['fisher'], weight: 1 },
  { name: 'surroundings', density: 'local-outlier-factor', of: ['radial', 'fisher'], weight: 1 },
  { name: 'contrast', density: 'contrast', of: ['norms', 'radial', 'fisher'], weight: 2 },
  { name: 'activations', density: 'normal', of: ['activations'], weight: 1 },
  { name: 'likelihood', density: 'normal', of: ['likelihood'], weight: 1 },
];

/** Of functions of the gradient alone, which stay what they are however the data are written down. */
export const isOfGradient = ({ of }: View): boolean => of.every(isOfLayers);

const SHRINKAGE = 0.3;
const NEIGHBOURS = 20;
/** A linear discriminant has no defence against a feature that is far out; densities want to see it. */
const FURTHEST = { normal: 1000, 'local-outlier-factor': 1000, contrast: 10 } as const;

/** Fitted on the rows of single inputs. */
export interface FittedView {
  readonly view: View;
  /** Which aspect of the model it looks at; 0 where there is one. */
  readonly aspect: number;
  readonly standard: Standard;
  readonly model:
    | { readonly density: 'normal'; readonly normal: ShrunkNormal }
    | {
        readonly density: 'local-outlier-factor';
        /** [n, q] standardised fit rows. */
        readonly rows: Rows;
        /** For groups of B: over means of random groups of the fit rows, times √B. Made when it is first asked for. */
        readonly at: (B: number) => LocalOutlierFactor;
      }
    | { readonly density: 'contrast'; readonly contrast: Contrast };
}

/** Fits on rows of single inputs [n, p] and, for a contrast, of recombined ones in K ways. */
export function fitView(view: View, aspect: number, rows: Rows, recombined: readonly Rows[], seed: number): FittedView {
  const standard = fitStandard(rows);
  const furthest = FURTHEST[view.density];
  const u = standardise(standard, rows, furthest);
  if (view.density === 'normal') {
    return { view, aspect, standard, model: { density: 'normal', normal: fitShrunkNormal(u, SHRINKAGE) } };
  }
  if (view.density === 'contrast') {
    const others = recombined.map((other) => standardise(standard, other, furthest));
    return { view, aspect, standard, model: { density: 'contrast', contrast: fitContrast(u, others) } };
  }
  return { view, aspect, standard, model: surroundings(u, seed) };
}

/**
 * Local outlier factors among standardised rows, for groups of any size: of as many random groups as there are rows.
 */
export function surroundings(rows: Rows, seed: number): Extract<FittedView['model'], { at: unknown }> {
  const found = new Map<number, LocalOutlierFactor>();
  const at = (B: number): LocalOutlierFactor => {
    const one = found.get(B) ?? surroundingsOf(rows, B, seed);
    found.set(B, one);
    return one;
  };
  return { density: 'local-outlier-factor', rows, at };
}

function surroundingsOf(u: Rows, B: number, seed: number): LocalOutlierFactor {
  const means = scaled(meansOf(pick(u, randomGroups(u.n, B, u.n, seed)), B), Math.sqrt(B));
  return fitLocalOutlierFactor(means, Math.max(1, Math.min(NEIGHBOURS, Math.floor(u.n / 2))));
}

/**
 * The indices of `count` groups of B of n rows, no row twice in a group, one group after the other; for B = 1 every row
 * once, in order.
 */
export function randomGroups(n: number, B: number, count: number, seed: number): Int32Array {
  if (B === 1 && count === n) return Int32Array.from({ length: n }, (_, i) => i);
  const stream = new RandomStream(seed, `groups of ${B} of ${n}`);
  const all = new Int32Array(count * B);
  for (let g = 0; g < count; g++) all.set(stream.permutation(g, n).subarray(0, B), g * B);
  return all;
}

/** The standardised rows, as the view's density takes them. */
export const standardised = ({ view, standard }: FittedView, rows: Rows): Rows =>
  standardise(standard, rows, FURTHEST[view.density]);

/**
 * [K] of [n]: what the density says of means [n, q] of B standardised rows each; K is 1 but for a contrast. Higher is
 * further out.
 */
export function columnsOfView({ model }: FittedView, means: Rows, B: number): readonly Float64Array[] {
  if (model.density === 'contrast') return contrasts(model.contrast, means, B);
  if (model.density === 'normal') return [distances(model.normal, means, B).map((d) => Math.log(d + LEAST))];
  return [localOutlierFactors(model.at(B), scaled(means, Math.sqrt(B))).map(Math.log)];
}

/** Whether `leftOutColumns` has an answer: whether a fit without some rows can be had from that with them. */
export const canLeaveOut = ({ density }: View): boolean => density !== 'local-outlier-factor';

/** As `columnsOfView` for groups of B of the fit rows (standardised), each by a view that was fitted without it. */
export function leftOutColumns(
  { model }: FittedView,
  rows: Rows,
): (groups: ArrayLike<number>, B: number) => readonly Float64Array[] {
  if (model.density === 'contrast') return leftOutContrasts(model.contrast as ContrastFit, rows);
  if (model.density !== 'normal') throw new Error('local outlier factors are not left out of');
  const distancesOf = leftOutDistances(rows, SHRINKAGE);
  return (groups, B) => [distancesOf(groups, B).map((d) => Math.log(d + LEAST))];
}

/** A distance of zero has a logarithm, too. */
const LEAST = 1e-30;

const scaled = (rows: Rows, by: number): Rows =>
  by === 1
    ? rows
    : rowsOver(
        rows.data.map((v) => by * v),
        rows.p,
      );
