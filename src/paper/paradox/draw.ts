// Experiment 1, drawn: how likelihoods of sets lie, and how well they tell these apart.

import { setHistograms } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { counted, listed, three } from '../words.ts';

export interface Likelihoods {
  readonly model: string;
  readonly in: string;
  /** What is called the likelihood here: one or a bound on it, or the loss that the model is scored by. */
  readonly by: 'likelihood' | 'bound' | 'denoising loss';
  /**
   * Of the held-out half of the in-distribution test set: bits/dim of likelihoods and bounds; absent for other losses.
   */
  readonly bitsPerDim?: number;
  /** The same bits by the dimensions of the image without the border that was put around it. */
  readonly bitsPerDimUnpadded?: number;
  /** The variational bound with all its terms of this many examples, for diffusion models. */
  readonly bound?: { readonly bitsPerDim: number; readonly examples: number };
  /** Mean loss in nats. */
  readonly nll: number;
  readonly ood: readonly {
    readonly name: string;
    readonly natural: boolean;
    readonly nll: number;
    /** Share of the set with a lower loss than the median in-distribution example. */
    readonly preferred: number;
    readonly auroc: number;
    readonly aurocLow: number;
    readonly aurocHigh: number;
  }[];
  /** The figure: shares of every set, in-distribution first, over shared bins of the loss. */
  readonly histogram: { readonly edges: readonly number[]; readonly shares: readonly (readonly number[])[] };
}

/** Of each histogram: what of each of its sets lies beyond the axis. */
export type Outside = readonly (readonly { readonly below: number; readonly above: number }[])[];

export const paradox: Drawing<readonly Likelihoods[], Outside> = {
  id: 'paradox',
  title: 'The paradox: unlearned data can be more likely',
  claim:
    'Deep generative models often give a higher likelihood to data they were not trained on, such as MNIST under a model of Fashion-MNIST and SVHN under one of CIFAR-10 (Nalisnick et al., ICLR 2019).',
  finding,
  body: (numbers, outside) =>
    likelihoodTable(numbers) + numbers.map((m, k) => histogramsOf(m, outside?.[k])).join('\n'),
};

const labels = {
  likelihood: 'negative log-likelihood, bits per dimension',
  bound: 'bound on the negative log-likelihood, bits per dimension',
  'denoising loss': 'denoising loss at the step that scores',
} as const;

function histogramsOf(m: Likelihoods, outside: Outside[number] | undefined): string {
  const names = [`${m.in} (learned)`, ...m.ood.map(({ name }) => name)];
  const bins = { ...m.histogram, outside: outside ?? names.map(() => ({ below: 0, above: 0 })) };
  return setHistograms(names, bins, {
    title: `${m.model} trained on ${m.in}${m.bound === undefined ? '' : ', by its bound'}`,
    xLabel: `${labels[m.by]} (further left is more likely)`,
  });
}

/** About natural sets, where the whole interval of the AUROC is below 0.5. */
function finding(numbers: readonly Likelihoods[]): string {
  const natural = numbers.map((m) => ({ ...m, ood: m.ood.filter((other) => other.natural) }));
  const likelihoods = natural.filter((m) => m.by !== 'denoising loss' && m.ood.length > 0);
  if (likelihoods.length === 0) return 'The data for this experiment are missing.';
  const isFooled = ({ ood }: Likelihoods) => ood.some(({ aurocHigh }) => aurocHigh < 0.5);
  const fooled = likelihoods.filter(isFooled);
  const worst = likelihoods
    .flatMap(({ model, in: set, ood }) => ood.map((other) => ({ model, set, ...other })))
    .toSorted((a, b) => a.auroc - b.auroc)
    .slice(0, 3)
    .map(({ model, set, name, auroc }) => `${name} under ${model} of ${set} (${three(auroc)})`);
  const not = likelihoods.filter((m) => !isFooled(m)).map((m) => `${m.model} of ${m.in}`);
  const rest = not.length > 0 ? ` No other natural set is preferred by ${listed(not)}.` : '';
  const losses = natural.filter((m) => m.by === 'denoising loss' && m.ood.length > 0);
  const byLoss =
    losses.length > 0
      ? ` By the denoising loss at one step, which is no likelihood, ${counted(losses.filter(isFooled).length, losses.length, 'diffusion models')} prefer one.`
      : '';
  return `${counted(fooled.length, likelihoods.length, 'models')} prefer at least one other natural set to what they learned (AUROC of the likelihood or bound below 0.5 with its whole interval, B = 1); furthest from right are ${listed(worst)}.${rest}${byLoss}`;
}

function likelihoodTable(numbers: readonly Likelihoods[]): string {
  const bits = (m: Likelihoods) => {
    if (m.bound !== undefined) return `≤ ${m.bound.bitsPerDim.toFixed(2)} (${m.bound.examples} images)`;
    const more = m.bitsPerDimUnpadded === undefined ? '' : `, ${m.bitsPerDimUnpadded.toFixed(2)} without the border`;
    return m.bitsPerDim === undefined ? '–' : m.bitsPerDim.toFixed(2) + more;
  };
  return table(
    'Likelihood alone, B = 1: AUROC with its 95 % interval, and the share of the other set that is more likely than the median learned image',
    ['model', 'learned', 'by', 'bits/dim', 'against', 'AUROC', 'more likely'],
    numbers.flatMap((m) =>
      m.ood.map((other, k) => [
        ...[m.model, m.in, m.by, bits(m)].map((text) => (k === 0 ? text : '')),
        other.name,
        { auroc: other.auroc, low: other.aurocLow, high: other.aurocHigh },
        `${(100 * other.preferred).toFixed(0)} %`,
      ]),
    ),
  );
}
