// The rivals: what each computes against a closed form, the float64 interpreter or the library's own densities; and the
// table of all of them.

import { describe, expect, it } from 'vitest';
import { compareRivals, methods, rivalsTable } from '../../scripts/rivals/compare.ts';
import { statisticsOf } from '../../scripts/rivals/dose.ts';
import { openForward } from '../../scripts/rivals/forward.ts';
import { fitKde, logDensity } from '../../scripts/rivals/kde.ts';
import { openRegret, regretGraph } from '../../scripts/rivals/likelihood-regret.ts';
import { fitDistances } from '../../scripts/rivals/mahalanobis.ts';
import { groupMeans } from '../../scripts/rivals/method.ts';
import { neighbourDistances, scoreNorms, stepsAt } from '../../scripts/rivals/msma.ts';
import { type Dataset, memoryDataset, syntheticDataset, take } from '../../src/data/index.ts';
import { type Rows, rowOf, rowsOver } from '../../src/densities/rows.ts';
import { distances, fitShrunkNormal } from '../../src/densities/shrunk-normal.ts';
import { fitStandard, standardise } from '../../src/densities/standard.ts';
import { meanActivations } from '../../src/features/activations.ts';
import { type Graph, inputsOf, interpret, nameOf, paramsOf, type Value } from '../../src/graph/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { concat, reshape } from '../../src/ops/index.ts';
import { compressedBits } from '../../src/paper/beyond/compressed.ts';
import { shuffled } from '../../src/paper/beyond/shuffled.ts';
import type { Model } from '../../src/store/index.ts';
import { ndarray } from '../../src/tensor/ndarray.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';
import { randomData } from '../support/run.ts';

const runtime = nodeRuntime();

const noiseFor = (name: SmallName, length: number, seed = 1): Dataset =>
  syntheticDataset('noise', { length, shape: smallModel(name).info.data, seed });

const contextOf = (name: SmallName, length = 40) => ({
  model: smallModel(name),
  runtime,
  fit: noiseFor(name, length),
  groups: [1, 2],
  seed: 0,
  threads: 1,
});

/** A graph's outputs for one example in float64, by values of inputs. */
function inFloat64(graph: Graph, model: Model, inputs: Readonly<Record<string, ArrayLike<number>>>) {
  const bindings = [...inputsOf(graph), ...paramsOf(graph, { all: true })].map((v) => {
    const data = inputs[nameOf(v)] ?? model.weights[nameOf(v)]!.data;
    return [nameOf(v), ndarray(v.shape, Float64Array.from(data))] as const;
  });
  return interpret(graph, Object.fromEntries(bindings));
}

const sideBySide = (loss: Value, values: readonly Value[]): Graph => ({
  arena: loss.arena,
  outputs: {
    rows: concat(
      values.map((v) => reshape(v, [-1])),
      0,
    ),
  },
});

const example = async (data: Dataset, i: number) => (await data.gather([i])).arrays.x!.data as Float32Array;
const randomRows = (n: number, p: number, name: string): Rows =>
  rowsOver(Float64Array.from(randomData(name, n * p)), p);

describe('densities of the rivals', () => {
  it('a kernel density has mass 1, is the mean of its kernels, and is finite however far', () => {
    const kde = fitKde(Float64Array.of(-1, 0.5, 2));
    let mass = 0;
    for (let v = -20; v < 20; v += 0.01) mass += 0.01 * Math.exp(logDensity(kde, v));
    expect(mass).toBeCloseTo(1, 6);
    expect(kde.width).toBeCloseTo(1.5 * 3 ** -0.2, 12);
    const kernel = (v: number, p: number) =>
      Math.exp(-0.5 * ((v - p) / kde.width) ** 2) / kde.width / Math.sqrt(2 * Math.PI);
    expect(logDensity(kde, 1)).toBeCloseTo(Math.log((kernel(1, -1) + kernel(1, 0.5) + kernel(1, 2)) / 3), 12);
    expect(Number.isFinite(logDensity(kde, 1e6))).toBe(true);
    expect(logDensity(fitKde(Float64Array.of(3, 3)), 4)).toBeLessThan(-1e6);
  });

  it.each([
    [30, 5],
    [12, 40],
  ])('distances by %i rows are those by %i columns', (n, p) => {
    const found = randomRows(n, p, 'rows');
    const standard = fitStandard(found);
    const rows = standardise(standard, found);
    const points = standardise(standard, randomRows(7, p, 'points'));
    expectClose(fitDistances(rows, 0.3)(points), distances(fitShrunkNormal(rows, 0.3), points, 1), 1e-9, 'distances');
  });

  it('the fifth-nearest of points on a line is where it is', () => {
    const line = rowsOver(Float64Array.of(0, 1, 2, 3, 4, 5, 6), 1);
    expect([...neighbourDistances(line, rowsOver(Float64Array.of(0, 10), 1), 5)]).toEqual([4, 8]);
  });

  it('groups have the means of their members, and none that is not whole', () => {
    expect([...groupMeans(Float64Array.of(1, 3, 5, 7, 100), 2)]).toEqual([2, 6]);
  });
});

