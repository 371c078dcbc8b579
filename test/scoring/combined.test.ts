// The combined detector from a model to judgements: for models with noise, with several aspects, of any ONNX file;
// whatever the runs are.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeDataset, memoryDataset, syntheticDataset, take } from '../../src/data/index.ts';
import { writeNpz } from '../../src/data/npy.ts';
import { type DetectorFile, fitDetectors, formatDetector, parseDetector } from '../../src/detectors/index.ts';
import { fisherDiagonal, type MetricForm, metricOf } from '../../src/features/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { openAspects } from '../../src/scoring/aspects.ts';
import {
  evaluateDetector,
  featuresOf,
  fitAndEvaluate,
  fitCombinedOn,
  type Judgement,
  openScorer,
} from '../../src/scoring/index.ts';
import { onnxModel, type ScoringModel } from '../../src/store/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { smallModel } from '../support/models.ts';
import * as proto from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const runtime = nodeRuntime();
const dataOf = (model: { readonly info: { readonly data: readonly number[] } }, length: number, seed = 1) =>
  syntheticDataset('noise', { length, shape: model.info.data, seed });

async function fitted(
  model: ScoringModel,
  data: ReturnType<typeof dataOf>,
  metricForm: MetricForm = 'diagonal',
): Promise<DetectorFile> {
  const options = { runtime, groups: [1, 3], seed: 0, threads: 1, metricForm };
  const [tables] = await featuresOf(model, [{ name: 'fit', data }], options);
  const combined = await fitCombinedOn(model, { name: 'fit', data }, options);
  const file = { ...fitDetectors(tables!), combined };
  return parseDetector(formatDetector(file), 'detector');
}

