// Several draws of a model's noise: tables hold means over them that no batch changes, and detectors are scored with as
// many.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { syntheticDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { fitDetectors, formatDetector, parseDetector, scoreTable } from '../../src/detectors/index.ts';
import { openProgram } from '../../src/engine/index.ts';
import { dividedBatch, type Measured, meanOverDraws } from '../../src/features/draws.ts';
import { type FeatureTable, fisherDiagonal, metricOf, normGraph, splitLoss } from '../../src/features/index.ts';
import { type ExtractorOptions, openExtractor } from '../../src/node/defaults.ts';
import { readTable } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { openScorer } from '../../src/node/scorer.ts';
import { inTemporaryFolder, runCli, runOk } from '../support/cli.ts';
import { expectClose, expectSqNorms } from '../support/compare.ts';
import { type SmallName, smallModel } from '../support/models.ts';

const random: readonly SmallName[] = ['glow', 'vae', 'pixelvae', 'ddpm'];
const n = 6;

const dataOf = (name: SmallName, length = n) =>
  syntheticDataset('noise', { length, shape: smallModel(name).info.data, seed: 1 });

async function tableOf(name: SmallName, options: ExtractorOptions, length = n): Promise<FeatureTable> {
  const extractor = await openExtractor(smallModel(name), { seed: 3, threads: 1, ...options });
  try {
    return await extractor.table(dataOf(name, length));
  } finally {
    await extractor.dispose();
  }
}

describe.each(random)('draws of the noise of a %s', (name) => {
  const runtime = nodeRuntime();
  const model = smallModel(name);
  const views = ['radial', 'fisher', 'parts'] as const;
  const metric = async () => metricOf(await fisherDiagonal(model, dataOf(name), { runtime, seed: 3 }));

  it('have one that is the same as without, to the bit', async () => {
    expect(await tableOf(name, { noiseSamples: 1 })).toEqual(await tableOf(name, {}));
  });

  it.each([1, 2])('come to their means, of logarithms for norms, for groups of %i', async (group) => {
    const by = await metric();
    const table = await tableOf(name, { views, metric: by, group, noiseSamples: 3 });
    expect(table.meta.noiseSamples).toBe(3);
    const { nll, parts } = splitLoss(model);
    const measured = normGraph(nll, { radial: true, fisher: true, parts: parts() });
    const weights = { ...model.weights, ...by.roots };
    const program = openProgram(measured.graph, { runtime, weights, group, batch: n, threads: 1 });
    const batch = await dataOf(name).gather([...Array(n).keys()]);
    const draws: Awaited<ReturnType<typeof program.run>>[] = [];
    for (const k of [0, 1, 2]) draws.push(await program.run(program.feeds(batch, { group }, 3, [k])));
    await program.dispose();
    const mean = (output: string, of: (v: number) => number = (v) => v) =>
      Array.from(draws[0]![output]!.data, (_, i) => draws.reduce((sum, d) => sum + of(d[output]!.data[i]!), 0) / 3);
    const geometric = (output: string) => mean(output, Math.log).map(Math.exp);
    expectClose(table.nll, mean('nll'), 1e-5, 'nll');
    expectSqNorms(table.sqNorms, geometric('sqnorm'), table.names);
    expectSqNorms(table.views!.fisher!, geometric('fisher'), table.names);
    expectClose(table.views!.radial!, mean('radial'), 1e-3, 'radial');
    expectClose(table.views!.parts!, mean('parts'), 1e-4, 'parts');
    const spread = draws.map((d) => d.nll!.data[0]!);
    expect(new Set(spread).size).toBe(3);
  });

  it('do not depend on batch, threads or memory, nor a group on the order of its examples', async () => {
    const whole = await tableOf(name, { noiseSamples: 4 });
    for (const options of [{ batch: 1 }, { batch: 3 }, { batch: 24 }, { threads: 2 }, { memory: 1e5 }]) {
      expectSqNorms((await tableOf(name, { noiseSamples: 4, ...options })).sqNorms, whole.sqNorms, whole.names);
    }
  });
});

