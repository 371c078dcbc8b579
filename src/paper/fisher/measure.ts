// Experiment 3: the Fisher information matrix is nearly diagonal.

import { fingerprintOf, memoryDataset } from '../../data/index.ts';
import { fisherMatrix, randomSigns } from '../../eval/index.ts';
import { drawSamples, fisherAverages, weightGradients } from '../../node/defaults.ts';
import { heatMap } from '../../report/index.ts';
import { RandomStream } from '../../tensor/random.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { table } from '../html.ts';
import type { Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { listed, mean, type Outcome } from '../words.ts';

/** The heat map shows so many layers and weights of each. */
const MAP_LAYERS = 8;
const MAP_WEIGHTS = 24;

interface Fisher {
  readonly model: string;
  readonly in: string;
  readonly samples: number;
  /** Further samples that were passed over, since the flow's inverse overflowed. */
  readonly diverged: number;
  readonly layers: number;
  readonly weights: number;
  readonly meanAbs: { readonly all: number; readonly within: number | null; readonly between: number | null };
  /** Of independent normal gradients, and of these gradients with random signs. */
  readonly noiseFloor: number;
  readonly signFloor: number;
  /** Largest average F_aa of a layer over the smallest. */
  readonly scaleRatio: number;
  /** Standard deviation of ln F_aa about the means of its layer, and of these means: how unlike weights of one layer are, and layers. */
  readonly spread: { readonly within: number; readonly between: number };
  /** What the heat map shows: F_ab / √(F_aa F_bb) of some weights, row-major, and the layer of each. */
  readonly map: { readonly matrix: readonly number[]; readonly layers: readonly string[] };
}

export async function fisher(lab: Lab): Promise<Outcome> {
  const plans = lab.preset.fisher.models.flatMap((id) => lab.planOf(id) ?? []);
  const numbers: Fisher[] = [];
  const figures: string[] = [];
  for (const plan of plans) {
    const found = await measured(lab, plan);
    const { map } = found;
    numbers.push(found);
    figures.push(
      heatMap(map.matrix, {
        title: `Fisher matrix of ${plan.family} of ${plan.set}: ${new Set(map.layers).size} layers, ${map.layers.length} weights`,
        rowLabel: 'weight',
        valueLabel: '|F_ab| / √(F_aa F_bb)',
        layers: map.layers,
      }),
    );
  }
  return {
    id: 'fisher',
    title: 'The Fisher matrix is nearly diagonal',
    claim:
      'Off-diagonal entries of the normalised Fisher information matrix are small on average, and its diagonal has another scale in every layer.',
    finding:
      numbers.length === 0
        ? 'The data for this experiment are missing.'
        : `Average |off-diagonal| entry: ${listed(numbers.map((f) => `${f.meanAbs.all.toFixed(3)} for ${f.model} of ${f.in} (${f.meanAbs.within?.toFixed(3) ?? '–'} within a layer, ${f.signFloor.toFixed(3)} if signs were random)`))}. The diagonal differs between layers by factors of up to ${Math.max(...numbers.map((f) => f.scaleRatio)).toExponential(0)}; its logarithm spreads by ${listed(numbers.map((f) => f.spread.between.toFixed(1)))} between layers and by ${listed(numbers.map((f) => f.spread.within.toFixed(1)))} within them.`,
    numbers,
    body:
      table(
        'Average |F_ab| / √(F_aa F_bb) over pairs of weights drawn from randomly chosen layers, from samples of the model',
        [
          'model',
          'of',
          'samples',
          'diverged',
          'layers',
          'weights',
          'all pairs',
          'same layer',
          'two layers',
          'random signs',
          'independent normals',
          'spread of ln F_aa between layers',
          'within',
        ],
        numbers.map((f) => [
          f.model,
          f.in,
          String(f.samples),
          String(f.diverged),
          String(f.layers),
          String(f.weights),
          ...[f.meanAbs.all, f.meanAbs.within, f.meanAbs.between, f.signFloor, f.noiseFloor].map((v) =>
            v === null ? '–' : v.toFixed(3),
          ),
          ...[f.spread.between, f.spread.within].map((v) => v.toFixed(2)),
        ]),
      ) + figures.join('\n'),
  };
}

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
