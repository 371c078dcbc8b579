// The experiment beyond the paper: scores are those of the product's own detectors, intervals and oracle are held to
// closed forms and to what they have to find, controls change what they say they change.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/cli.ts';
import { smallModel } from '../../../test/support/models.ts';
import { syntheticDataset } from '../../data/index.ts';
import { combinedKinds, combinedOf, scoreCombined } from '../../detectors/index.ts';
import { auroc, measure } from '../../eval/index.ts';
import {
  activationBasis,
  type FeatureTable,
  fisherDiagonal,
  metricOf,
  normGraph,
  openBasis,
  unpacked,
} from '../../features/index.ts';
import { countMultiplications } from '../../lower/index.ts';
import { nodeRuntime } from '../../node/runtime.ts';
import { COMBINED_FORM, fitCombinedOn, openAspects } from '../../scoring/index.ts';
import { RandomStream } from '../../tensor/random.ts';
import { type Lab, openLab } from '../lab.ts';
import type { ModelPlan, Preset } from '../plan.ts';
import { presets } from '../presets.ts';
import { costsOf } from './costs.ts';
import { beyondPaper } from './draw.ts';
import { beyondPaperExperiment } from './measure.ts';
import type { BeyondNumbers } from './numbers.ts';
import { oracleOf } from './oracle.ts';
import { averaged, difference, ranged, resampledPairs } from './resampled.ts';
import { combinedScorer, likelihoodScorer, meanScores, otherScorer, together, withoutViews } from './scores.ts';
import { withShuffledWeights } from './shuffled.ts';
import { summed } from './summed.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const normals = (name: string, n: number, shift = 0): number[] => {
  const out = new Float64Array(n);
  new RandomStream(1, name).normal(0, out);
  return Array.from(out, (v) => v + shift);
};

describe('resampled pairs', () => {
  const learned = { one: normals('in', 300), same: normals('in', 300), worse: normals('in', 300) };
  const other = normals('out', 200, 1);
  const block = {
    model: 'm',
    group: 1,
    inScores: learned,
    ood: [
      { name: 'a', scores: { one: other, same: other, worse: other.map((v) => v - 1.5) } },
      { name: 'b', scores: { one: other.map((v) => v + 1), same: other, worse: other } },
    ],
  };
  const pairs = resampledPairs(block, 7, 400);
  const of = (ood: string, detector: string) => pairs.find((p) => p.ood === ood && p.detector === detector)!;

  it('have the AUROC of all scores, and an interval as the bootstrap of single pairs has it', () => {
    const { auroc: value, aurocLow, aurocHigh } = measure(learned.one, other, { seed: 3 });
    expect(of('a', 'one').auroc).toBe(value);
    const { low, high } = ranged(value, of('a', 'one').drawn);
    expect(low).toBeCloseTo(aurocLow, 1.5);
    expect(high).toBeCloseTo(aurocHigh, 1.5);
    expect(low).toBeLessThan(value);
  });

  it('count equal scores half', () => {
    const tied = {
      model: 'm',
      group: 1,
      inScores: { d: [0, 1, 1, 2] },
      ood: [{ name: 'a', scores: { d: [1, 1, 3] } }],
    };
    expect(resampledPairs(tied, 0, 2)[0]!.auroc).toBe(auroc([0, 1, 1, 2], [1, 1, 3]));
  });

  it('draw the same inputs for every detector: between equal ones nothing differs in any draw', () => {
    expect(difference(of('a', 'one'), of('a', 'same'))).toEqual({ value: 0, low: 0, high: 0 });
    expect(difference(of('a', 'one'), of('a', 'worse')).low).toBeGreaterThan(0);
  });

  it('draw the same for the same seed, names and number, others for others', () => {
    expect(resampledPairs(block, 7, 400)).toEqual(pairs);
    expect(resampledPairs({ ...block, model: 'n' }, 7, 400)[0]!.drawn).not.toEqual(pairs[0]!.drawn);
    expect(resampledPairs(block, 8, 400)[0]!.drawn).not.toEqual(pairs[0]!.drawn);
  });

  it('are averaged with an interval that is wide where pairs differ, though each is known well', () => {
    const [a, b] = [of('a', 'one'), of('b', 'one')];
    const { value, low, high } = averaged([a, b], 7);
    expect(value).toBeCloseTo((a.auroc + b.auroc) / 2, 12);
    expect(low).toBeLessThan(a.auroc + 0.01); // both draws may be of the first pair
    expect(high).toBeGreaterThan(b.auroc - 0.01);
    expect(averaged([a, a], 7).high - averaged([a, a], 7).low).toBeLessThan(high - low);
  });
});

