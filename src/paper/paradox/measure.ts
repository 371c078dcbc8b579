// Experiment 1: models give higher likelihood to data they were never trained on.

import { take } from '../../data/index.ts';
import type { Histogram } from '../../eval/index.ts';
import type { FeatureTable } from '../../features/index.ts';
import { fullBound } from '../../node/defaults.ts';
import { binsOfSets, setHistograms } from '../../report/index.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { evaluated, type How, tablesOf } from '../evaluation.ts';
import { table } from '../html.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { counted, listed, mean, type Outcome, three } from '../words.ts';

interface Likelihoods {
  readonly model: string;
  readonly in: string;
  /** What is called the likelihood here: one or a bound on it, or the loss that the model is scored by. */
  readonly by: 'likelihood' | 'bound' | 'denoising loss';
  /** Of the held-out half of the in-distribution test set: bits/dim of likelihoods and bounds; absent for other losses. */
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

export async function paradox(lab: Lab): Promise<Outcome> {
  const numbers: Likelihoods[] = [];
  const figures: string[] = [];
  for (const plan of lab.available(lab.preset.models.images)) {
    const found = [await measured(lab, plan, {})];
    const { bound } = plan;
    if (bound !== undefined) {
      const scoring = { bound: true, noiseSamples: bound.draws };
      found.push(await measured(lab, plan, { groups: [1], limit: bound.scored, scoring }));
    }
    numbers.push(...found.map((f) => f.numbers));
    figures.push(...found.map((f) => f.figure));
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

async function measured(lab: Lab, plan: ModelPlan, how: How): Promise<{ numbers: Likelihoods; figure: string }> {
  const rows = await evaluated(lab, plan, how);
  const { model, test, ood } = await tablesOf(lab, plan, how);
  const [inTable] = test;
  const factor = inTable!.meta.bitsPerDimFactor;
  const median = inTable!.nll.toSorted()[inTable!.nll.length >> 1]!;
  const nll = mean(inTable!.nll);
  const by = factor === undefined ? 'denoising loss' : plan.family === 'vae' || how.scoring ? 'bound' : 'likelihood';
  const bound = how.scoring ? await boundOf(lab, plan) : undefined;
  const bits = factor === undefined ? {} : { bitsPerDim: nll * factor };
  const unpadded = plan.preparation?.pad && {
    bitsPerDimUnpadded: nll / (sizeOf(lab.preset.sets[plan.set]!.shape) * Math.LN2),
  };
  const values = ({ nll }: FeatureTable) => nll.map((v) => v * (factor ?? 1));
  const sets = [
    { name: `${plan.set} (learned)`, values: values(inTable!) },
    ...ood.map(({ name, tables }) => ({ name, values: values(tables[0]!) })),
  ];
  const label = {
    likelihood: 'negative log-likelihood, bits per dimension',
    bound: 'bound on the negative log-likelihood, bits per dimension',
    'denoising loss': 'denoising loss at the step that scores',
  }[by];
  return {
    numbers: {
      model: plan.family,
      in: plan.set,
      by,
      nll,
      ...bits,
      ...unpadded,
      ...(bound === undefined ? {} : { bound }),
      ood: ood.map(({ name, tables }) => {
        const { auroc, aurocLow, aurocHigh } = rows.find(
          (row) => row.detector === 'likelihood' && row.ood === name && row.group === tables[0]!.group,
        )!;
        const { nll } = tables[0]!;
        const preferred = nll.filter((value) => value < median).length / nll.length;
        return { name, natural: isNatural(lab, name), nll: mean(nll), preferred, auroc, aurocLow, aurocHigh };
      }),
      histogram: plain(binsOfSets(sets)),
    },
    figure: setHistograms(sets, {
      title: `${model.info.arch} trained on ${plan.set}${how.scoring ? ', by its bound' : ''}`,
      xLabel: `${label} (further left is more likely)`,
    }),
  };
}

/** As JSON has it. */
function plain({ edges, shares }: Histogram): Likelihoods['histogram'] {
  return { edges: Array.from(edges), shares: shares.map((s) => Array.from(s, (v) => +v.toFixed(4))) };
}

/** With all its terms, for some examples. */
async function boundOf(lab: Lab, plan: ModelPlan): Promise<Likelihoods['bound']> {
  const examples = plan.bound!.examples;
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
