// What library callers get without asking: their data made ready for the model as the command line makes them, or a
// refusal that says what to do.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Dataset, memoryDataset, pad, prepare, select, syntheticDataset, take } from '../../src/data/index.ts';
import { DataError, ModelError } from '../../src/errors.ts';
import { asModelTakes, type FeatureTable } from '../../src/features/index.ts';
import { fitDetectors, openExtractor, scoreTable, train } from '../../src/index.ts';
import { featuresOf, fullBound, weightGradients } from '../../src/node/defaults.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { smallModel } from '../support/models.ts';

const vae = smallModel('vae'); // of [1, 8, 8]
const raw = syntheticDataset('noise', { length: 12, shape: [1, 6, 6], seed: 1 });
const padded: ScoringModel = { ...vae, preparation: { pad: [8, 8] } };
/** A preparation that makes something else of what it has made. */
const cut: ScoringModel = { ...vae, preparation: { resize: [10, 10], crop: [8, 8] } };

async function tableOf(model: ScoringModel, data: Dataset, options = {}): Promise<FeatureTable> {
  const extractor = await openExtractor(model, { threads: 1, ...options });
  try {
    return await extractor.table(data);
  } finally {
    await extractor.dispose();
  }
}

const images = (name: string, shape: readonly number[], value: (k: number) => number): Dataset =>
  memoryDataset(name, 6, name, {
    x: { data: Float32Array.from({ length: 6 * shape.reduce((a, b) => a * b, 1) }, (_, k) => value(k)), shape },
  });

describe('images for a built-in model', () => {
  it('are prepared as the model wants them, by every way into the library', async () => {
    const expected = await tableOf(vae, pad(raw, 8, 8));
    const table = await tableOf(padded, raw);
    expect(table.sqNorms).toEqual(expected.sqNorms);
    const [[fromFeatures]] = (await featuresOf(padded, [{ name: 'raw', data: raw }], { groups: [1], seed: 0 })) as [
      [FeatureTable],
    ];
    expect(fromFeatures.sqNorms).toEqual(expected.sqNorms);
    expect(scoreTable(fitDetectors([table]), fromFeatures)[0]!.scores.every(Number.isFinite)).toBe(true);
  });

  it('are not prepared twice, whole, in slices or by index', async () => {
    const once = prepare(raw, cut.preparation!);
    const expected = await tableOf(vae, once, { prepared: true });
    expect((await tableOf(cut, raw)).sqNorms).toEqual(expected.sqNorms);
    expect((await tableOf(cut, once)).sqNorms).toEqual(expected.sqNorms);
    expect((await tableOf(cut, asModelTakes(cut, raw))).sqNorms).toEqual(expected.sqNorms);
    const l = expected.names.length;
    const part = await tableOf(cut, take(once, 3, 6));
    expect(part.sqNorms).toEqual(expected.sqNorms.slice(3 * l, 6 * l));
    const picked = await tableOf(cut, select(asModelTakes(cut, raw), Uint32Array.of(5, 2), 'two'));
    expect(picked.sqNorms.slice(0, l)).toEqual(expected.sqNorms.slice(5 * l, 6 * l));
    // What was made by hand looks like raw pixels of the same size, so it has to be said.
    const { prepared: _, ...byHand } = once;
    expect((await tableOf(cut, byHand)).sqNorms).not.toEqual(expected.sqNorms);
    expect((await tableOf(cut, byHand, { prepared: true })).sqNorms).toEqual(expected.sqNorms);
  });

  it('that were prepared otherwise are refused', async () => {
    const otherwise = prepare(raw, { resize: [8, 8] });
    await expect(tableOf(cut, otherwise)).rejects.toThrow(
      'was prepared by resize 8×8, the model wants resize 10×10, crop 8×8: give the data as they were read',
    );
    await expect(tableOf(vae, otherwise)).rejects.toThrow(/was prepared by resize 8×8, the model wants nothing/);
  });

  it('are refused as floats in 0..1, beyond 255, below 0 and as NaN', async () => {
    const of = (value: (k: number) => number) => tableOf(vae, images('made', [1, 8, 8], value));
    await expect(of((k) => (k % 7) / 8)).rejects.toThrow(/made: holds values from 0 to 1, expected pixels 0..255/);
    await expect(of((k) => (k === 70 ? 256 : 9))).rejects.toThrow(/made: example 1 holds 256, expected pixels 0..255/);
    await expect(of((k) => (k === 70 ? -1 : 9))).rejects.toThrow(/example 1 holds -1/);
    await expect(of((k) => (k === 70 ? Number.NaN : 9))).rejects.toThrow(/example 1 holds NaN/);
    await expect(of((k) => (k % 7) / 8)).rejects.toThrow(DataError);
  });

  it('are refused of another size or of other channels, with what to do', async () => {
    const of = (shape: readonly number[], model: ScoringModel = vae) =>
      tableOf(
        model,
        images('made', shape, (k) => (k * 37) % 256),
      );
    await expect(of([1, 9, 9])).rejects.toThrow(
      "made: 'x' is [1,9,9] an example, the model takes [1,8,8]: prepare the images with resize, crop or pad 8×8",
    );
    await expect(of([3, 8, 8])).rejects.toThrow(/the model takes \[1,8,8\]: prepare the images with channels 1$/);
    await expect(of([3, 9, 9])).rejects.toThrow(/: prepare the images with channels 1 and resize 8×8/);
    await expect(of([3, 6, 6], padded)).rejects.toThrow(
      "'x' is [3,8,8] an example, made of [3,6,6] by the model's preparation (pad 8×8), the model takes [1,8,8]",
    );
    await expect(of([1, 9, 9], padded)).rejects.toThrow(/larger than the 8×8 to pad to/);
    await expect(of([1, 9, 9])).rejects.toThrow(ModelError);
  });
});

it('a single array goes to the only input, whatever it is called; several must have the names of the inputs', async () => {
  const named: ScoringModel = { ...vae, takesPixels: false };
  const values = { data: new Float32Array(6 * 64).map((_, k) => k % 200), shape: [1, 8, 8] };
  const one = memoryDataset('one', 6, 'one', { picture: values });
  const x = memoryDataset('one', 6, 'one', { x: values });
  expect((await tableOf(named, one)).sqNorms).toEqual((await tableOf(named, x)).sqNorms);
  const two = memoryDataset('two', 6, 'two', { a: values, b: values });
  await expect(tableOf(named, two)).rejects.toThrow("two: has no array 'x', which the model takes; it has a, b");
});

describe('what else of the library takes images', () => {
  const scaled = images('scaled', [1, 8, 8], (k) => (k % 7) / 8);

  it('refuses floats in 0..1 as well', async () => {
    await expect(weightGradients(vae, scaled, { layers: 1, weights: 1, seed: 0 })).rejects.toThrow(
      /values from 0 to 1/,
    );
    const ddpm = smallModel('ddpm');
    const small = images('scaled', ddpm.info.data, (k) => (k % 7) / 8);
    await expect(fullBound(ddpm, small, { seed: 0 })).rejects.toThrow(/scaled: holds values from 0 to 1/);
    await inTemporaryFolder(async (dir) => {
      const { info, arch } = vae;
      const training = { ...info.training, batch: 2 };
      await expect(train({ info: { ...info, training }, arch, data: scaled, dir: join(dir, 'm') })).rejects.toThrow(
        /scaled: holds values from 0 to 1, expected pixels 0..255/,
      );
    });
  });
});