/**
 * A table with random features of one layer and a half as many again, shifted in the radial derivative of the first.
 */
function tableOf(name: string, n: number, shift: number): FeatureTable {
  const draw = (of: string) => Float64Array.from(normals(`${name} ${of}`, n * 3));
  const radial = draw('radial').map((v, k) => (k % 3 === 0 ? v + shift : v));
  return {
    names: ['a', 'b', 'c'],
    group: 1,
    meta: {
      model: 'm',
      data: name,
      dataFingerprint: name,
      seed: 0,
      start: 0,
      views: ['radial', 'fisher'],
      metric: 'x',
    },
    nll: Float64Array.from(normals(`${name} nll`, n)),
    sqNorms: draw('norms').map(Math.exp),
    views: { radial, fisher: draw('fisher').map(Math.exp) },
  };
}

describe('the oracle', () => {
  const [fit, test] = [tableOf('fit', 400, 0), tableOf('test', 200, 0)];
  const oracle = oracleOf({ fit, test, aspects: 1 }, [1, 5, 60]);

  it('finds a difference in one column, and more of it in groups', () => {
    const found = oracle(tableOf('other', 200, 1.5));
    expect(found[1]).toBeGreaterThan(0.8); // Φ(1.5 / √2) = .856
    expect(found[1]).toBeLessThan(0.9);
    expect(found[5]).toBeGreaterThan(0.98);
  });

  it('finds nothing where there is nothing, since what it is scored on it has not seen', () => {
    expect(Math.abs(oracle(tableOf('nothing', 200, 0))[1]! - 0.5)).toBeLessThan(0.08);
  });

  it('leaves out groups larger than a half', () => {
    expect(Object.keys(oracle(tableOf('few', 100, 1)))).toEqual(['1', '5']);
  });
});

describe('costs', () => {
  it('count what the compiled graphs have, for every draw and aspect', async () => {
    const model = smallModel('vae');
    const fit = { fitted: 100, kinds: 11, draws: 2, directions: 0 };
    const { forward, norms, views, densities } = costsOf(model, 'vae', fit);
    expect(norms).toBe(countMultiplications(normGraph(model.loss()).graph));
    expect(forward).toBeLessThan(norms);
    expect(views).toBeGreaterThan(2 * norms);
    expect(costsOf(model, 'vae', { ...fit, draws: 1 }).views).toBe(views / 2);
    const L = normGraph(model.loss()).names.length;
    expect(densities).toBe(L * L + 2 * L * 100 + 3 * L * 11);

    // With activations: the graph that a detector of twelve inputs has runs.
    const data = syntheticDataset('noise', { length: 12, shape: model.info.data, seed: 1 });
    const how = { runtime: nodeRuntime(), threads: 1 };
    const { factored } = metricOf(await fisherDiagonal(model, data, { ...how, form: COMBINED_FORM }));
    const basis = openBasis((await activationBasis(model, data, how)).basis!, 'test');
    expect(basis.count).toBe(11);
    const own = normGraph(model.loss(), { radial: true, fisher: true, factored, activations: basis });
    const whole = costsOf(model, 'vae', { ...fit, draws: 1, directions: 11 });
    expect(whole.views).toBe(countMultiplications(own.graph));
    expect(whole.views).toBeGreaterThan(views / 2);
    expect(whole.densities).toBe(densities + 11 ** 2);
  });

  it('of a diffusion model are those of all its steps', () => {
    const model = smallModel('ddpm');
    const aspects = Object.keys(model.aspects!()!).length;
    const { norms, views } = costsOf(model, 'ddpm', { fitted: 100, kinds: 11, draws: 1, directions: 64 });
    expect(aspects).toBeGreaterThan(1);
    expect(views).toBeGreaterThan(aspects * norms);
  });
});