describe('input complexity', () => {
  it('needs more bits for noise than for what is constant, and for none as many as for raw bytes and a header', async () => {
    const shape = [3, 16, 16];
    const [flat] = await compressedBits(syntheticDataset('constant', { length: 1, shape, seed: 0 }));
    const [noisy] = await compressedBits(syntheticDataset('noise', { length: 1, shape, seed: 2 }));
    expect(flat).toBeLessThan(8 * 120);
    expect(noisy).toBeGreaterThan(7 * sizeOf(shape));
    expect(noisy).toBeLessThan(8 * (sizeOf(shape) + 200));
    const bytes = { data: new Uint8Array(128).fill(65), shape: [128] };
    const [text] = await compressedBits(memoryDataset('text', 1, 'text', { x: bytes }));
    expect(text).toBeLessThan(8 * 20);
  });
});

describe('what is computed of a model', () => {
  it.each(['glow', 'vae', 'ddpm', 'pixelcnn', 'transformer'] as const)(
    'the statistics of a %s are its loss and the terms of it',
    (name) => {
      const { names } = statisticsOf(smallModel(name));
      expect(names[0]).toBe('loss');
      expect(new Set(names).size).toBe(names.length);
      if (name === 'vae') expect(names.slice(0, 4)).toEqual(['loss', 'reconstruction', 'kl.mean', 'kl.variance']);
    },
  );

  it('the norms of scores are those of float64, with no noise added', async () => {
    const context = contextOf('ddpm');
    const { loss, norms } = scoreNorms(context.model);
    const graph = sideBySide(loss, norms);
    const forward = openForward(context, loss, norms, { silent: ['noise0'] });
    const rows = await forward.rows(context.fit);
    await forward.dispose();
    for (const i of [0, 39]) {
      const zeros = new Float64Array(sizeOf(smallSizes.ddpm.data));
      const expected = inFloat64(graph, context.model, { x: await example(context.fit, i), noise0: zeros }).rows!;
      expectClose(rowOf(rows, i), expected.data, 1e-4, `norms of ${i}`);
    }
    expect(stepsAt({ schedule: 'linear', steps: 1000 })).toHaveLength(10);
    expect(stepsAt({ schedule: 'linear', steps: 1000 }).at(-1)).toBeLessThan(600);
  });

  it.each(['glow', 'vae', 'transformer'] as const)(
    'the mean activations of a %s are those of float64',
    async (name) => {
      const context = contextOf(name, 5);
      const loss = context.model.loss();
      const values = meanActivations(loss);
      const isDrawn = (v: Value) => v.source.kind === 'input' && v.source.from !== 'data';
      const silent = inputsOf({ arena: loss.arena, outputs: { loss } }).filter(isDrawn);
      const forward = openForward(context, loss, values, { silent: silent.map(nameOf) });
      const rows = await forward.rows(context.fit);
      await forward.dispose();
      const drawn = silent.map((v) => [nameOf(v), new Float64Array(sizeOf(v.shape))] as const);
      const inputs = { x: await example(context.fit, 4), ...Object.fromEntries(drawn) };
      const expected = inFloat64(sideBySide(loss, values), context.model, inputs).rows!;
      expectClose(rowOf(rows, 4), expected.data, 1e-3, 'activations');
      if (name === 'vae') expect(values[0]!.shape).toEqual([1]); // of grey pixels
    },
  );

  it('shuffling moves numbers within each learned tensor and loses none', () => {
    const { weights } = smallModel('vae');
    const moved = shuffled(weights, ['encoder.conv1.weight'], 3);
    const [was, is] = [weights, moved].map((w) => [...w['encoder.conv1.weight']!.data]);
    expect(is).not.toEqual(was);
    expect(is!.toSorted()).toEqual(was!.toSorted());
    expect(moved['encoder.conv2.weight']).toBe(weights['encoder.conv2.weight']);
  });

  it('the bound grows along its gradient in the posterior, and its regret is nothing before the first step', async () => {
    const context = contextOf('vae', 6);
    const { gradient, bound } = regretGraph(context.model);
    const inputs = {
      x: await example(context.fit, 0),
      eps: [0.3, -1, 0.5],
      mu: [0.1, 0.2, -0.4],
      logVar: [-1, 0.5, 0],
    };
    const at = (mu: readonly number[]) => inFloat64(bound, context.model, { ...inputs, mu }).loss!.data[0]!;
    const { dMu } = inFloat64(gradient, context.model, inputs);
    const h = 1e-5;
    const slope = (at([0.1 + h, 0.2, -0.4]) - at([0.1 - h, 0.2, -0.4])) / (2 * h);
    expect(dMu!.data[0]! / slope).toBeCloseTo(1, 5);
    const open = openRegret(context);
    expect([...(await open.regrets(context.fit, 0))]).toEqual([0, 0, 0, 0, 0, 0]);
    const [after, single] = [await open.regrets(context.fit, 60), await open.regrets(take(context.fit, 0, 1), 60)];
    await open.dispose();
    expect(after.reduce((a, b) => a + b)).toBeGreaterThan(0);
    expect(after[0]! / single[0]!).toBeCloseTo(1, 2); // examples do not meet
  });
});

