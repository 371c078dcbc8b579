// HTML from parts: escaping, legends, pictures.

import { encodePng } from '../data/index.ts';
import type { ImageTile } from './content.ts';
import type { Series } from './figures.ts';

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

export function legend(series: readonly Pick<Series, 'name' | 'colour'>[]): string {
  const items = series.map((s) => `<li><i style="background:${s.colour}"></i>${escapeHtml(s.name)}</li>`);
  return `<ul class="legend">${items.join('')}</ul>`;
}

export function figure(caption: string, body: string): string {
  return `<figure>${body}<figcaption>${caption}</figcaption></figure>`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.1 && share < 0.9 ? 0 : 1)} %`;
}

export function picture(tile: ImageTile): string {
  const bytes = Buffer.from(encodePng(tile)).toString('base64');
  const [, h, w] = tile.shape as [number, number, number];
  const score = Number.isFinite(tile.score) ? tile.score.toFixed(tile.score > 999 ? 0 : 1) : String(tile.score);
  const title = tile.note ? ` title="${escapeHtml(tile.note)}"` : '';
  const alt = escapeHtml(tile.note ?? 'an image');
  return `<div class="tile"${title}><img width="${2 * w}" height="${2 * h}" alt="${alt}" src="data:image/png;base64,${bytes}"><span>${score}</span></div>`;
}