const planOf = (family: ModelPlan['family'], config: ModelPlan['config']): ModelPlan => ({
  id: `${family}-fashion-mnist`,
  family,
  set: 'fashion-mnist',
  ood: ['mnist'],
  config: config!,
  steps: 2,
  batch: 4,
  learningRate: 0.001,
});
const pixelcnn = planOf('pixelcnn', { layers: 1, channels: 2, mixtures: 2 });
const ddpm = planOf('ddpm', { channels: 2, multipliers: [1], groups: 1, steps: 4 });

describe('scores', () => {
  const { 'fashion-mnist': fashion, mnist } = presets.smoke!.sets;
  const preset: Preset = {
    ...presets.smoke!,
    sets: { 'fashion-mnist': fashion!, mnist: mnist! },
    models: { images: [pixelcnn, ddpm], text: [], audio: [] },
  };
  let lab: Lab;
  const sizes = { fit: 32, test: 10 };
  beforeAll(async () => {
    lab = await openLab(preset, { out: join(folder.path, 'lab'), seed: 0, threads: 1 });
  });

  it('are those of the detector that `fit` makes of the same inputs', async () => {
    const model = await lab.model(pixelcnn);
    const { fit, test } = await lab.material(pixelcnn, sizes);
    expect([fit.data.length, test.data.length]).toEqual([32, 10]);
    const features = await lab.combined(model, pixelcnn.id, fit);
    const tables = { aspects: features.aspects, fit: await features.fit(), recombined: await features.recombined() };
    const kept = await features.table(test);
    await features.dispose();
    const scores = combinedScorer(model, tables, { groups: [1, 2], seed: 0 })(kept);

    const how = { runtime: nodeRuntime(), seed: 0, threads: 1, groups: [1, 2] };
    const file = await fitCombinedOn(model, fit, how);
    const metrics = file.metrics.map((metric) => unpacked(metric, 'here'));
    const bases = file.bases!.map((basis) => openBasis(basis, 'here'));
    const extractor = await openAspects(model, { ...how, noiseSamples: file.noiseSamples ?? 1 }, metrics, bases);
    const table = await extractor.table(test.data);
    await extractor.dispose();
    const detector = combinedOf({ combined: file, names: normGraph(model.loss()).names });
    for (const B of [1, 2]) {
      for (const kind of combinedKinds) {
        expect(scores[B]![kind]).toEqual([...scoreCombined(detector, table, B, kind)]);
      }
    }
  }, 60_000);

  it('of the others see the first aspect, as the model is scored when nothing is asked for', async () => {
    const model = await lab.model(ddpm);
    const { fit } = await lab.material(ddpm, { ...sizes, fit: 8 });
    const features = await lab.combined(model, ddpm.id, fit);
    const plain = withoutViews(model, await features.fit());
    await features.dispose();
    const [own] = await lab.features(model, ddpm.id, features.rest, [1]);
    expect(plain.names).toEqual(own!.names);
    expect(plain.dims).toEqual(own!.dims);
    expect(plain.sqNorms).toHaveLength(own!.sqNorms.length);
    const scores = otherScorer([plain])([plain])[1]!;
    expect(Object.keys(scores)).toContain('chi2');
    expect(scores.typicality).toHaveLength(6);
  }, 60_000);

  it('by likelihood and typicality are those of our detectors, without a pass for each group size', async () => {
    const model = await lab.model(pixelcnn);
    const { fit, test } = await lab.material(pixelcnn, { fit: 30, test: 10 });
    const [one, five] = [
      await lab.features(model, pixelcnn.id, fit, [1, 5]),
      await lab.features(model, pixelcnn.id, test, [1, 5]),
    ];
    const expected = otherScorer(one)(five);
    const found = likelihoodScorer(one[0]!, [1, 5])(five[0]!);
    for (const B of [1, 5]) {
      for (const detector of ['likelihood', 'typicality']) {
        for (const [k, score] of found[B]![detector]!.entries()) {
          expect(B * score).toBeCloseTo(expected[B]![detector]![k]!, 1); // theirs are sums in float32
        }
      }
    }
  }, 60_000);

  it('stand side by side, by group size', () => {
    const means = meanScores('mine', Float64Array.of(1, 3, 5, 8, 9), [1, 2]);
    expect(means).toEqual({ 1: { mine: [1, 3, 5, 8, 9] }, 2: { mine: [2, 6.5] } });
    expect(together([{ 1: { a: [0] } }, means])).toEqual({
      1: { a: [0], mine: [1, 3, 5, 8, 9] },
      2: { mine: [2, 6.5] },
    });
  });

  it('with shuffled weights come from another model of the same shape, the same for the same seed', async () => {
    const model = await lab.model(ddpm);
    const control = withShuffledWeights(model, 0);
    expect(control.hash).not.toBe(model.hash);
    expect(withShuffledWeights(model, 0).hash).toBe(control.hash);
    expect(withShuffledWeights(model, 1).hash).not.toBe(control.hash);
    expect(Object.keys(control.aspects!()!)).toEqual(Object.keys(model.aspects!()!));
    const changed = Object.entries(control.weights).filter(
      ([name, w]) => w.data.join() !== model.weights[name]!.data.join(),
    );
    expect(changed.length).toBeGreaterThan(3);
    for (const [name, { data }] of changed) {
      expect([...data].toSorted()).toEqual([...model.weights[name]!.data].toSorted());
    }
  });

  it('of learned images made again take those that nothing else has seen', async () => {
    const { test } = await lab.material(pixelcnn, sizes);
    const [made] = lab.remade(pixelcnn, 10, 5);
    expect(made!.name).toBe('mnist');
    expect(made!.data.length).toBe(5);
    const next = (await lab.material(pixelcnn, { ...sizes, test: 15 })).test.data;
    const [was, is] = [(await next.gather([10])).arrays.x!.data, (await made!.data.gather([0])).arrays.x!.data];
    const [mostly, changed] = [Array.from(was, Number), Array.from(is, Number)];
    expect(changed).not.toEqual(mostly);
    expect(mostly.reduce((sum, v, k) => sum + Math.abs(v - changed[k]!), 0) / mostly.length).toBeLessThan(15);
    expect(test.data.length).toBe(10);
    expect(lab.remade(pixelcnn, 10_000, 5)).toEqual([]);
  });
});

