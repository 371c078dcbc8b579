// Tables of a report.

import { escapeHtml } from '../report/index.ts';

/** A text, or an AUROC with its interval, coloured by how far it is from guessing. */
export type Cell =
  | string
  | { readonly auroc: number; readonly low?: number; readonly high?: number; readonly best?: boolean };

/** A table that scrolls on narrow screens. Texts are escaped. */
export function table(caption: string, head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const heads = head.map((text) => `<th scope="col">${escapeHtml(text)}</th>`).join('');
  const lines = rows.map((row) => `<tr>${row.map(cellHtml).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${heads}</tr></thead>
<tbody>${lines}</tbody></table></div>`;
}

function cellHtml(cell: Cell): string {
  if (typeof cell === 'string') return `<td>${escapeHtml(cell)}</td>`;
  const { auroc, low, high, best } = cell;
  const strength = (Math.min(1, Math.abs(auroc - 0.5) * 2) * 0.45).toFixed(2);
  const colour = auroc >= 0.5 ? `rgba(0,114,178,${strength})` : `rgba(213,94,0,${strength})`;
  const number = best ? `<b>${auroc.toFixed(3)}</b>` : auroc.toFixed(3);
  const interval = low === undefined || high === undefined ? '' : `<small>${low.toFixed(3)}–${high.toFixed(3)}</small>`;
  return `<td style="background:${colour}">${number}${interval}</td>`;
}
