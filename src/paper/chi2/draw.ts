// Experiment 4, drawn: norms of layers against the distributions that were fitted to them.

import type { LayerFits } from '../../eval/index.ts';
import { type DistributionNumbers, distributionFigure, escapeHtml } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { counted } from '../words.ts';

interface Layer {
  readonly name: string;
  readonly dim: number;
  readonly better: LayerFits['better'];
  readonly best: LayerFits['best'];
  /** Kolmogorov–Smirnov distances. */
  readonly ks: Readonly<Record<'chi2' | 'chi2-free' | 'log-normal', number>>;
  /** Degrees of freedom that the moments suggest. */
  readonly degrees: number;
}

export interface Fits {
  readonly model: string;
  readonly in: string;
  readonly layers: readonly Layer[];
}

/** A layer that is drawn. */
export interface DrawnLayer {
  readonly model: string;
  readonly in: string;
  readonly name: string;
  readonly dim: number;
  readonly norms: DistributionNumbers;
}

export const chi2: Drawing<readonly Fits[], readonly DrawnLayer[]> = {
  id: 'chi2',
  title: 'How layer norms are distributed',
  claim:
    'If the gradients in a layer are normal with one variance, its squared norm is a scaled χ² variable with as many degrees of freedom as it has weights; the log of such a variable is close to normal, which is what the detector fits.',
  finding: (numbers) => finding(numbers.flatMap((m) => m.layers)),
  body: (numbers, drawn = []) =>
    table(
      'Layers in which each of the two fits better, and the median Kolmogorov–Smirnov distance of the fits (0 is perfect)',
      ['model', 'of', 'layers', 'χ² better', 'log-normal better', 'KS χ²', 'KS χ², degrees fitted', 'KS log-normal'],
      numbers.map(({ model, in: set, layers }) => [
        model,
        set,
        String(layers.length),
        ...(['chi2', 'log-normal'] as const).map((name) => String(layers.filter((l) => l.better === name).length)),
        ...(['chi2', 'chi2-free', 'log-normal'] as const).map((name) =>
          median(layers.map((l) => l.ks[name])).toFixed(3),
        ),
      ]),
    ) +
    numbers.map(layerTable).join('\n') +
    drawn.map(layerFigure).join('\n'),
};

function layerFigure({ model, in: set, name, dim, norms }: DrawnLayer): string {
  return distributionFigure(norms, {
    title: `${model} of ${set}: ${name}, ${dim} ${dim === 1 ? 'weight' : 'weights'}`,
  });
}

function finding(all: readonly Layer[]): string {
  if (all.length === 0) return 'No layer has a norm with some spread.';
  const share = (holds: (layer: Layer) => boolean) => counted(all.filter(holds).length, all.length, 'layers');
  return (
    `By Akaike's criterion, on in-distribution inputs that the model was not trained on, the log-normal fits better than the scaled χ² with dim θ degrees of freedom in ${share((l) => l.better === 'log-normal')}; ` +
    `the norms of ${share((l) => l.degrees < l.dim / 2)} spread as if there were fewer than half as many degrees of freedom as weights, and with the degrees of freedom fitted the χ² is the best of the three in ${share((l) => l.best === 'chi2-free')}.`
  );
}

function layerTable({ model, in: set, layers }: Fits): string {
  const rows = layers.map((l) => [
    l.name,
    l.dim.toLocaleString('en'),
    l.degrees.toPrecision(2),
    { chi2: 'χ²', 'chi2-free': 'χ², degrees fitted', 'log-normal': 'log-normal' }[l.best],
    ...(['chi2', 'chi2-free', 'log-normal'] as const).map((name) => l.ks[name].toFixed(3)),
  ]);
  const head = ['layer', 'weights', 'degrees fitted', 'best', 'KS χ²', 'KS χ², degrees fitted', 'KS log-normal'];
  return `<details><summary>Every layer of ${escapeHtml(`${model} of ${set}`)}</summary>${table(`${model} of ${set}`, head, rows)}</details>`;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
