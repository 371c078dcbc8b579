// Experiment 5: norms of different layers carry different information.

import { type Autocorrelation, autocorrelation, layerCorrelation } from '../analysis/index.ts';
import { heatMap, lineChart } from '../report/index.ts';
import { tablesOf } from './evaluation.ts';
import { table } from './html.ts';
import type { Lab } from './lab.ts';
import { mean, type Outcome } from './outcome.ts';

const MOST_LAGS = 20;

interface Correlations {
  readonly model: string;
  readonly in: string;
  readonly layers: number;
  readonly dropped: number;
  readonly meanAbs: number | null;
  readonly noiseFloor: number;
  readonly autocorrelation: readonly Autocorrelation[];
}

export async function correlation(lab: Lab): Promise<Outcome> {
  const numbers: Correlations[] = [];
  const figures: string[] = [];
  const seen = new Set<string>();
  for (const plan of lab.available(lab.preset.models.images)) {
    const found = layerCorrelation((await tablesOf(lab, plan)).test[0]!);
    numbers.push({
      model: plan.family,
      in: plan.set,
      layers: found.names.length,
      dropped: found.dropped.length,
      meanAbs: found.meanAbs ?? null,
      noiseFloor: found.noiseFloor,
      autocorrelation: autocorrelation(found, MOST_LAGS),
    });
    if (seen.has(plan.family)) continue; // one matrix of every family
    seen.add(plan.family);
    figures.push(
      heatMap(found.matrix, {
        title: `Correlation of log-norms, ${plan.family} of ${plan.set}`,
        rowLabel: 'layer, from the input on',
        valueLabel: '|correlation|',
      }),
    );
  }
  const lines = numbers.map((m) => ({
    name: `${m.model} of ${m.in}`,
    points: m.autocorrelation.map(({ lag, mean: y }) => ({ x: lag, y })),
  }));
  const averages = numbers.flatMap((m) => m.meanAbs ?? []);
  return {
    id: 'correlation',
    title: 'How layer norms correlate',
    claim:
      'Norms of different layers are only weakly correlated, so the joint density is taken as the product of the layers’.',
    finding: `Average |correlation| of log-norms between two layers is ${mean(averages).toFixed(2)} over our models, from ${Math.min(...averages).toFixed(2)} to ${Math.max(...averages).toFixed(2)}; independent layers would show ${numbers[0]!.noiseFloor.toFixed(2)} with as many inputs. So the product is an approximation: layers share part of what they say, neighbours most.`,
    numbers,
    body:
      table(
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
      ) +
      figures.join('\n') +
      lineChart(
        lines.filter(({ points }) => points.length > 1),
        {
          title: 'Autocorrelation of standardised log-norms over depth',
          xLabel: 'distance in layers',
          yLabel: 'mean correlation',
          reference: 0,
        },
      ),
  };
}
