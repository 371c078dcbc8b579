// Beyond the paper: the combined detectors beside all others on every pair of natural sets, the oracle, two controls,
// and what each costs.

import { take } from '../../data/index.ts';
import { detectorNames, LEAST_GROUPS } from '../../detectors/index.ts';
import { FisherError } from '../../errors.ts';
import { type FeatureTable, finiteRows, rowsOf, sliceTable } from '../../features/index.ts';
import { metricExamples, type NamedData } from '../../scoring/index.ts';
import type { Model } from '../../store/index.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { boundOf } from '../bound.ts';
import type { Experiment } from '../experiment.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan, Sizes } from '../plan.ts';
import { mean } from '../words.ts';
import { compressedBits } from './compressed.ts';
import { costsOf } from './costs.ts';
import { beyondPaper } from './draw.ts';
import type { BeyondNumbers } from './numbers.ts';
import { oracleOf } from './oracle.ts';
import {
  combinedScorer,
  likelihoodScorer,
  meanScores,
  otherScorer,
  type Scores,
  together,
  withoutViews,
} from './scores.ts';
import { withShuffledWeights } from './shuffled.ts';
import {
  type ControlScores,
  type ModelScores,
  type NoControl,
  type SummedScores,
  summed,
  withGroups,
} from './summed.ts';

/** To be raised when detectors make other scores of the same features. */
const SCORES = 1;

export const beyondPaperExperiment: Experiment<BeyondNumbers> = {
  drawing: beyondPaper,
  async measure(lab) {
    const { images, text, audio } = lab.preset.models;
    const { further, shuffled } = lab.preset.beyond;
    const models: ModelScores[] = [];
    for (const [domain, plans] of Object.entries({ images, text, audio })) {
      for (const plan of lab.available(plans)) {
        const sets = await setsOf(lab, plan);
        if (sets.ood.length > 0) models.push(await scoresOf(lab, plan, await lab.model(plan), domain));
      }
    }
    for (const given of further) {
      const [plan, model] = [available(lab, given), await lab.found(given)];
      if (model) models.push(await scoresOf(lab, plan, model, 'further'));
    }
    const whole: ModelScores[] = [];
    for (const scores of models) {
      const plan = [...Object.values(lab.preset.models).flat(), ...further].find(({ id }) => id === scores.model)!;
      whole.push(withGroups(scores, await summedScores(lab, available(lab, plan), (await lab.found(plan))!)));
    }
    const controls: (ControlScores | NoControl)[] = [];
    for (const id of shuffled.models) {
      const plan = lab.planOf(id);
      if (plan && (await setsOf(lab, plan)).ood.length > 0) controls.push(await shuffledScores(lab, plan));
    }
    const making = Object.entries(lab.preset.sets).flatMap(([name, { made }]) => (made ? [{ name, ...made }] : []));
    const measured = new Set(models.map(({ model }) => model));
    const without = [...images, ...text, ...audio, ...further].flatMap(({ id }) => (measured.has(id) ? [] : [id]));
    return { numbers: summed(whole, controls, { making, without, seed: lab.seed }) };
  },
};

/** Without the sets that are missing. */
const available = (lab: Lab, plan: ModelPlan): ModelPlan => ({
  ...plan,
  ood: plan.ood.filter((name) => !Object.hasOwn(lab.missing, name)),
});

/** What a model of the preset meets here: natural sets alone. */
async function setsOf(lab: Lab, plan: ModelPlan, sizes: Sizes = plan.beyond ?? lab.preset.beyond) {
  const { fit, test, ood } = await lab.material(plan, sizes);
  return { fit, test, ood: ood.filter(({ name }) => isNatural(lab, name)) };
}

interface Subject extends NamedData {
  readonly kind: 'learned' | 'ood' | 'remade';
}

