// Experiment 6: another representation of the data moves the likelihood, not the norms.

import { type DetectorName, fitDetectors, scoreTable } from '../../detectors/index.ts';
import { auroc, quantile } from '../../eval/index.ts';

import type { FeatureTable } from '../../features/index.ts';
import { nodeRuntime } from '../../node/runtime.ts';
import { table } from '../html.ts';
import type { Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { mean, type Outcome, three } from '../words.ts';
import { lastBitMoved, type Representation, representations, underRepresentation } from './representation.ts';

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
  /** Over all examples and layers: |f(T) − f| / f, its median, its 99.9 % quantile and its largest value. */
  readonly medianChange: number;
  readonly mostChange: number;
  readonly largestChange: number;
  /** The squared norm that changes most, as a multiple of the median of its layer. */
  readonly normOfLargest: number;
}

export async function invariance(lab: Lab): Promise<Outcome> {
  const numbers: Invariance[] = [];
  for (const id of lab.preset.invariance.models) {
    const plan = lab.planOf(id);
    if (plan?.ood[0] !== undefined) numbers.push(...(await measured(lab, plan)));
  }
  const changed = numbers.filter((n) => !controls.includes(n.representation));
  return {
    id: 'invariance',
    title: 'Invariance to the representation',
    claim:
      'For an invertible change of representation the likelihood changes by the log-determinant of its Jacobian, which does not depend on the parameters: likelihood and typicality change arbitrarily, gradients and their norms not at all.',
    finding: changed.length === 0 ? 'The data for this experiment are missing.' : finding(numbers, changed),
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
}

/** What is no other representation. */
const controls = ['as it is', lastBitMoved.name];

function finding(numbers: readonly Invariance[], changed: readonly Invariance[]): string {
  const base = (n: Invariance) =>
    numbers.find((m) => m.model === n.model && m.in === n.in && m.representation === 'as it is')!;
  const moved = (of: 'bitsPerDimIn' | 'likelihood' | 'typicality' | 'norms') =>
    Math.max(...changed.map((n) => Math.abs(n[of] - base(n)[of])));
  const worst = changed.reduce((a, b) => (b.largestChange > a.largestChange ? b : a));
  const control = numbers.filter((n) => n.representation === lastBitMoved.name);
  const most = (of: 'medianChange' | 'mostChange' | 'largestChange', ns = changed) =>
    Math.max(...ns.map((n) => n[of])).toExponential(0);
  return (
    `Representations move the likelihood of learned images by up to ${moved('bitsPerDimIn').toFixed(1)} bits per dimension, its AUROC by up to ${three(moved('likelihood'))}, that of typicality by up to ${three(moved('typicality'))} and that of the norms by up to ${three(moved('norms'))}. ` +
    `Half of all squared norms change by less than ${most('medianChange')} of themselves and 99.9 % by less than ${most('mostChange')}, where moving the last bit of every pixel changes them by ${most('medianChange', control)} and ${most('mostChange', control)}; ` +
    `the largest change of any is ${worst.largestChange.toExponential(0)}, of a norm ${worst.normOfLargest.toPrecision(1)} times its layer's median (last bit: ${most('largestChange', control)}).`
  );
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
    for (const representation of [...representations(model.info.data, lab.seed), lastBitMoved]) {
      lab.progress(`${plan.id} behind another representation: ${representation.name}`);
      const tables: FeatureTable[] = [];
      for (const { data } of [fit, test, other]) {
        tables.push(
          await underRepresentation(model, data, representation, {
            runtime: nodeRuntime(),
            seed: lab.seed,
            ...lab.threads,
          }),
        );
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
      Array.from(t.sqNorms, (f, i) => {
        const norm = base[k]!.sqNorms[i]!;
        return { change: norm > 0 ? Math.abs(f / norm - 1) : 0, norm, layer: i % t.names.length };
      }),
    )
    .sort((a, b) => a.change - b.change);
  const at = (share: number) => changes[Math.floor(share * (changes.length - 1))]!.change;
  const largest = changes.at(-1)!;
  const ofLayer = changes.filter(({ layer }) => layer === largest.layer).map(({ norm }) => norm);
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
    medianChange: at(0.5),
    mostChange: at(0.999),
    largestChange: largest.change,
    normOfLargest:
      largest.norm /
      quantile(
        ofLayer.sort((a, b) => a - b),
        0.5,
      ),
  };
}
