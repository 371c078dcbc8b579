// Experiment 3: the Fisher information matrix is nearly diagonal.

import { fingerprintOf, memoryDataset } from '../../data/index.ts';
import { fisherMatrix, randomSigns } from '../../eval/index.ts';
import { drawSamples, fisherAverages, weightGradients } from '../../node/defaults.ts';
import { RandomStream } from '../../tensor/random.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { Experiment } from '../experiment.ts';
import type { Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { mean } from '../words.ts';
import { type Fisher, fisher } from './draw.ts';

/** The heat map shows so many layers and weights of each. */
const MAP_LAYERS = 8;
const MAP_WEIGHTS = 24;

export const fisherExperiment: Experiment<readonly Fisher[]> = {
  drawing: fisher,
  async measure(lab) {
    const numbers: Fisher[] = [];
    for (const id of lab.preset.fisher.models) {
      const plan = lab.planOf(id);
      if (plan) numbers.push(await measured(lab, plan));
    }
    return { numbers };
  },
};

async function measured(lab: Lab, plan: ModelPlan): Promise<Fisher> {
  const { samples, layers, weights } = lab.preset.fisher;
  const { seed } = lab;
  const model = await lab.model(plan);
  return lab.stage(`fisher-${plan.id}`, { hash: model.hash, samples, layers, weights, seed }, async () => {
    lab.progress(`draws ${samples} samples of ${plan.id}`);
    let diverged = 0;
    const onDiverged = (count: number) => {
      diverged = count;
    };
    const images = await drawSamples(model, { n: samples, seed, pixelNoise: true, onDiverged, ...lab.threads });
    const size = sizeOf(model.info.data);
    const pixels = new Uint8Array(samples * size);
    for (const [i, { data }] of images.entries()) pixels.set(data.map(Math.round), i * size);
    const data = memoryDataset('samples', samples, fingerprintOf(pixels), {
      x: { data: pixels, shape: model.info.data, pixels: true },
    });
    const found = await weightGradients(model, data, {
      layers,
      weights,
      seed,
      ...lab.threads,
      onProgress: (done, of) => lab.progress(`gradients of ${plan.id}: ${done} of ${of} samples`),
    });
    lab.progress(`Fisher matrix of ${found.layers.length} weights of ${plan.id}`);
    const averages = await fisherAverages(found.gradients, found.layers, lab.threads);
    const { meanAbs, noiseFloor, diagonal, layers: names, weights: kept } = averages;
    const signed = randomSigns(found.gradients, found.layers.length, new RandomStream(seed, 'signs'));
    const signedAverages = await fisherAverages(signed, found.layers, lab.threads);
    const scales = [...new Set(names)].map((name) => {
      const own = Array.from(diagonal).filter((_, a) => names[a] === name);
      return own.reduce((sum, v) => sum + v, 0) / own.length;
    });
    const logs = Array.from(diagonal, Math.log);
    const layerMeans = new Map(
      [...new Set(names)].map((name) => [name, mean(logs.filter((_, a) => names[a] === name))]),
    );
    const shown = mapRows(names).map((a) => kept[a]!);
    const map = fisherMatrix(
      columnsOf(found.gradients, found.layers.length, shown),
      shown.map((a) => found.layers[a]!),
    );
    return {
      model: plan.family,
      in: plan.set,
      samples,
      diverged,
      layers: new Set(names).size,
      weights: names.length,
      meanAbs: { all: meanAbs.all ?? 0, within: meanAbs.within ?? null, between: meanAbs.between ?? null },
      noiseFloor,
      signFloor: signedAverages.meanAbs.all ?? 0,
      scaleRatio: Math.max(...scales) / Math.min(...scales),
      spread: {
        within: deviation(logs.map((v, a) => v - layerMeans.get(names[a]!)!)),
        between: deviation([...layerMeans.values()]),
      },
      map: { matrix: Array.from(map.matrix, (v) => +v.toFixed(3)), layers: map.layers },
    };
  });
}

/** Some columns of a row-major matrix. */
function columnsOf(values: Float64Array, width: number, columns: readonly number[]): Float64Array {
  const rows = values.length / width;
  return Float64Array.from({ length: rows * columns.length }, (_, k) => {
    return values[Math.floor(k / columns.length) * width + columns[k % columns.length]!]!;
  });
}

function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((v) => (v - centre) ** 2)));
}

/** The first weights of some layers, evenly spread over the depth. */
function mapRows(names: readonly string[]): number[] {
  const layers = [...new Set(names)].filter((name) => names.filter((n) => n === name).length >= 4);
  const step = Math.max(1, layers.length / MAP_LAYERS);
  const chosen = Array.from({ length: Math.min(MAP_LAYERS, layers.length) }, (_, k) => layers[Math.floor(k * step)]!);
  return chosen.flatMap((name) => [...names.keys()].filter((a) => names[a] === name).slice(0, MAP_WEIGHTS));
}
