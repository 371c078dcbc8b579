// Experiment 4: the distribution of layer norms.

import { compareFits, type LayerFits } from '../../eval/index.ts';
import type { FeatureTable } from '../../features/index.ts';
import { distributionFigure, escapeHtml } from '../../report/index.ts';
import { tablesOf } from '../evaluation.ts';
import { table } from '../html.ts';
import type { Lab } from '../lab.ts';
import { counted, type Outcome } from '../words.ts';

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

interface Fits {
  readonly model: string;
  readonly in: string;
  readonly layers: readonly Layer[];
}

export async function chi2(lab: Lab): Promise<Outcome> {
  const numbers: Fits[] = [];
  const figures: string[] = [];
  const seen = new Set<string>();
  for (const plan of lab.available(lab.preset.models.images)) {
    const features = (await tablesOf(lab, plan)).test[0]!;
    const layers = layersOf(features);
    numbers.push({ model: plan.family, in: plan.set, layers: layers.map(({ values: _, fits: __, ...rest }) => rest) });
    if (seen.has(plan.family)) continue; // figures of one model of every family
    seen.add(plan.family);
    const bySize = layers.toSorted((a, b) => a.dim - b.dim);
    for (const { name, dim, values, fits } of [bySize[0], bySize[bySize.length >> 1], bySize.at(-1)].filter(
      (l) => l !== undefined,
    )) {
      figures.push(
        distributionFigure(values, fits, {
          title: `${plan.family} of ${plan.set}: ${name}, ${dim} ${dim === 1 ? 'weight' : 'weights'}`,
        }),
      );
    }
  }
  const all = numbers.flatMap((m) => m.layers);
  return {
    id: 'chi2',
    title: 'How layer norms are distributed',
    claim:
      'If the gradients in a layer are normal with one variance, its squared norm is a scaled χ² variable with as many degrees of freedom as it has weights; the log of such a variable is close to normal, which is what the detector fits.',
    finding: finding(all),
    numbers,
    body:
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
      figures.join('\n'),
  };
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

/** Layers whose norm is never zero and has some spread: the others have no density to fit. */
function layersOf({ names, dims, sqNorms, nll }: FeatureTable) {
  return names.flatMap((name, j) => {
    const values = Float64Array.from(nll, (_, i) => sqNorms[i * names.length + j]!);
    const dim = dims![j]!;
    if (!values.every((f) => f > 0) || new Set(values).size < 2) return [];
    const fits = compareFits(values, dim);
    const free = fits['chi2-free'].distribution;
    return [
      {
        name,
        dim,
        better: fits.better,
        best: fits.best,
        ks: { chi2: fits.chi2.ks, 'chi2-free': fits['chi2-free'].ks, 'log-normal': fits['log-normal'].ks },
        degrees: free.family === 'chi2' ? free.degrees : Number.NaN,
        values,
        fits,
      },
    ];
  });
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
