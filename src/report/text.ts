// HTML from parts: escaping, legends, pictures.

import { encodePng, type PixelImage } from '../data/index.ts';
import type { ImageTile } from './content.ts';
import type { Series } from './figures.ts';

/** Text as HTML shows it, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

export function legend(series: readonly Pick<Series, 'name' | 'colour'>[]): string {
  const items = series.map((s) => `<li><i style="background:${s.colour}"></i>${escapeHtml(s.name)}</li>`);
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** An HTML figure. Both are HTML already: `escapeHtml` what is not. */
export function figure(caption: string, body: string): string {
  return `<figure>${body}<figcaption>${caption}</figcaption></figure>`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.1 && share < 0.9 ? 0 : 1)} %`;
}

/** The picture as an address that holds it. */
export function pngUrl(image: PixelImage): string {
  // Piece by piece: as many arguments as a large picture has bytes are too many for a call.
  let text = '';
  const bytes = encodePng(image);
  for (let at = 0; at < bytes.length; at += 2 ** 14) text += String.fromCharCode(...bytes.subarray(at, at + 2 ** 14));
  return `data:image/png;base64,${btoa(text)}`;
}

export function picture(tile: ImageTile): string {
  const [, h, w] = tile.shape as [number, number, number];
  const score = Number.isFinite(tile.score) ? tile.score.toFixed(tile.score > 999 ? 0 : 1) : String(tile.score);
  const title = tile.note ? ` title="${escapeHtml(tile.note)}"` : '';
  const alt = escapeHtml(tile.note ?? 'an image');
  return `<div class="tile"${title}><img width="${2 * w}" height="${2 * h}" alt="${alt}" src="${pngUrl(tile)}"><span>${score}</span></div>`;
}
