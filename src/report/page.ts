// A report's content in; one HTML page without scripts or anything from outside out.

import type { ReportContent } from './content.ts';
import { imagesSection, layersSection, paradoxSection, resultsSection, rocSection, viewsSection } from './sections.ts';
import { escapeHtml } from './text.ts';

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 900px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: .9rem; margin: .6rem 0 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .9rem; }
dt { opacity: .65; } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .8rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .35rem .7rem; text-align: left; border-bottom: 1px solid var(--line); }
td small, th small { display: block; opacity: .65; font-weight: 400; } details { font-size: .9rem; margin: .6rem 0; }
figure { margin: 1rem 0; } figcaption { font-size: .85rem; opacity: .7; } svg { max-width: 100%; height: auto; }
.legend { list-style: none; padding: 0; margin: .5rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem;
  font-size: .9rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: .6rem 1.2rem; }
.panels.wide { grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); }
.tiles { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: .3rem 0; }
.tiles > b { width: 3.2rem; font-size: .85rem; font-weight: 400; opacity: .7; }
.tile { text-align: center; font-size: .7rem; }
.tile img { display: block; image-rendering: pixelated; border: 1px solid var(--line); }
`;

/**
 * The page: results, the paradox, the views, the layers, ROC curves, images. Sections that the content has nothing for
 * are left out.
 */
export function reportHtml(content: ReportContent): string {
  const sections = [resultsSection, paradoxSection, viewsSection, layersSection, rocSection, imagesSection].map((s) =>
    s(content),
  );
  return pageHtml(content.title, content.facts, sections);
}

/** A page of its own: title, label and value pairs, and sections of HTML. */
export function pageHtml(
  title: string,
  facts: readonly (readonly [string, string])[],
  sections: readonly string[],
): string {
  const rows = facts.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><header><h1>${escapeHtml(title)}</h1><dl>${rows.join('')}</dl></header>
${sections.join('\n')}
</body></html>
`;
}