describe('the experiment', () => {
  it('says of which model with shuffled weights there are no numbers, and why', () => {
    const numbers = summed([], [{ model: 'glow', reason: 'its gradients are not finite' }], {
      making: [],
      without: ['vae'],
      seed: 0,
    });
    const page = beyondPaper.body(numbers, undefined);
    expect(page).toContain('With shuffled weights glow has no numbers: its gradients are not finite.');
    expect(page).toContain('Not measured, for want of the model or its data: vae.');
    expect(beyondPaper.finding(numbers)).toBe('The data for this experiment are missing.');
  });

  it('comes to the same numbers when it is stopped and goes on, and when it is repeated', async () => {
    const { 'fashion-mnist': fashion, mnist } = presets.smoke!.sets;
    const preset: Preset = {
      ...presets.smoke!,
      sets: { 'fashion-mnist': fashion!, mnist: mnist! },
      models: { images: [pixelcnn], text: [], audio: [] },
      ablations: { ...presets.smoke!.ablations, trainingTime: [], modelSize: [] },
      beyond: {
        ...presets.smoke!.beyond,
        fit: 30,
        test: 8,
        remade: 4,
        shuffled: { models: [pixelcnn.id], fit: 30, test: 6, recombined: 4 },
      },
    };
    const run = async (out: string, stopAfter = Infinity): Promise<string> => {
      let told = 0;
      const onProgress = () => {
        if (++told > stopAfter) throw new Error('stopped');
      };
      const lab = await openLab(preset, { out: join(folder.path, out), seed: 0, threads: 1, onProgress });
      return JSON.stringify(await beyondPaperExperiment.measure(lab));
    };
    const whole = await run('whole');
    for (const after of [2, 8, 20]) await expect(run('stopped', after)).rejects.toThrow('stopped');
    expect(await run('stopped')).toBe(whole);
    expect(await run('whole', 0)).toBe(whole); // nothing is done twice
    const { averages, shuffled, remade } = (JSON.parse(whole) as { numbers: BeyondNumbers }).numbers;
    expect([averages.length, shuffled.length, remade.length].every((n) => n > 0)).toBe(true);
  }, 300_000);
});
