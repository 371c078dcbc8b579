// Numbers in, SVG text out: the figures of a report, drawn by Observable Plot without a browser.

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { NormalLayer } from '../detectors/index.ts';
import type { RocPoint } from '../eval/index.ts';
import { type Histogram, histogram } from '../eval/index.ts';

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

/** Axis options: the label in the middle of the axis, without an arrow. */
export const centred = { labelAnchor: 'center', labelArrow: 'none' } as const;

/**
 * What Plot draws, as SVG text that reads the page's font and colour.
 *
 * @internal Not in the declarations: those of Plot need others that it does not bring.
 */
export function draw(options: Plot.PlotOptions, label: string, size: FigureSize): string {
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

/** Histograms of sets over shared bins, which show the first set well and say what lies far from it. */
export function sharedHistogram(sets: readonly { readonly values: ArrayLike<number> }[], count: number): Histogram {
  return histogram(
    sets.map((set) => set.values),
    { bins: count, reach: 4 },
  );
}

/** The shares of `sharedHistogram` as rows for Plot, at the middle of each bin. */
function binsOf(series: readonly Series[], count: number) {
  const bins = sharedHistogram(series, count);
  const names = series.map(({ name }) => name);
  return { rows: rowsOfBins(names, bins), low: bins.edges[0]!, high: bins.edges[count]! };
}

/** Shares over shared bins as rows for Plot, at the middle of each bin. */
export function rowsOfBins(
  names: readonly string[],
  { edges, shares }: { readonly edges: ArrayLike<number>; readonly shares: readonly ArrayLike<number>[] },
) {
  return names.flatMap((name, s) =>
    Array.from(shares[s]!, (share, k) => ({ x: (edges[k]! + edges[k + 1]!) / 2, share, name })),
  );
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
  const { rows: data, low, high } = binsOf(series, count);
  const { curve } = options;
  const colour = { domain: series.map((s) => s.name), range: series.map((s) => s.colour) };
  const width = (high - low) / count;
  const points = curve
    ? Array.from({ length: 121 }, (_, k) => {
        const x = low + (k / 120) * (high - low);
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