describe('the combined detector of a model', () => {
  it.each(['vae', 'ddpm'] as const)('of a %s is fitted with a metric of Kronecker factors, and kept', async (name) => {
    const model = smallModel(name);
    const detector = await fitted(model, dataOf(model, 60), 'kronecker');
    for (const { tensors } of detector.combined!.metrics) {
      const factors = Object.values(tensors).flatMap((tensor) => ('axes' in tensor ? tensor.factors : []));
      expect(factors.some((factor) => 'scales' in factor)).toBe(true);
    }
    const scorer = openScorer({ model, detector, runtime, threads: 1, group: 1 });
    const own: number[] = [];
    for await (const { judgements } of scorer.judge(dataOf(model, 20, 2)).runs()) {
      own.push(...judgements.map(({ pValue }) => pValue!));
    }
    await scorer.dispose();
    expect(own.length).toBe(20);
    expect(own.filter((p) => p <= 0.05).length).toBeLessThan(6);
  });

  it('judges alike whatever the runs are, alone, in groups and from a file', async () => {
    const model = smallModel('vae');
    const detector = await fitted(model, dataOf(model, 60));
    const data = dataOf(model, 31, 2);
    const judged = async (batch: number | undefined, group: number) => {
      const scorer = openScorer({ model, detector, runtime, threads: 1, group, ...(batch ? { batch } : {}) });
      const all: Judgement[] = [];
      for await (const { judgements } of scorer.judge(data).runs()) all.push(...judgements);
      await scorer.dispose();
      expect(scorer.by).toBe('combined');
      return all;
    };
    for (const group of [1, 3]) {
      const [one, other] = [await judged(4, group), await judged(undefined, group)];
      expect(one.map(({ index, group: B }) => [index, B])).toEqual(other.map(({ index, group: B }) => [index, B]));
      expect(one.length).toBe(group === 1 ? 31 : 11); // ten groups of three, and one input left over
      for (const [k, { score, pValue, views, layers }] of one.entries()) {
        expect(score! / other[k]!.score!).toBeCloseTo(1, 3);
        expect(pValue).toBeGreaterThan(0);
        const sum = views!.reduce((total, { share }) => total + share, 0);
        expect(sum).toBeCloseTo(score!, 8);
        expect(layers[0]!.share).toBeGreaterThanOrEqual(layers.at(-1)!.share!);
      }
    }
    expect(() => openScorer({ model, detector, runtime, falsePositiveRate: 1e-6 })).toThrow(/needs at least/);
    expect(() => openScorer({ model, detector, runtime, group: 2 })).toThrow(/combined is not fitted for groups of 2/);
  });

  it('is left out of an evaluation with the reason where it cannot be fitted', async () => {
    const model = smallModel('vae');
    const all = dataOf(model, 40);
    // The metric's examples vary, those to be fitted on are one.
    const places = (indices: ArrayLike<number>) => Array.from(indices, (i) => Math.min(i, 10));
    const pick = async (indices: ArrayLike<number>) => (await all.gather(places(indices))).arrays;
    const read = (start: number, end: number) => pick(Array.from({ length: end - start }, (_, k) => start + k));
    const same = makeDataset({ ...all, read, pick });
    const sets = [{ name: 'in', data: dataOf(model, 12, 2) }, [{ name: 'out', data: dataOf(model, 12, 3) }]] as const;
    const options = { runtime, groups: [1], seed: 0, threads: 1 };
    for (const [data, reason] of [
      [dataOf(model, 25), 'fit has 25 inputs, and at least 30 are needed'],
      [same, 'noise:40[10:40]: no feature of the gradient varies over the 30 inputs to fit on'],
    ] as const) {
      const found = await fitAndEvaluate(model, { name: 'fit', data }, sets[0], sets[1], options);
      expect([found.detector.combined, found.lacking]).toEqual([undefined, reason]);
      expect(found.rows.map((row) => row.detector)).toContain('layer-norms');
    }
  });

  it('looks at every aspect of a model that has several', async () => {
    const model = smallModel('ddpm');
    const aspects = model.aspects!()!;
    const names = Object.keys(aspects);
    expect(names.length).toBeGreaterThan(1);
    const data = dataOf(model, 40);
    const metrics = [];
    for (const aspect of Object.values(aspects)) {
      metrics.push(metricOf(await fisherDiagonal(aspect, take(data, 0, 10), { runtime, threads: 1 })));
    }
    const all = await openAspects(model, { runtime, threads: 1 }, metrics);
    const table = await all.table(data);
    await all.dispose();
    for (const [k, name] of names.entries()) {
      const extractor = await openExtractor(aspects[name]!, {
        threads: 1,
        views: ['radial', 'fisher'],
        metric: metrics[k]!,
      });
      const own = await extractor.table(data);
      await extractor.dispose();
      const L = own.names.length;
      expect(table.names.slice(k * L, (k + 1) * L)).toEqual(own.names.map((layer) => `${name} ${layer}`));
      for (const i of [0, 17, 39]) {
        for (const [mine, whole] of [
          [own.sqNorms, table.sqNorms],
          [own.views!.radial!, table.views!.radial!],
          [own.views!.fisher!, table.views!.fisher!],
        ] as const) {
          const from = (i * names.length + k) * L;
          expect(whole.subarray(from, from + L)).toEqual(mine.subarray(i * L, (i + 1) * L));
        }
        expect(table.views!.parts![i * names.length + k]).toBe(own.nll[i]);
      }
    }
    const detector = await fitted(model, data);
    expect(detector.combined!.detector.aspects).toEqual(names);
    const scorer = openScorer({ model, detector, runtime, threads: 1 });
    const [found] = (
      await scorer
        .judge(dataOf(model, 4, 9))
        .runs()
        [Symbol.asyncIterator]()
        .next()
    ).value!.judgements;
    expect(found!.views!.map(({ name }: { name: string }) => name)).toContain(`${names[1]} contrast`);
    await scorer.dispose();
  });

  it('judges as it did by a detector from before the model had aspects', async () => {
    const model = smallModel('ddpm');
    const { aspects: _, ...before } = model;
    const detector = await fitted(before, dataOf(model, 40));
    expect(detector.combined!.detector.aspects).toEqual([]);
    const scores = await Promise.all(
      [before, model].map(async (one) => {
        const scorer = openScorer({ model: one, detector, runtime, threads: 1 });
        const found: number[] = [];
        for await (const { judgements } of scorer.judge(dataOf(model, 6, 9)).runs()) {
          found.push(...judgements.map(({ score }) => score!));
        }
        await scorer.dispose();
        return found;
      }),
    );
    expect(scores[0]).toHaveLength(6);
    expect(scores[1]).toEqual(scores[0]);
  });

  it('stands first in evaluations, and is left out where there is too little to fit it on', async () => {
    const model = smallModel('glow');
    const set = (name: string, length: number, seed: number) => ({ name, data: dataOf(model, length, seed) });
    const options = { runtime, groups: [1, 2], seed: 0, threads: 1 };
    const [fit, inSet, odd] = [
      set('fit', 40, 1),
      set('in', 20, 2),
      { name: 'odd', data: syntheticDataset('constant', { length: 20, shape: model.info.data, seed: 1 }) },
    ];
    const { detector, rows } = await fitAndEvaluate(model, fit, inSet, [odd], options);
    expect(
      rows
        .filter(({ group }) => group === 1)
        .slice(0, 3)
        .map((row) => row.detector),
    ).toEqual(['combined', 'combined-gradient', 'layer-norms']);
    expect(rows[0]!.auroc).toBeGreaterThan(0.9);
    const again = await evaluateDetector(model, detector, inSet, [odd], options);
    expect(again.rows).toEqual(rows);
    const few = await fitAndEvaluate(model, set('few', 20, 1), inSet, [odd], options);
    expect(few.detector.combined).toBeUndefined();
    expect(few.rows[0]!.detector).toBe('layer-norms');
  });

  it('of an ONNX loss that draws its time looks at several times', async () => {
    await inTemporaryFolder(async (dir) => {
      const file = new URL('../onnx/axes/diffusion.ts.onnx', import.meta.url).pathname;
      const x = randomData('x', 40 * 4);
      writeFileSync(`${dir}/x.npz`, writeNpz({ x: { dtype: 'float32', shape: [40, 4], data: Float32Array.from(x) } }));
      const fit = await runCli('fit', file, '--data', `${dir}/x.npz`, '--out', `${dir}/d.json`, '--group', '1');
      expect(fit.code, fit.stderr).toBe(0);
      expect((await runCli('inspect', `${dir}/d.json`)).stdout).toContain('likelihood at t1, t5; fitted on 30');
      const score = await runCli('score', `${dir}/d.json`, '--data', `${dir}/x.npz[0:6]`, '--fpr', '0.2');
      expect(score.stdout).toMatch(/\bt[15] \S+ [+-]\d/); // the layers that stand out, each at a time
    });
  });

  it('of a denoising network that leaves its size open is fitted and judges at the sizes of the data', async () => {
    const bytes = proto.modelBytes({
      node: [
        proto.node('MatMul', ['x', 'w'], ['h']),
        proto.node('Tanh', ['h'], ['a']),
        proto.node('MatMul', ['a', 'v'], ['y']),
      ],
      initializer: ['w', 'v'].map((name) => proto.tensor(name, [4, 4], Float32Array.from(randomData(name, 16)))),
      input: [proto.value('x', proto.FLOAT, ['n', 'k', 4]), proto.value('t', proto.INT64, ['n'])],
      output: [proto.value('y', proto.FLOAT)],
    });
    const model = await onnxModel(bytes, 'open.onnx', { objective: 'denoise' });
    const data = (n: number, k: number) =>
      memoryDataset('x', n, `${k}`, { x: { data: Float32Array.from(randomData('x', n * k * 4)), shape: [k, 4] } });
    const detector = await fitted(model, data(40, 7));
    expect(detector.combined!.detector.aspects).toEqual(['t1', 't64', 't256']);
    for (const k of [7, 5]) {
      const scorer = openScorer({ model, detector, runtime, threads: 1, group: 1 });
      const found: number[] = [];
      for await (const { judgements } of scorer.judge(data(8, k)).runs()) {
        found.push(...judgements.map(({ score }) => score!));
      }
      await scorer.dispose();
      expect(found.filter(Number.isFinite)).toHaveLength(8);
    }
  });

  it('is fitted and shown by the command line, and asked for by name', async () => {
    await inTemporaryFolder(async (dir) => {
      mkdirSync(`${dir}/m`);
      const shipped = new URL('../../models/glow-fashion-mnist', import.meta.url).pathname;
      const out = `${dir}/m/d.json`;
      const fit = await runCli(
        'fit',
        shipped,
        '--data',
        'sample/fashion-mnist[0:40]',
        '--group',
        '1',
        '--out',
        out,
        '--json',
      );
      expect(JSON.parse(fit.stdout).combined).toMatchObject({ n: 30, noiseSamples: 2, groups: [1] });
      expect((await runCli('inspect', out)).stdout).toMatch(
        /combined: metric, surroundings, contrast, activations, likelihood; fitted on 30 inputs/,
      );
      const score = ['score', out, '--data', 'sample/mnist[0:4]', '--json', '--detector'];
      const [all, gradient] = [await runCli(...score, 'combined'), await runCli(...score, 'combined-gradient')];
      const scores = [all, gradient].map(({ stdout }) => JSON.parse(stdout).results[0].score as number);
      expect(scores[0]).toBeGreaterThan(scores[1]!);
      const damaged = readFileSync(out, 'utf8').replace('"aspects":[]', '"aspects":["x","y"]');
      expect(() => parseDetector(damaged, 'd.json')).toThrow(/d\.json/);
    });
  });
});