describe('the table', () => {
  it.each(['vae', 'ddpm', 'glow'] as const)(
    'of a %s has every detector that is for it, and the reasons of the others',
    async (name) => {
      const context = contextOf(name, 60);
      const others = [
        {
          name: 'flat',
          data: syntheticDataset('constant', { length: 20, shape: [...smallSizes[name].data], seed: 0 }),
        },
      ];
      const inSet = { name: 'in', data: noiseFor(name, 20, 2) };
      const found = await compareRivals(context, inSet, others);
      const every = methods.flatMap(({ names }) => names);
      const refused = found.refused.flatMap(({ names }) => names);
      const expected = {
        vae: ['msma-neighbours', 'msma-normal'],
        ddpm: ['input-complexity', 'likelihood-regret'],
        glow: ['msma-neighbours', 'msma-normal', 'likelihood-regret'],
      };
      expect(refused).toEqual(expected[name]);
      expect(found.rows.map(({ detector }) => detector)).toEqual(every.filter((one) => !refused.includes(one)));
      for (const { auroc, examplesPerSecond, detector } of found.rows) {
        expect(examplesPerSecond).toBeGreaterThan(0);
        for (const B of [1, 2]) expect(auroc.flat![B], detector).toBeGreaterThanOrEqual(0);
      }
      const of = (detector: string) => found.rows.find((row) => row.detector === detector)!.auroc.flat![1]!;
      // Untrained networks, of whose parts and activations flat images are still no usual ones.
      if (name !== 'ddpm') for (const one of ['dose', 'deep-mahalanobis']) expect(of(one), one).toBeGreaterThan(0.6);
      const table = rivalsTable(found, [1, 2]).split('\n');
      expect(table[0]).toBe('| detector | flat | mean | examples a second |');
      expect(table).toHaveLength(2 + found.rows.length + 2 * found.refused.length);
    },
  );

  it('is not made of inputs that were fitted on', async () => {
    const context = contextOf('vae');
    const inSet = { name: 'in', data: take(context.fit, 3, 9) };
    const other = { name: 'other', data: noiseFor('vae', 10, 5) };
    await expect(compareRivals(context, inSet, [other])).rejects.toThrow('6 of its inputs are fitted on');
  });
});
