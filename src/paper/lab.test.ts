// The directory of a reproduction, with a tiny preset on images that ship with the program.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/cli.ts';
import { architecture } from '../models/index.ts';
import { openLab } from './lab.ts';
import { allModels, type ModelPlan, type Preset } from './plan.ts';
import { presets } from './presets.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const plan: ModelPlan = {
  id: 'vae-fashion-mnist',
  family: 'vae',
  set: 'fashion-mnist',
  ood: ['mnist'],
  preparation: { pad: [32, 32] },
  config: { latent: 2, hidden: 2 },
  steps: 2,
  batch: 4,
  learningRate: 0.001,
};
const [fashion, mnist] = [presets.smoke!.sets['fashion-mnist']!, presets.smoke!.sets.mnist!];
const presetOf = (model: ModelPlan, sorted: boolean): Preset => ({
  ...presets.smoke!,
  sets: { 'fashion-mnist': { ...fashion, ...(sorted ? { sorted: true } : {}) }, mnist },
  models: { images: [model], text: [], audio: [] },
});
const open = (out: string, model = plan, sorted = false) =>
  openLab(presetOf(model, sorted), { out: join(folder.path, out), seed: 0, threads: 1 });

describe('a preset that has changed', () => {
  it('trains anew beside the model of before, and finds both again', async () => {
    const longer = { ...plan, steps: 3 };
    const [first, second] = [await (await open('a')).model(plan), await (await open('a', longer)).model(longer)];
    expect(second.info.training.steps).toBe(3);
    expect(second.hash).not.toBe(first.hash);
    const names = readdirSync(join(folder.path, 'a', 'models'));
    expect(names).toEqual(['vae-fashion-mnist', expect.stringMatching(/^vae-fashion-mnist-[0-9a-f]{16}$/)]);
    expect((await (await open('a')).model(plan)).hash).toBe(first.hash);
    expect((await (await open('a', longer)).model(longer)).hash).toBe(second.hash);
    expect(names.some((name) => existsSync(join(folder.path, 'a', 'models', name, 'checkpoint.safetensors')))).toBe(
      false,
    );
  });
});

describe('the sets of a model', () => {
  it('are the halves of a test set in the order of the file', async () => {
    const lab = await open('b');
    const { fit, test } = await lab.material(plan, 3);
    expect([fit.data.name, test.data.name]).toEqual(['sample/fashion-mnist[0:3]', 'sample/fashion-mnist[1000:1003]']);
  });

  it('are mixed before they are halved where the file is sorted, the same for the same seed', async () => {
    const pixels = async (sorted: boolean) => {
      const { fit, test } = await (await open('b', plan, sorted)).material(plan, 1000);
      const batches = await Promise.all([fit, test].map(({ data }) => data.gather([...Array(1000).keys()])));
      const size = 32 * 32;
      return batches.flatMap((b) =>
        Array.from({ length: 1000 }, (_, i) => b.arrays.x!.data.slice(i * size, (i + 1) * size).join()),
      );
    };
    const [plain, mixed, again] = [await pixels(false), await pixels(true), await pixels(true)];
    expect(mixed).toEqual(again);
    expect(mixed).not.toEqual(plain);
    expect(mixed.toSorted()).toEqual(plain.toSorted());
  });

  it('meet noise of their own', async () => {
    const lab = await open('b');
    const model = await lab.model(plan);
    const { fit, test, ood } = await lab.material(plan, 5);
    const seeds: number[] = [];
    for (const set of [fit, test, ...ood]) seeds.push((await lab.features(model, plan.id, set, [1]))[0]!.meta.seed);
    expect(new Set(seeds).size).toBe(3);
    // By place in the set, as published results have it.
    expect((await lab.features(model, plan.id, fit, [1]))[0]!.meta.noise).toBeUndefined();
    expect((await lab.features(model, plan.id, fit, [5]))[0]!.meta.seed).toBe(seeds[0]); // of all group sizes the same
  });
});

describe('a lab that does not train', () => {
  it('has the models that are there and no others, and finds those that nobody waits for', async () => {
    const other = { ...plan, id: 'vae-other', steps: 1 };
    const preset = {
      ...presetOf(plan, false),
      models: { images: [plan, other], text: [], audio: [] },
      ablations: { ...presets.smoke!.ablations, trainingTime: [], modelSize: [] }, // which have plans of these names
    };
    const where = { out: join(folder.path, 'd'), seed: 0, threads: 1 };
    const { model } = await openLab(preset, where);
    const { hash } = await model(plan);
    const lab = await openLab(preset, { ...where, train: false });
    expect(lab.available([plan, other]).map(({ id }) => id)).toEqual([plan.id]);
    expect(lab.planOf(other.id)).toBeUndefined();
    expect(await lab.found(other)).toBeUndefined();
    expect((await lab.found(plan))?.hash).toBe(hash);
    expect(await lab.found({ ...plan, steps: 7 })).toBeUndefined(); // not what is there
    expect(await lab.found({ ...plan, set: 'none', ood: [] })).toBeUndefined();
  });
});

describe('what cannot be had', () => {
  it('is told before anything is done', async () => {
    const missing: string[] = [];
    const preset = {
      ...presetOf(plan, false),
      sets: { ...presetOf(plan, false).sets, kmnist: { test: './none', shape: [1, 28, 28] } },
    };
    await openLab(preset, { out: join(folder.path, 'c'), seed: 0, onMissing: (set) => missing.push(set) });
    expect(missing).toEqual(['kmnist']);
  });

  it('is an error where it was asked for by name', async () => {
    const there = { out: join(folder.path, 'c'), seed: 0 };
    await expect(openLab(presetOf(plan, false), { ...there, dataDir: '/no/such/folder' })).rejects.toThrow(
      '`dataDir: /no/such/folder`: there is no such folder, expected one with data sets',
    );
    await expect(openLab(presetOf(plan, false), { ...there, out: '/dev/null/results' })).rejects.toThrow(
      '/dev/null/results/models: cannot be made a folder',
    );
  });
});

describe.each(Object.values(presets).map((preset) => [preset.name, preset] as const))('the preset %s', (_, preset) => {
  it('has models that fit the shapes of their sets, and names sets that there are', () => {
    for (const { id, family, set, ood, config, preparation } of allModels(preset)) {
      const { shape, train } = preset.sets[set]!;
      expect(train, id).toBeDefined();
      const data = preparation?.pad ? [shape[0]!, ...preparation.pad] : shape;
      expect(() => architecture(family).configure(config ?? {}, data), id).not.toThrow();
      for (const other of ood) expect(preset.sets[other]?.shape, `${id} against ${other}`).toEqual(shape);
    }
    const { fisher, invariance, ablations } = preset;
    const named = [fisher, invariance, ablations.timesteps, ablations.groups, ablations.fitSizes].flatMap(
      (e) => e.models,
    );
    const ids = allModels(preset).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([...named, ...preset.beyond.shuffled.models]));
    for (const { id, family, config, set } of preset.beyond.further) {
      expect(() => architecture(family).configure(config ?? {}, preset.sets[set]!.shape), id).not.toThrow();
    }
  });
});
