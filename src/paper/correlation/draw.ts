// Experiment 5, drawn: correlations of the log-norms of layers.

import type { Autocorrelation } from '../../eval/index.ts';
import { heatMap, lineChart } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { counted, mean } from '../words.ts';

export interface Correlations {
  readonly model: string;
  readonly in: string;
  readonly layers: number;
  readonly dropped: number;
  readonly meanAbs: number | null;
  readonly noiseFloor: number;
  readonly autocorrelation: readonly Autocorrelation[];
  /** [layers, layers] row-major; of one model of every family, those that are drawn. */
  readonly matrix?: readonly number[];
}

export const correlation: Drawing<readonly Correlations[]> = {
  id: 'correlation',
  title: 'How layer norms correlate',
  claim:
    'Norms of different layers are only weakly correlated, so the joint density is taken as the product of the layers’.',
  finding,
  body: (numbers) => averagesTable(numbers) + numbers.flatMap(matrixOf).join('\n') + courseOf(numbers),
};

function averagesTable(numbers: readonly Correlations[]): string {
  return table(
    'Average |correlation| of log-norms over pairs of layers, single held-out in-distribution inputs',
    ['model', 'of', 'layers', 'without spread', '|correlation|', 'if independent'],
    numbers.map((m) => [
      m.model,
      m.in,
      String(m.layers),
      String(m.dropped),
      m.meanAbs?.toFixed(3) ?? '–',
      m.noiseFloor.toFixed(3),
    ]),
  );
}

function matrixOf({ model, in: set, matrix }: Correlations): string[] {
  if (!matrix) return [];
  return [
    heatMap(matrix, {
      title: `Correlation of log-norms, ${model} of ${set}`,
      rowLabel: 'layer, from the input on',
      valueLabel: '|correlation|',
    }),
  ];
}

function courseOf(numbers: readonly Correlations[]): string {
  const lines = numbers.map((m) => ({
    name: `${m.model} of ${m.in}`,
    points: m.autocorrelation.map(({ lag, mean: y }) => ({ x: lag, y })),
  }));
  return lineChart(
    lines.filter(({ points }) => points.length > 1),
    {
      title: 'Autocorrelation of standardised log-norms over depth',
      xLabel: 'distance in layers',
      yLabel: 'mean correlation',
      reference: 0,
    },
  );
}

/** Below this an average |correlation| is called weak. */
const WEAK = 0.3;

function finding(numbers: readonly Correlations[]): string {
  const averages = numbers.flatMap((m) => m.meanAbs ?? []);
  if (averages.length === 0) return 'No model has two layers whose norms have some spread.';
  const ends = (values: readonly number[]) =>
    [Math.min(...values).toFixed(2), Math.max(...values).toFixed(2)].join(' to ');
  const weak = averages.filter((r) => r < WEAK).length;
  const series = numbers.map((m) => m.autocorrelation).filter((lags) => lags.length > 1);
  const nearer = series.filter(([first, ...further]) => first!.mean > mean(further.map((lag) => lag.mean))).length;
  return (
    `Average |correlation| of log-norms between two layers is ${mean(averages).toFixed(2)} over our models, from ${ends(averages)}, where independent layers would show ${ends(numbers.map((m) => m.noiseFloor))}: ` +
    `weak (below ${WEAK}) in ${counted(weak, averages.length, 'models')}, so the product of densities is an approximation${weak === averages.length ? '' : ' that the claim makes look better than it is here'}; ` +
    `layers next to each other correlate more than those further apart in ${counted(nearer, series.length, 'models')}.`
  );
}
