// Plain numbers in, SVG text out: the figures of the paper's experiments. Each has a title, labelled axes and a key.

import * as Plot from '@observablehq/plot';
import { cdfOf, type Distribution, histogram, type LayerFits, orderStatistics, qqPoints } from '../eval/index.ts';
import { centred, draw, rowsOfBins, sharedHistogram } from './figures.ts';
import { framed, type KeyItem, lookOf } from './frame.ts';

/** A sample with the name that its key gives it. */
export interface NamedValues {
  readonly name: string;
  readonly values: ArrayLike<number>;
}

const SET_BINS = 60;

/** The numbers of `setHistograms`. */
export const binsOfSets = (sets: readonly NamedValues[]) => sharedHistogram(sets, SET_BINS);

/** As `Histogram`, in whatever lists. */
export interface SetBins {
  readonly edges: ArrayLike<number>;
  readonly shares: readonly ArrayLike<number>[];
  readonly outside: readonly { readonly below: number; readonly above: number }[];
}

/**
 * Overlaid histograms of several sets over shared bins, each normalised to its own size, in-distribution first. The key
 * says how much of a set lies beyond the axis, in its outermost bin.
 */
export function setHistograms(
  names: readonly string[],
  bins: SetBins,
  options: { readonly title: string; readonly xLabel: string },
): string {
  const size = { width: 760, height: 300 };
  const looks = names.map((name, k): KeyItem => ({ ...lookOf(k), name, sample: 'line' }));
  const { outside } = bins;
  const rows = rowsOfBins(names, bins);
  const keyed = looks.map((look, k) => ({ ...look, name: look.name + beyond(outside[k]!) }));
  const svg = draw(
    {
      marginLeft: 52,
      marginBottom: 42,
      x: { label: options.xLabel, ticks: 8, ...centred },
      y: { label: 'share of the set, %', transform: (share: number) => 100 * share, ticks: 5, grid: true, nice: true },
      marks: [
        ...looks.flatMap(({ name, colour, dash }) => {
          const own = rows.filter((row) => row.name === name);
          return [
            Plot.areaY(own, { x: 'x', y1: 0, y2: 'share', fill: colour, fillOpacity: 0.15, curve: 'step' }),
            Plot.lineY(own, {
              x: 'x',
              y: 'share',
              stroke: colour,
              strokeDasharray: dash,
              strokeWidth: 1.8,
              curve: 'step',
            }),
          ];
        }),
        Plot.ruleY([0]),
      ],
    },
    options.title,
    size,
  );
  return framed(options.title, [{ svg, ...size }], keyed);
}

/** For a key; nothing where less than 1 % of a set lies beyond the axis. */
function beyond({ below, above }: { readonly below: number; readonly above: number }): string {
  const parts = [
    { share: below, side: 'left' },
    { share: above, side: 'right' },
  ];
  const said = parts
    .filter(({ share }) => share >= 0.01)
    .map((p) => `${Math.round(100 * p.share)} % further ${p.side}`);
  return said.length === 0 ? '' : ` (${said.join(', ')})`;
}

const fitNames = { chi2: 'scaled χ²', 'log-normal': 'log-normal' } as const;

const FITS = ['chi2', 'log-normal'] as const;
const LAYER_BINS = 40;
const QUANTILES = 60;

/** What `distributionFigure` draws of one layer's squared norms; plain JSON. */
export interface DistributionNumbers {
  /** Of the histogram of log₁₀ f: its two ends, and the share in each of its equal bins. */
  readonly range: readonly [number, number];
  readonly shares: readonly number[];
  readonly fits: Readonly<Record<(typeof FITS)[number], Distribution>>;
  /** How many norms there are, and some of them, see `orderStatistics`. */
  readonly n: number;
  readonly observed: readonly number[];
}

/**
 * The numbers of `distributionFigure`: of one layer's squared norms `values` and their fits. Throws a DataError as
 * `histogram` does.
 */
export function distributionNumbers(values: ArrayLike<number>, fits: LayerFits): DistributionNumbers {
  const { edges, shares } = histogram([Float64Array.from(values, Math.log10)], { bins: LAYER_BINS });
  return {
    range: [edges[0]!, edges[LAYER_BINS]!],
    shares: Array.from(shares[0]!),
    fits: { chi2: fits.chi2.distribution, 'log-normal': fits['log-normal'].distribution },
    ...orderStatistics(values, QUANTILES),
  };
}

/**
 * One layer's squared norms: left their histogram with both fitted densities, right observed against fitted quantiles
 * of log₁₀ f, on the diagonal where a fit is right.
 */
