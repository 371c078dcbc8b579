// Experiment 3, drawn: the Fisher information matrix, and how far it is from diagonal.

import { heatMap } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { listed } from '../words.ts';

export interface Fisher {
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
  /**
   * Standard deviation of ln F_aa about the means of its layer, and of these means: how unlike weights of one layer
   * are, and layers.
   */
  readonly spread: { readonly within: number; readonly between: number };
  /** What the heat map shows: F_ab / √(F_aa F_bb) of some weights, row-major, and the layer of each. */
  readonly map: { readonly matrix: readonly number[]; readonly layers: readonly string[] };
}

export const fisher: Drawing<readonly Fisher[]> = {
  id: 'fisher',
  title: 'The Fisher matrix is nearly diagonal',
  claim:
    'Off-diagonal entries of the normalised Fisher information matrix are small on average, and its diagonal has another scale in every layer.',
  finding: (numbers) =>
    numbers.length === 0
      ? 'The data for this experiment are missing.'
      : `Average |off-diagonal| entry: ${listed(numbers.map((f) => `${f.meanAbs.all.toFixed(3)} for ${f.model} of ${f.in} (${f.meanAbs.within?.toFixed(3) ?? '–'} within a layer, ${f.signFloor.toFixed(3)} if signs were random)`))}. The diagonal differs between layers by factors of up to ${Math.max(...numbers.map((f) => f.scaleRatio)).toExponential(0)}; its logarithm spreads by ${listed(numbers.map((f) => f.spread.between.toFixed(1)))} between layers and by ${listed(numbers.map((f) => f.spread.within.toFixed(1)))} within them.`,
  body: (numbers) =>
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
    ) + numbers.map(mapOf).join('\n'),
};

function mapOf({ model, in: set, map }: Fisher): string {
  return heatMap(map.matrix, {
    title: `Fisher matrix of ${model} of ${set}: ${new Set(map.layers).size} layers, ${map.layers.length} weights`,
    rowLabel: 'weight',
    valueLabel: '|F_ab| / √(F_aa F_bb)',
    layers: map.layers,
  });
}