async function scoresOf(lab: Lab, plan: ModelPlan, model: Model, domain: string): Promise<ModelScores> {
  const { groups, remade: most } = lab.preset.beyond;
  const { fit, test, ood } = await setsOf(lab, plan);
  const remade = lab.remade(plan, test.data.length, most).filter(({ name }) => isNatural(lab, name));
  const subjects: Subject[] = [
    { ...test, kind: 'learned' },
    ...ood.map((set) => ({ ...set, kind: 'ood' as const })),
    ...remade.map((set) => ({ ...set, kind: 'remade' as const })),
  ];
  const features = await lab.combined(model, plan.id, fit);
  try {
    const sets = subjects.map(({ name, kind, data }) => [name, kind, data.fingerprint]);
    const { bound } = plan;
    const key = {
      features: features.key,
      sets,
      groups,
      summed,
      detectors: detectorNames,
      bound: bound ?? null,
      SCORES,
    };
    return await lab.stage(`beyond-${plan.id}`, key, async () => {
      const tables = { aspects: features.aspects, fit: await features.fit(), recombined: await features.recombined() };
      const singles = new Map<Subject, FeatureTable>();
      for (const subject of subjects) singles.set(subject, await features.table(named(plan, subject)));
      lab.progress(`fits detectors on ${plan.id}`);
      const combined = combinedScorer(model, tables, { groups, seed: lab.seed });
      const others = otherScorer([withoutViews(model, tables.fit)]);
      const likelihoods = likelihoodScorer(tables.fit, groups);
      const scores = new Map<Subject, Scores>();
      for (const [subject, table] of singles) {
        const found = [combined(table), others([withoutViews(model, table)]), likelihoods(table)];
        if (model.dims !== undefined && domain !== 'text') found.push(await complexity(subject, table, groups));
        scores.set(subject, together(found));
      }
      const [learned, ...rest] = subjects as [Subject, ...Subject[]];
      const own = singles.get(learned)!;
      const oracle = oracleOf({ fit: tables.fit, test: own, aspects: Math.max(1, tables.aspects.length) }, groups);
      const of = (kind: Subject['kind']) => rest.filter((subject) => subject.kind === kind);
      const costs = costsOf(model, plan.id, {
        fitted: rowsOf(tables.fit),
        kinds: tables.recombined.length,
        draws: tables.fit.meta.noiseSamples ?? 1,
        directions: directionsIn(tables.fit, Math.max(1, tables.aspects.length)),
      });
      return {
        model: plan.id,
        family: plan.family,
        in: plan.set,
        domain,
        fitted: rowsOf(tables.fit),
        tested: rowsOf(own),
        ...(await bitsOf(lab, plan, model, own)),
        learned: scores.get(learned)!,
        ood: of('ood').map((subject) => ({
          name: subject.name,
          scores: scores.get(subject)!,
          oracle: oracle(singles.get(subject)!),
        })),
        remade: of('remade').map((subject) => ({ name: subject.name, scores: scores.get(subject)! })),
        costs,
      } satisfies ModelScores;
    });
  } finally {
    await features.dispose();
  }
}

/**
 * What others say of groups, by the norm of the summed gradient of each; of the sizes that there are inputs enough for.
 */
async function summedScores(lab: Lab, plan: ModelPlan, model: Model): Promise<SummedScores> {
  const { summed } = lab.preset.beyond;
  const { fit, test, ood } = await setsOf(lab, plan);
  const count = metricExamples(fit.data.length);
  const { name } = fit;
  const some = { name, data: take(fit.data, count, Math.min(fit.data.length, count + summed.fit)) };
  const groups = summed.groups.filter((B) => some.data.length >= LEAST_GROUPS * B && test.data.length >= B);
  const sets = [some, test, ...ood].map((set) => [set.name, set.data.fingerprint]);
  const key = { hash: model.hash, sets, groups, detectors: detectorNames, SCORES };
  return lab.stage(`summed-${plan.id}`, key, async () => {
    const tables = (set: NamedData) => lab.features(model, plan.id, set, groups);
    const score = otherScorer(await tables(some));
    const found: SummedScores = { learned: score(await tables(test)), ood: [] };
    for (const set of ood) found.ood.push({ name: set.name, scores: score(await tables(set)) });
    return found;
  });
}

const named = (plan: ModelPlan, { name, kind, data }: Subject): NamedData => ({
  name: kind === 'remade' ? `${plan.set}, made as ${name}` : name,
  data,
});

/** Bits that the model's code is longer than a compressor's (Serrà et al. 2020). */
async function complexity({ data }: NamedData, { nll }: FeatureTable, groups: readonly number[]): Promise<Scores> {
  const bits = await compressedBits(data);
  return meanScores(
    'input-complexity',
    nll.map((nats, i) => nats / Math.LN2 - bits[i]!),
    groups,
  );
}

