// Experiment 6: another representation of the data moves the likelihood, not the norms.

import { type DetectorName, fitDetectors, scoreTable } from '../detectors/index.ts';
import { auroc } from '../eval/index.ts';
import { type Representation, representations, underRepresentation } from '../experiment/index.ts';
import type { FeatureTable } from '../features/index.ts';
import { table } from './html.ts';
import type { Lab } from './lab.ts';
import { mean, type Outcome } from './outcome.ts';
import type { ModelPlan } from './plan.ts';

interface Invariance {
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
  /** Over all examples and layers: |f(T) − f| / f. */
  readonly largestChange: number;
  readonly medianChange: number;
}

export async function invariance(lab: Lab): Promise<Outcome> {
  const numbers: Invariance[] = [];
  for (const id of lab.preset.invariance.models) {
    const plan = lab.planOf(id);
    if (plan?.ood[0] !== undefined) numbers.push(...(await measured(lab, plan)));
  }
  const changed = numbers.filter((n) => n.representation !== 'as it is');
  const moved = Math.max(
    ...changed.map((n) => {
      const base = numbers.find((m) => m.model === n.model && m.in === n.in && m.representation === 'as it is')!;
      return Math.abs(n.bitsPerDimIn - base.bitsPerDimIn);
    }),
  );
  return {
    id: 'invariance',
    title: 'Invariance to the representation',
    claim:
      'For an invertible change of representation the likelihood changes by the log-determinant of its Jacobian, which does not depend on the parameters: likelihood and typicality change arbitrarily, gradients and their norms not at all.',
    finding:
      changed.length === 0
        ? 'The data for this experiment are missing.'
        : `Representations move the likelihood of learned images by up to ${moved.toFixed(1)} bits per dimension, and with it the AUROC of likelihood and typicality; those of the norms stay. Half of all squared norms change by less than ${Math.max(...changed.map((n) => n.medianChange)).toExponential(0)} of themselves, which is what rounding the inputs of a network to float32 once more does; the largest change of any is ${Math.max(...changed.map((n) => n.largestChange)).toExponential(0)}.`,
    numbers,
    body: table(
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
        ...[n.medianChange, n.largestChange].map((v) =>
          n.representation === 'as it is' ? '–' : v === 0 ? '0' : v.toExponential(1),
        ),
      ]),
    ),
  };
}

async function measured(lab: Lab, plan: ModelPlan): Promise<Invariance[]> {
  const { examples } = lab.preset.invariance;
  const model = await lab.model(plan);
  const { fit, test, ood } = await lab.material(plan, examples);
  const other = ood[0]!;
  const key = {
    hash: model.hash,
    sets: [fit, test, other].map(({ data }) => data.fingerprint),
    seed: lab.seed,
  };
  return lab.stage(`invariance-${plan.id}`, key, async () => {
    const out: Invariance[] = [];
    let base: readonly FeatureTable[] | undefined;
    for (const representation of representations(model.info.data, lab.seed)) {
      lab.progress(`${plan.id} behind another representation: ${representation.name}`);
      const tables: FeatureTable[] = [];
      for (const { data } of [fit, test, other]) {
        tables.push(await underRepresentation(model, data, representation, { seed: lab.seed, ...lab.threads }));
      }
      base ??= tables;
      out.push(compared(plan, other.name, representation, tables, base));
    }
    return out;
  });
}

function compared(
  plan: ModelPlan,
  ood: string,
  representation: Representation,
  tables: readonly FeatureTable[],
  base: readonly FeatureTable[],
): Invariance {
  const [fit, test, other] = tables as readonly [FeatureTable, FeatureTable, FeatureTable];
  const detector = fitDetectors([fit], { detectors: ['likelihood', 'typicality', 'layer-norms'] });
  const aurocOf = (name: DetectorName) => {
    const [inScores, oodScores] = [test, other].map((t) => scoreTable(detector, t, [name])[0]!.scores);
    return auroc(inScores!, oodScores!);
  };
  const factor = test.meta.bitsPerDimFactor!;
  const changes = tables
    .flatMap((t, k) =>
      Array.from(t.sqNorms, (f, i) => (base[k]!.sqNorms[i]! > 0 ? Math.abs(f / base[k]!.sqNorms[i]! - 1) : 0)),
    )
    .sort((a, b) => a - b);
  return {
    model: plan.family,
    in: plan.set,
    ood,
    representation: representation.name,
    bitsPerDimIn: mean(test.nll) * factor,
    bitsPerDimOod: mean(other.nll) * factor,
    likelihood: aurocOf('likelihood'),
    typicality: aurocOf('typicality'),
    norms: aurocOf('layer-norms'),
    largestChange: changes.at(-1)!,
    medianChange: changes[changes.length >> 1]!,
  };
}
