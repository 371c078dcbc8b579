// Experiment 6: another representation of the data moves the likelihood, not the norms.

import { type DetectorName, fitDetectors, scoreTable } from '../../detectors/index.ts';
import { auroc, quantile } from '../../eval/index.ts';

import type { FeatureTable } from '../../features/index.ts';
import { nodeRuntime } from '../../node/runtime.ts';
import type { Experiment } from '../experiment.ts';
import type { Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { mean } from '../words.ts';
import { type Invariance, invariance } from './draw.ts';
import { lastBitMoved, type Representation, representations, underRepresentation } from './representation.ts';

export const invarianceExperiment: Experiment<readonly Invariance[]> = {
  drawing: invariance,
  async measure(lab) {
    const numbers: Invariance[] = [];
    for (const id of lab.preset.invariance.models) {
      const plan = lab.planOf(id);
      if (plan?.ood[0] !== undefined) numbers.push(...(await measured(lab, plan)));
    }
    return { numbers };
  },
};

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