export function distributionFigure(
  { range, shares, fits, n, observed }: DistributionNumbers,
  options: { readonly title: string },
): string {
  const size = { width: 400, height: 320 };
  const looks = FITS.map((name, k): KeyItem => ({ ...lookOf(k), name: fitNames[name], sample: 'both' }));
  const [low, high] = range;
  // A fit's share of a bin; sampled at four offsets for a smooth curve.
  const width = (high - low) / shares.length;
  const edge = (k: number) => (k === shares.length ? high : low + k * width);
  const bars = shares.map((share, k) => ({ x1: edge(k), x2: edge(k + 1), share }));
  const curves = FITS.map((name) =>
    Array.from({ length: 4 * bars.length + 1 }, (_, k) => {
      const x = low + (k / 4) * width;
      return { x, share: cdfOf(fits[name], 10 ** (x + width / 2)) - cdfOf(fits[name], 10 ** (x - width / 2)) };
    }),
  );
  const left = draw(
    {
      marginLeft: 52,
      marginBottom: 42,
      x: { label: 'log₁₀ of the squared norm, nats²', ticks: 6, ...centred },
      y: {
        label: 'share of the inputs, %',
        transform: (share: number) => 100 * share,
        ticks: 5,
        grid: true,
        nice: true,
      },
      marks: [
        Plot.rectY(bars, { x1: 'x1', x2: 'x2', y1: 0, y2: 'share', fill: 'currentColor', fillOpacity: 0.2 }),
        ...looks.map(({ colour, dash }, k) =>
          Plot.lineY(curves[k]!, { x: 'x', y: 'share', stroke: colour, strokeDasharray: dash, strokeWidth: 2 }),
        ),
        Plot.ruleY([0]),
      ],
    },
    `${options.title}: histogram`,
    size,
  );

  const points = FITS.map((name) =>
    qqPoints({ n, observed }, fits[name]).map((p) => ({
      theoretical: Math.log10(p.theoretical),
      observed: Math.log10(p.observed),
    })),
  );
  const ends = points.flat().map((p) => p.observed);
  const diagonal = [Math.min(...ends), Math.max(...ends)].map((v) => ({ v }));
  const right = draw(
    {
      marginLeft: 52,
      marginBottom: 42,
      x: { label: 'fitted quantile, log₁₀', ticks: 5, grid: true, ...centred },
      y: { label: 'observed quantile, log₁₀', ticks: 5, grid: true },
      marks: [
        Plot.line(diagonal, { x: 'v', y: 'v', stroke: 'currentColor', strokeOpacity: 0.6 }),
        ...looks.map(({ colour, symbol }, k) =>
          Plot.dot(points[k]!, { x: 'theoretical', y: 'observed', stroke: colour, r: 3, symbol }),
        ),
      ],
    },
    `${options.title}: quantiles`,
    size,
  );
  return framed(
    options.title,
    [
      { svg: left, ...size },
      { svg: right, ...size },
    ],
    looks,
  );
}

/** A point of a line, in the units of its axes. */
export interface LinePoint {
  readonly x: number;
  readonly y: number;
  /** An interval around y, drawn as a band where every point of the line has one. */
  readonly low?: number;
  readonly high?: number;
}

/**
 * Lines with points, and bands for their intervals: y against a quantity that an experiment varies. Throws an Error for
 * x ≤ 0 on a logarithmic axis.
 */
export function lineChart(
  lines: readonly { readonly name: string; readonly points: readonly LinePoint[] }[],
  options: {
    readonly title: string;
    readonly xLabel: string;
    readonly yLabel: string;
    /** Equal steps for equal factors of x, which must be positive. Default: equal steps for equal differences. */
    readonly logX?: boolean;
    readonly yDomain?: readonly [number, number];
    /** A horizontal line for reference, such as an AUROC of 0.5. */
    readonly reference?: number;
  },
): string {
  const size = { width: 760, height: 360 };
  const looks = lines.map((line, k): KeyItem => ({ ...lookOf(k), name: line.name, sample: 'both' }));
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  if (options.logX && xs.some((x) => !(x > 0))) {
    throw new Error(`line chart '${options.title}': x is ${xs[0]}, a logarithmic axis needs x > 0`);
  }
  const svg = draw(
    {
      marginLeft: 56,
      marginRight: 24,
      marginBottom: 42,
      x: { type: options.logX ? 'log' : 'linear', label: options.xLabel, ticks: 8, ...centred },
      y: {
        label: options.yLabel,
        grid: true,
        ...(options.yDomain === undefined ? { nice: true } : { domain: [...options.yDomain] }),
      },
      marks: [
        // The values themselves where their labels have room: the marks of a logarithmic axis would be powers of ten.
        ...(xs.length <= 12 ? [Plot.axisX(xs, { text: xs.map((x) => x.toLocaleString('en')), ...centred })] : []),
        ...(options.reference === undefined
          ? []
          : [Plot.ruleY([options.reference], { stroke: 'currentColor', strokeOpacity: 0.5, strokeDasharray: '3 3' })]),
        ...lines.flatMap(({ points }, k) =>
          points.every(({ low, high }) => low !== undefined && high !== undefined)
            ? [Plot.areaY(points, { x: 'x', y1: 'low', y2: 'high', fill: looks[k]!.colour, fillOpacity: 0.15 })]
            : [],
        ),
        ...lines.flatMap(({ points }, k) => {
          const { colour, dash, symbol } = looks[k]!;
          return [
            Plot.line(points, { x: 'x', y: 'y', stroke: colour, strokeDasharray: dash, strokeWidth: 2 }),
            Plot.dot(points, { x: 'x', y: 'y', stroke: colour, fill: colour, fillOpacity: 0.5, r: 4, symbol }),
          ];
        }),
      ],
    },
    options.title,
    size,
  );
  return framed(options.title, [{ svg, ...size }], looks);
}
