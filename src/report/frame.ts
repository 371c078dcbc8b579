// Drawn panels in; one SVG with a title above and a key below them out. Series differ in dash and symbol as well as in
// colour.

import * as Plot from '@observablehq/plot';
import { colours } from './content.ts';
import { draw } from './figures.ts';
import { escapeHtml } from './text.ts';

/** How one series looks: also in black and white, and to the colour-blind. */
export interface Look {
  readonly colour: string;
  /** Of its line, as SVG has it; 'none' is solid. */
  readonly dash: string;
  readonly symbol: (typeof symbols)[number];
}

const dashes = ['none', '7 3', '2 3', '9 3 2 3', '5 2 1 2 1 2'] as const;
const symbols = ['circle', 'square', 'triangle', 'diamond', 'cross', 'star', 'wye'] as const;

/**
 * The look of series k; dashes, symbols and colours repeat with different periods, so the first 35 differ without their
 * colour.
 */
export function lookOf(k: number): Look {
  return {
    colour: colours[k % colours.length]!,
    dash: dashes[k % dashes.length]!,
    symbol: symbols[k % symbols.length]!,
  };
}

export interface KeyItem extends Look {
  readonly name: string;
  /** What stands beside the name. */
  readonly sample: 'line' | 'dot' | 'both';
}

export interface Panel {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

const TITLE_HEIGHT = 34;
const KEY_ROW = 22;

/** Panels side by side under a title, with a key of several rows if need be. */
export function framed(title: string, panels: readonly Panel[], key: readonly KeyItem[] = []): string {
  const width = panels.reduce((sum, panel) => sum + panel.width, 0);
  const tallest = Math.max(...panels.map((panel) => panel.height));
  const rows = keyRows(key, width);
  const height = TITLE_HEIGHT + tallest + rows.length * KEY_ROW + (rows.length > 0 ? 6 : 0);
  const placed = panels.map(({ svg }, k) => {
    const x = panels.slice(0, k).reduce((sum, panel) => sum + panel.width, 0);
    return `<g transform="translate(${x} ${TITLE_HEIGHT})">${svg}</g>`;
  });
  const keys = rows.map(
    (row, k) => `<g transform="translate(0 ${TITLE_HEIGHT + tallest + k * KEY_ROW + 4})">${keySvg(row, width)}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" fill="currentColor" role="img" aria-label="${escapeHtml(title)}">
<text x="8" y="20" font-size="15" font-weight="600">${escapeHtml(title)}</text>
${placed.join('\n')}
${keys.join('\n')}
</svg>`;
}

interface PlacedItem extends KeyItem {
  readonly x: number;
}

/**
 * Items from left to right; one that would not fit begins a new row. Widths of text are estimated at 6.6 pixels a
 * letter.
 */
function keyRows(key: readonly KeyItem[], width: number): PlacedItem[][] {
  const rows: PlacedItem[][] = [];
  let x = Infinity;
  for (const item of key) {
    const needed = 36 + 6.6 * item.name.length + 20;
    if (x + needed > width) {
      rows.push([]);
      x = 12;
    }
    rows.at(-1)!.push({ ...item, x });
    x += needed;
  }
  return rows;
}

function keySvg(row: readonly PlacedItem[], width: number): string {
  const middle = KEY_ROW / 2;
  const lines = row.filter((item) => item.sample !== 'dot');
  const dots = row.filter((item) => item.sample !== 'line');
  return draw(
    {
      margin: 0,
      axis: null,
      x: { type: 'identity' },
      y: { type: 'identity' },
      marks: [
        ...lines.map(({ x, colour, dash }) =>
          Plot.link([0], {
            x1: x,
            x2: x + 28,
            y1: middle,
            y2: middle,
            stroke: colour,
            strokeWidth: 2,
            strokeDasharray: dash,
          }),
        ),
        ...dots.map(({ x, colour, symbol }) =>
          Plot.dot([0], { x: x + 14, y: middle, r: 4, stroke: colour, fill: colour, fillOpacity: 0.5, symbol }),
        ),
        Plot.text(row, { x: (item: PlacedItem) => item.x + 36, y: middle, text: 'name', textAnchor: 'start' }),
      ],
    },
    'key',
    { width, height: KEY_ROW },
  );
}
