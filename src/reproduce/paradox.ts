// Experiment 1: models give higher likelihood to data they were never trained on.

import { take } from '../data/index.ts';
import { fullBound } from '../experiment/index.ts';
import type { FeatureTable } from '../features/index.ts';
import { setHistograms } from '../report/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { evaluated, tablesOf } from './evaluation.ts';
import { table } from './html.ts';
import type { Lab } from './lab.ts';
import { counted, listed, mean, type Outcome, three } from './outcome.ts';
import type { ModelPlan } from './plan.ts';

interface Likelihoods {
  readonly model: string;
  readonly in: string;
  /** Of the held-out half of the in-distribution test set: bits/dim of likelihoods and bounds; absent for other losses. */
  readonly bitsPerDim?: number;
  /** The variational bound with all its terms of this many examples, for diffusion models. */
  readonly bound?: { readonly bitsPerDim: number; readonly examples: number };
  /** Mean loss in nats. */
  readonly nll: number;
  readonly ood: readonly {
    readonly name: string;
    readonly nll: number;
    /** Share of the set with a lower loss than the median in-distribution example. */
    readonly preferred: number;
    readonly auroc: number;
    readonly aurocLow: number;
    readonly aurocHigh: number;
  }[];
}

export async function paradox(lab: Lab): Promise<Outcome> {
  const numbers: Likelihoods[] = [];
  const figures: string[] = [];
  for (const plan of lab.available(lab.preset.models.images)) {
    const rows = await evaluated(lab, plan);
    const { model, test, ood } = await tablesOf(lab, plan);
    const [inTable] = test;
    const factor = inTable!.meta.bitsPerDimFactor;
    const median = inTable!.nll.toSorted()[inTable!.nll.length >> 1]!;
    const bound = await boundOf(lab, plan);
    numbers.push({
      model: plan.family,
      in: plan.set,
      nll: mean(inTable!.nll),
      ...(factor === undefined ? {} : { bitsPerDim: mean(inTable!.nll) * factor }),
      ...(bound === undefined ? {} : { bound }),
      ood: ood.map(({ name, tables }) => {
        const { auroc, aurocLow, aurocHigh } = rows.find(
          (row) => row.detector === 'likelihood' && row.ood === name && row.group === tables[0]!.group,
        )!;
        const { nll } = tables[0]!;
        const preferred = nll.filter((value) => value < median).length / nll.length;
        return { name, nll: mean(nll), preferred, auroc, aurocLow, aurocHigh };
      }),
    });
    const unit = factor === undefined ? 'loss, nats' : 'negative log-likelihood or bound, bits per dimension';
    const values = ({ nll }: FeatureTable) => nll.map((v) => v * (factor ?? 1));
    figures.push(
      setHistograms(
        [
          { name: `${plan.set} (learned)`, values: values(inTable!) },
          ...ood.map(({ name, tables }) => ({ name, values: values(tables[0]!) })),
        ],
        { title: `${model.info.arch} trained on ${plan.set}`, xLabel: `${unit} (further left is more likely)` },
      ),
    );
  }
  return {
    id: 'paradox',
    title: 'The paradox: unlearned data can be more likely',
    claim:
      'Deep generative models often give a higher likelihood to data they were not trained on, such as MNIST under a model of Fashion-MNIST and SVHN under one of CIFAR-10 (Nalisnick et al., ICLR 2019).',
    finding: finding(numbers),
    numbers,
    body: likelihoodTable(numbers) + figures.join('\n'),
  };
}

/** Only models with a bound of many terms have one. */
async function boundOf(lab: Lab, plan: ModelPlan): Promise<Likelihoods['bound']> {
  const examples = plan.boundExamples;
  if (examples === undefined) return undefined;
  const model = await lab.model(plan);
  const { test } = await lab.material(plan);
  const data = take(test.data, 0, Math.min(examples, test.data.length));
  const key = { hash: model.hash, data: data.fingerprint, seed: lab.seed };
  return lab.stage(`bound-${plan.id}`, key, async () => {
    const nats = await fullBound(model, data, {
      seed: lab.seed,
      ...lab.threads,
      onProgress: (runs, of) => {
        if (runs % 50 === 0) lab.progress(`variational bound of ${plan.id}: ${runs} of ${of} runs`);
      },
    });
    return { bitsPerDim: mean(nats) / (sizeOf(model.info.data) * Math.LN2), examples: data.length };
  });
}

function finding(numbers: readonly Likelihoods[]): string {
  const fooled = numbers.filter(({ ood }) => ood.some(({ auroc }) => auroc < 0.5));
  const worst = numbers
    .flatMap(({ model, in: set, ood }) => ood.map((other) => ({ model, set, ...other })))
    .toSorted((a, b) => a.auroc - b.auroc)
    .slice(0, 3)
    .map(({ model, set, name, auroc }) => `${name} under ${model} of ${set} (${three(auroc)})`);
  const not = numbers.filter((m) => !fooled.includes(m)).map((m) => `${m.model} of ${m.in}`);
  const rest = not.length > 0 ? ` No other set is preferred by ${listed(not)}.` : '';
  return `${counted(fooled.length, numbers.length, 'models')} prefer at least one other set to what they learned (AUROC of the likelihood below 0.5, B = 1); furthest from right are ${listed(worst)}.${rest}`;
}

function likelihoodTable(numbers: readonly Likelihoods[]): string {
  const bits = (m: Likelihoods) => {
    if (m.bitsPerDim !== undefined) return m.bitsPerDim.toFixed(2);
    return m.bound ? `≤ ${m.bound.bitsPerDim.toFixed(2)} (${m.bound.examples} images)` : '–';
  };
  return table(
    'Likelihood alone, B = 1: AUROC with its 95 % interval, and the share of the other set that is more likely than the median learned image',
    ['model', 'learned', 'bits/dim', 'against', 'AUROC', 'more likely'],
    numbers.flatMap((m) =>
      m.ood.map((other, k) => [
        k === 0 ? m.model : '',
        k === 0 ? m.in : '',
        k === 0 ? bits(m) : '',
        other.name,
        { auroc: other.auroc, low: other.aurocLow, high: other.aurocHigh },
        `${(100 * other.preferred).toFixed(0)} %`,
      ]),
    ),
  );
}
