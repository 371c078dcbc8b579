// Numbers in, SVG text out: the figures of a report, drawn by Observable Plot without a browser.

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { NormalLayer } from '../detectors/index.ts';
import type { RocPoint } from '../eval/index.ts';

const { document } = parseHTML('<!doctype html><html><body></body></html>');

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly values: ArrayLike<number>;
}

export interface FigureSize {
  readonly width: number;
  readonly height: number;
}

interface Bin {
  readonly x: number;
  readonly share: number;
  readonly name: string;
}

function draw(options: Plot.PlotOptions, label: string, size: FigureSize): string {
  const svg = Plot.plot({
    ...options,
    ...size,
    ariaLabel: label,
    document: document as unknown as Document,
  });
  // Set here because linkedom's elements do not take Plot's option `style`.
  svg.setAttribute(
    'style',
    'background: transparent; color: inherit; font: 12px system-ui, sans-serif; overflow: visible',
  );
  svg.setAttribute('role', 'img');
  return svg.outerHTML;
}

/** Share of each series in `count` bins over the middle 99.8 % of all values; what lies outside counts to the outer bins. */
function bins(series: readonly Series[], count: number): { readonly bins: Bin[]; readonly domain: [number, number] } {
  const all = Float64Array.from(series.flatMap((s) => Array.from(s.values).filter(Number.isFinite))).sort();
  let low = all[Math.floor((all.length - 1) * 0.001)] ?? 0;
  let high = all[Math.ceil((all.length - 1) * 0.999)] ?? 1;
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const width = (high - low) / count;
  return {
    domain: [low, high],
    bins: series.flatMap(({ name, values }) => {
      const counts = new Float64Array(count);
      for (let i = 0; i < values.length; i++) {
        const at = Math.floor((values[i]! - low) / width);
        counts[Math.min(count - 1, Math.max(0, Number.isNaN(at) ? 0 : at))]!++;
      }
      return Array.from(counts, (c, k) => ({ x: low + (k + 0.5) * width, share: c / values.length, name }));
    }),
  };
}

/** Overlaid histograms, each normalised to its own size. `curve`: a normal density drawn on top, scaled to the bins. */
export function histograms(
  series: readonly Series[],
  options: FigureSize & {
    readonly label: string;
    readonly xLabel: string;
    readonly curve?: NormalLayer;
    readonly compact?: boolean;
  },
): string {
  const count = options.compact ? 32 : 60;
  const { bins: data, domain } = bins(series, count);
  const { curve } = options;
  const colour = { domain: series.map((s) => s.name), range: series.map((s) => s.colour) };
  const width = (domain[1] - domain[0]) / count;
  const points = curve
    ? Array.from({ length: 121 }, (_, k) => {
        const x = domain[0] + (k / 120) * (domain[1] - domain[0]);
        const z = (x - curve.mean) / curve.sd;
        return { x, y: (Math.exp(-0.5 * z * z) / (curve.sd * Math.sqrt(2 * Math.PI))) * width };
      })
    : [];
  return draw(
    {
      marginLeft: options.compact ? 12 : 44,
      marginBottom: options.compact ? 26 : 40,
      x: { label: options.compact ? null : options.xLabel, ticks: options.compact ? 4 : 8 },
      y: options.compact
        ? { axis: null }
        : { label: 'share of the set', tickFormat: (v: number) => `${+(100 * v).toFixed(1)} %`, ticks: 5, grid: true },
      color: colour,
      marks: [
        Plot.areaY(data, { x: 'x', y1: 0, y2: 'share', fill: 'name', z: 'name', fillOpacity: 0.22, curve: 'step' }),
        Plot.lineY(data, { x: 'x', y: 'share', stroke: 'name', z: 'name', strokeWidth: 1.5, curve: 'step' }),
        ...(points.length > 0
          ? [Plot.line(points, { x: 'x', y: 'y', stroke: 'currentColor', strokeDasharray: '4 3', strokeWidth: 1.5 })]
          : []),
        Plot.ruleY([0]),
      ],
    },
    options.label,
    options,
  );
}

/** One curve per detector, with the diagonal that knowing nothing gives. */
export function rocCurves(
  curves: readonly { readonly name: string; readonly colour: string; readonly points: readonly RocPoint[] }[],
  options: FigureSize & { readonly label: string },
): string {
  const data = curves.flatMap(({ name, points }) => points.map((p) => ({ ...p, name })));
  return draw(
    {
      marginLeft: 48,
      marginBottom: 40,
      x: { domain: [0, 1], label: 'out-of-distribution accepted', ticks: 5, grid: true },
      y: { domain: [0, 1], label: 'in-distribution accepted', ticks: 5, grid: true },
      color: { domain: curves.map((c) => c.name), range: curves.map((c) => c.colour) },
      marks: [
        Plot.line(
          [
            [0, 0],
            [1, 1],
          ],
          { stroke: 'currentColor', strokeOpacity: 0.4, strokeDasharray: '3 3' },
        ),
        Plot.line(data, { x: 'fpr', y: 'tpr', stroke: 'name', z: 'name', strokeWidth: 2 }),
      ],
    },
    options.label,
    options,
  );
}

/** Mean z-score of every layer, in order of depth, one line per set. */
export function layerLines(
  series: readonly Series[],
  options: FigureSize & { readonly label: string; readonly cap: number },
): string {
  const cap = (z: number) => Math.max(-options.cap, Math.min(options.cap, z));
  const data = series.flatMap(({ name, values }) => Array.from(values, (z, j) => ({ layer: j, z: cap(z), name })));
  return draw(
    {
      marginLeft: 44,
      marginBottom: 40,
      x: { label: 'layer, from the input on', ticks: 8 },
      y: { label: `mean z of the log squared norm (cut off at ±${options.cap})`, grid: true },
      color: { domain: series.map((s) => s.name), range: series.map((s) => s.colour) },
      marks: [
        Plot.ruleY([0]),
        Plot.lineY(data, { x: 'layer', y: 'z', stroke: 'name', z: 'name', strokeWidth: 1, strokeOpacity: 0.85 }),
      ],
    },
    options.label,
    options,
  );
}