describe('means over draws', () => {
  const one = (nll: number, f: number, radial: number): Measured => ({
    nll: Float64Array.of(nll),
    sqNorms: Float64Array.of(f),
    views: { radial: Float64Array.of(radial), fisher: Float64Array.of(f) },
  });

  it('are geometric for norms and plain for the rest; a norm of 0 makes 0, NaN stays NaN', () => {
    expect(meanOverDraws([one(1, 2, -3), one(3, 8, 5)])).toEqual({
      nll: Float64Array.of(2),
      sqNorms: Float64Array.of(Math.exp((Math.log(2) + Math.log(8)) / 2)),
      views: { radial: Float64Array.of(1), fisher: Float64Array.of(Math.exp((Math.log(2) + Math.log(8)) / 2)) },
    });
    expect(meanOverDraws([one(1, 0, 0), one(3, 8, 5)]).sqNorms[0]).toBe(0);
    expect(meanOverDraws([one(1, 0, 0), one(3, 0, 5)]).sqNorms[0]).toBe(0);
    expect(meanOverDraws([one(1, Number.NaN, 0), one(3, 0, 5)]).sqNorms[0]).toBeNaN();
    expect(meanOverDraws([one(1, 5e-324, 0)]).sqNorms[0]).toBe(5e-324);
  });

  it('share a batch as far as there is room', () => {
    expect(dividedBatch(64, 1, 4)).toEqual({ together: 4, most: 16 });
    expect(dividedBatch(64, 5, 4)).toEqual({ together: 4, most: 15 });
    expect(dividedBatch(2, 1, 4)).toEqual({ together: 2, most: 1 });
    expect(dividedBatch(5, 5, 6)).toEqual({ together: 1, most: 5 });
    expect(dividedBatch(60, 5, 1)).toEqual({ together: 1, most: 60 });
  });
});

describe('detectors of several draws', () => {
  it('are kept with their number, and score tables of as many alone', async () => {
    const table = await tableOf('vae', { noiseSamples: 2 }, 20);
    const file = fitDetectors([table]);
    const read = parseDetector(formatDetector(file), 'd.json');
    expect(read.noiseSamples).toBe(2);
    expect(read).toEqual(JSON.parse(formatDetector(file)));
    const other = await tableOf('vae', {}, 20);
    expect(() => scoreTable(read, other)).toThrow('means are over 1 draws of the noise, expected 2');
    expect(() => fitDetectors([table, { ...other, group: 1 }])).toThrow('other draws of the noise');
    const scorer = await openScorer({ model: smallModel('vae'), detector: read });
    const judged = await scorer.score(dataOf('vae', 20));
    await scorer.dispose();
    const [expected] = scoreTable(read, table, ['layer-norms']);
    expectClose(
      judged.map(({ score }) => score!),
      expected!.scores,
      1e-4,
      'scores',
    );
  });

  it('are one for a model without random inputs', async () => {
    const table = await tableOf('pixelcnn', { noiseSamples: 5 });
    expect(table).toEqual(await tableOf('pixelcnn', {}));
    expect(table.meta.noiseSamples).toBeUndefined();
  });
});

describe('--noise-samples', () => {
  it('is kept by the detector; what had the name before is read from its old files', async () => {
    await inTemporaryFolder(async (folder) => {
      const at = (name: string) => join(folder, name);
      const pixels = Uint8Array.from({ length: 20 * 16 }, (_, i) => (i * 37 + (i >> 5)) % 256);
      writeFileSync(at('x.npy'), writeNpy({ dtype: 'uint8', shape: [20, 1, 4, 4], data: pixels }));
      const config = '{"channels": 4, "multipliers": [1], "groups": 2, "steps": 5}';
      const small = ['--config', config, '--steps', '2', '--batch', '4'];
      await runOk('train', 'ddpm', '--data', at('x.npy'), ...small, '--out', at('m'));
      const data = ['--data', at('x.npy')];

      await runOk('fit', at('m'), ...data, '--group', '1', '--noise-samples', '3', '--out', at('d.json'));
      expect(JSON.parse(readFileSync(at('d.json'), 'utf8'))).toMatchObject({ noiseSamples: 3 });
      const plain = await runOk('score', at('d.json'), ...data, '--json');
      expect((await runOk('score', at('d.json'), ...data, '--json', '--noise-samples', '3')).stdout).toBe(plain.stdout);
      const other = await runCli('score', at('d.json'), ...data, '--noise-samples', '4');
      expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('d.json was fitted with 3')]);
      const evaluated = ['eval', at('d.json'), '--in', at('x.npy'), '--ood', 'noise=noise:12'];
      await runOk(...evaluated, '--noise-samples', '3');
      expect((await runCli(...evaluated, '--noise-samples', '1')).code).toBe(2);

      await runOk('features', at('m'), ...data, '--noise-samples', '2', '--out', at('t.npz'));
      expect((await readTable(at('t.npz'))).meta.noiseSamples).toBe(2);

      await runOk('fit', at('m'), ...data, '--group', '1', '--loss-draws', '2', '--out', at('e.json'));
      const file = JSON.parse(readFileSync(at('e.json'), 'utf8'));
      const { 'loss-draws': draws, ...recipe } = file.recipe;
      expect(draws).toBe('2');
      writeFileSync(at('old.json'), JSON.stringify({ ...file, recipe: { ...recipe, 'noise-samples': draws } }));
      const scored = await runOk('score', at('e.json'), ...data, '--json');
      expect((await runOk('score', at('old.json'), ...data, '--json')).stdout).toBe(scored.stdout);
    });
  });
});