/** Of learned inputs, for each pixel of the set without the border that the model adds. */
async function bitsOf(lab: Lab, plan: ModelPlan, model: Model, table: FeatureTable): Promise<{ bitsPerDim?: number }> {
  const bound = await boundOf(lab, plan, model);
  if (bound) return { bitsPerDim: bound.bitsPerDim };
  if (model.dims === undefined) return {};
  return { bitsPerDim: mean(finiteRows(table).nll) / (sizeOf(lab.preset.sets[plan.set]!.shape) * Math.LN2) };
}

/**
 * The combined detectors on a model with shuffled weights, and on itself with as few inputs. There need not be a model
 * left: a flow multiplies what is shuffled, and leaves the range of float32.
 */
async function shuffledScores(lab: Lab, plan: ModelPlan): Promise<ControlScores | NoControl> {
  const { groups, shuffled: sizes } = lab.preset.beyond;
  const { fit, test, ood } = await setsOf(lab, plan, sizes);
  const learned = await lab.model(plan);
  const control = withShuffledWeights(learned, lab.seed, plan.scoring);
  const sets = [fit, test, ...ood].map(({ name, data }) => [name, data.fingerprint]);
  const key = { hash: control.hash, learned: learned.hash, sets, groups, most: sizes.recombined ?? null, SCORES };
  return lab.stage(`shuffled-${plan.id}`, key, async () => {
    try {
      const { fitted, ...shuffled } = await controlScores(lab, plan, control);
      const unshuffled = await fewScores(lab, plan, learned, fitted);
      return { model: plan.id, family: plan.family, in: plan.set, fitted, shuffled, unshuffled };
    } catch (error) {
      if (!(error instanceof FisherError)) throw error;
      return { model: plan.id, reason: error.message };
    }
  });
}

async function controlScores(lab: Lab, plan: ModelPlan, control: Model) {
  const { groups, shuffled: sizes } = lab.preset.beyond;
  const { fit, test, ood } = await setsOf(lab, plan, sizes);
  const features = await lab.combined(control, `${plan.id}-shuffled`, fit);
  try {
    const own = await features.fit();
    const recombined = await features.recombined(sizes.recombined);
    const tables = { aspects: features.aspects, fit: own, recombined };
    const score = combinedScorer(control, tables, { groups, seed: lab.seed });
    const others: { name: string; scores: Scores }[] = [];
    for (const set of ood) others.push({ name: set.name, scores: score(await features.table(set)) });
    return { fitted: rowsOf(own), learned: score(await features.table(test)), ood: others };
  } finally {
    await features.dispose();
  }
}

/** What the model itself comes to when it is given as few inputs as its control: the first of the tables it has. */
async function fewScores(
  lab: Lab,
  plan: ModelPlan,
  model: Model,
  fitted: number,
): Promise<ControlScores['unshuffled']> {
  const { groups, shuffled: sizes } = lab.preset.beyond;
  const { fit, test, ood } = await setsOf(lab, plan);
  const first = (table: FeatureTable, most: number) => sliceTable(table, 0, Math.min(most, rowsOf(table)));
  const features = await lab.combined(model, plan.id, fit);
  try {
    const recombined = await features.recombined();
    const tables = {
      aspects: features.aspects,
      fit: first(await features.fit(), fitted),
      recombined: recombined.map((table) => first(table, sizes.recombined ?? Infinity)),
    };
    const score = combinedScorer(model, tables, { groups, seed: lab.seed });
    const scoresIn = async (set: NamedData) => score(first(await features.table(set), sizes.test));
    const found: { learned: Scores; ood: { name: string; scores: Scores }[] } = {
      learned: await scoresIn(test),
      ood: [],
    };
    for (const set of ood) found.ood.push({ name: set.name, scores: await scoresIn(set) });
    return found;
  } finally {
    await features.dispose();
  }
}

/** Directions of each aspect's activations. */
const directionsIn = ({ views, nll }: FeatureTable, aspects: number): number =>
  (views?.activations?.length ?? 0) / nll.length / aspects;
