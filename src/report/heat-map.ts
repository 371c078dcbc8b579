// A square matrix in; its absolute values as a heat map with layer boundaries and a colour bar, SVG text, out.

import * as Plot from '@observablehq/plot';
import { centred, draw } from './figures.ts';
import { framed } from './frame.ts';
import { pngUrl } from './text.ts';

/** Layers up to which their names fit beside the matrix; more are counted. */
const MOST_NAMES = 24;
const LONGEST_NAME = 26;
const SIDE = 440;

/**
 * |entries| of a [d, d] matrix, from white (0) to dark blue (`max` and above, default 1): lightness falls steadily, so
 * it reads in black and white. Entries are pixels of an embedded PNG of d × d, so a few hundred rows are no burden.
 * With `layers`, [d], lines are drawn where the layer changes and layers are named; without, the axes count rows.
 * Throws an Error where the sizes do not fit.
 */
export function heatMap(
  matrix: ArrayLike<number>,
  options: {
    readonly title: string;
    /** What a row is, for the axes: 'weight', 'layer, from the input on'. */
    readonly rowLabel: string;
    /** What a value is, for the colour bar. */
    readonly valueLabel: string;
    readonly max?: number;
    readonly layers?: readonly string[];
  },
): string {
  const { title, rowLabel, valueLabel, max = 1, layers } = options;
  const d = Math.round(Math.sqrt(matrix.length));
  if (d * d !== matrix.length || (layers !== undefined && layers.length !== d)) {
    throw new Error(
      `heat map '${title}': ${matrix.length} entries and ${layers?.length ?? 'no'} layer names do not fit`,
    );
  }
  const blocks = layers === undefined ? [] : blocksOf(layers);
  const named = blocks.length > 0 && blocks.length <= MOST_NAMES;
  const names = blocks.map(({ name }) => shortened(name));
  const room = named ? 16 + 6.2 * Math.max(...names.map((name) => name.length)) : 46;
  const margins = { marginTop: 8, marginRight: 8, marginLeft: room, marginBottom: named ? 0.75 * room + 24 : 42 };
  const size = { width: SIDE + room + 8, height: SIDE + 8 + margins.marginBottom };
  const centres = blocks.map(({ from, to }) => (from + to) / 2);
  const boundaries = blocks.slice(1).map(({ from }) => from);
  const axis = named
    ? { ticks: centres, tickFormat: (_: number, k: number) => names[k]!, tickSize: 0, label: null }
    : { ticks: 8, label: null };
  const label = boundaries.length > 0 ? `${rowLabel} (lines: layer boundaries)` : rowLabel;
  const line = { stroke: '#555', strokeWidth: 0.7, strokeOpacity: 0.7 };
  const map = draw(
    {
      ...margins,
      x: { domain: [0, d], ...axis, ...(named ? { tickRotate: -45 } : { label, ...centred }) },
      y: { domain: [0, d], reverse: true, ...axis },
      marks: [
        Plot.image([0], {
          x: d / 2,
          y: d / 2,
          src: pixelsOf(matrix, d, max),
          width: SIDE,
          height: SIDE,
          preserveAspectRatio: 'none',
          imageRendering: 'pixelated',
        }),
        Plot.ruleX(boundaries, line),
        Plot.ruleY(boundaries, line),
        Plot.frame({ stroke: '#555' }),
      ],
    },
    title,
    size,
  );
  return framed(title, [{ svg: map, ...size }, colourBar(valueLabel, max, size.height - margins.marginBottom)]);
}

/** Runs of equal names. */
function blocksOf(layers: readonly string[]): { name: string; from: number; to: number }[] {
  const blocks: { name: string; from: number; to: number }[] = [];
  for (const [k, name] of layers.entries()) {
    const last = blocks.at(-1);
    if (last?.name === name) last.to = k + 1;
    else blocks.push({ name, from: k, to: k + 1 });
  }
  return blocks;
}

/** The end of a long name, which tells layers apart. */
function shortened(name: string): string {
  return name.length > LONGEST_NAME ? `…${name.slice(1 - LONGEST_NAME)}` : name;
}

/** 256 colours from 0 to the most. */
const palette = (() => {
  const { apply } = Plot.scale({ color: { type: 'linear', scheme: 'blues', domain: [0, 255] } })!;
  return Array.from({ length: 256 }, (_, k) => {
    const colour = apply(k) as string;
    return k === 0 ? [255, 255, 255] : colour.match(/\d+/g)!.map(Number);
  });
})();

const shadeOf = (value: number, max: number) => palette[Math.round(255 * Math.min(1, Math.abs(value) / max))]!;

/** A PNG of one pixel per entry, as a data address. */
function pixelsOf(matrix: ArrayLike<number>, d: number, max: number): string {
  const data = new Uint8Array(3 * d * d);
  for (let k = 0; k < d * d; k++) {
    const shade = shadeOf(matrix[k]!, max);
    for (let c = 0; c < 3; c++) data[c * d * d + k] = shade[c]!;
  }
  return pngUrl({ data, shape: [3, d, d] });
}

function colourBar(label: string, max: number, height: number) {
  const size = { width: 84, height };
  const steps = Array.from({ length: 64 }, (_, k) => ({
    y1: (k / 64) * max,
    y2: ((k + 1) / 64) * max,
    shade: `rgb(${shadeOf(((k + 0.5) / 64) * max, max).join(', ')})`,
  }));
  const svg = draw(
    {
      marginTop: 8,
      marginBottom: 0,
      marginLeft: 8,
      marginRight: 58,
      x: { axis: null, domain: [0, 1] },
      y: {
        axis: 'right',
        label,
        ...centred,
        domain: [0, max],
        ticks: 5,
        tickFormat: (v: number) => `${v >= max && max < 1 ? '≥ ' : ''}${+v.toPrecision(3)}`,
      },
      marks: [
        Plot.rect(steps, { x1: 0, x2: 1, y1: 'y1', y2: 'y2', fill: 'shade', shapeRendering: 'crispEdges' }),
        Plot.frame({ stroke: '#555' }),
      ],
    },
    label,
    size,
  );
  return { svg, ...size };
}
