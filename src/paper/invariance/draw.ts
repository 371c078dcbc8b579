// Experiment 6, drawn: likelihoods and norms of one model behind several representations.

import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { three } from '../words.ts';

/** Of the change of pixels that is no other representation, for comparison. */
export const LAST_BIT = 'control: the last bit of each pixel moved';

export interface Invariance {
  readonly model: string;
  readonly in: string;
  readonly ood: string;
  readonly representation: string;
  /** Means, per dimension of the representation. */
  readonly bitsPerDimIn: number;
  readonly bitsPerDimOod: number;
  readonly likelihood: number;
  readonly typicality: number;
  readonly norms: number;
  /** Over all examples and layers: |f(T) − f| / f, its median, its 99.9 % quantile and its largest value. */
  readonly medianChange: number;
  readonly mostChange: number;
  readonly largestChange: number;
  /** The squared norm that changes most, as a multiple of the median of its layer. */
  readonly normOfLargest: number;
}

export const invariance: Drawing<readonly Invariance[]> = {
  id: 'invariance',
  title: 'Invariance to the representation',
  claim:
    'For an invertible change of representation the likelihood changes by the log-determinant of its Jacobian, which does not depend on the parameters: likelihood and typicality change arbitrarily, gradients and their norms not at all.',
  finding(numbers) {
    const changed = numbers.filter((n) => !controls.includes(n.representation));
    return changed.length === 0 ? 'The data for this experiment are missing.' : finding(numbers, changed);
  },
  body: (numbers) =>
    table(
      'The same model behind another representation, B = 1',
      [
        'model',
        'representation',
        'bits/dim learned',
        'bits/dim other',
        'other set',
        'likelihood',
        'typicality',
        'layer-wise norms',
        'median change of a norm',
        '99.9 % below',
        'largest',
      ],
      numbers.map((n) => [
        `${n.model} of ${n.in}`,
        n.representation,
        n.bitsPerDimIn.toFixed(3),
        n.bitsPerDimOod.toFixed(3),
        n.ood,
        { auroc: n.likelihood },
        { auroc: n.typicality },
        { auroc: n.norms },
        ...[n.medianChange, n.mostChange, n.largestChange].map((v) =>
          n.representation === 'as it is' ? '–' : v === 0 ? '0' : v.toExponential(1),
        ),
      ]),
    ),
};

/** What is no other representation. */
const controls = ['as it is', LAST_BIT];

function finding(numbers: readonly Invariance[], changed: readonly Invariance[]): string {
  const base = (n: Invariance) =>
    numbers.find((m) => m.model === n.model && m.in === n.in && m.representation === 'as it is')!;
  const moved = (of: 'bitsPerDimIn' | 'likelihood' | 'typicality' | 'norms') =>
    Math.max(...changed.map((n) => Math.abs(n[of] - base(n)[of])));
  const worst = changed.reduce((a, b) => (b.largestChange > a.largestChange ? b : a));
  const control = numbers.filter((n) => n.representation === LAST_BIT);
  const most = (of: 'medianChange' | 'mostChange' | 'largestChange', ns = changed) =>
    Math.max(...ns.map((n) => n[of])).toExponential(0);
  return (
    `Representations move the likelihood of learned images by up to ${moved('bitsPerDimIn').toFixed(1)} bits per dimension, its AUROC by up to ${three(moved('likelihood'))}, that of typicality by up to ${three(moved('typicality'))} and that of the norms by up to ${three(moved('norms'))}. ` +
    `Half of all squared norms change by less than ${most('medianChange')} of themselves and 99.9 % by less than ${most('mostChange')}, where moving the last bit of every pixel changes them by ${most('medianChange', control)} and ${most('mostChange', control)}; ` +
    `the largest change of any is ${worst.largestChange.toExponential(0)}, of a norm ${worst.normOfLargest.toPrecision(1)} times its layer's median (last bit: ${most('largestChange', control)}).`
  );
}
