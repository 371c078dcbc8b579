// A report's content in; its two central figures side by side as one SVG picture out.

import {
  bitsPerDimOf,
  colours,
  mainDetector,
  mainTitle,
  type ReportContent,
  type ReportSet,
  scoresOf,
  tableOf,
  unitOf,
} from './content.ts';
import { histograms, type Series } from './figures.ts';
import { escapeHtml } from './text.ts';

const [width, height] = [960, 340];

/**
 * Left what the likelihood says, right what the main detector says, of the in-distribution and the main other set.
 * Throws an Error without another set, or features for B = 1.
 */
export function overviewSvg(content: ReportContent): string {
  const main = content.oodSets[0];
  const inTable = tableOf(content.inSet, 1);
  if (!main || !inTable) throw new Error('an overview needs an out-of-distribution set and features for B = 1');
  const pair = (values: (set: ReportSet) => ArrayLike<number>): Series[] =>
    [content.inSet, main].map((set, k) => ({ name: set.name, colour: colours[k]!, values: values(set) }));
  const auroc = (detector: string) =>
    content.rows.find((r) => r.detector === detector && r.group === 1 && r.ood === main.name)?.auroc.toFixed(2) ?? '–';
  const title = mainTitle(content.detector);
  const size = { width: width / 2 - 20, height: height - 90 };
  const left = histograms(
    pair((set) => bitsPerDimOf(tableOf(set, 1)!)),
    {
      ...size,
      label: 'likelihood',
      xLabel: `negative log-likelihood, ${unitOf(inTable)}`,
    },
  );
  const right = histograms(
    pair((set) => scoresOf(content.detector, set, 1, mainDetector(content.detector))!),
    {
      ...size,
      label: title,
      xLabel: `score of ${mainDetector(content.detector)}`,
    },
  );
  const text = (x: number, y: number, size: number, body: string, extra = '') =>
    `<text x="${x}" y="${y}" font-size="${size}" ${extra}>${escapeHtml(body)}</text>`;
  const key = [content.inSet, main].map((set, k) => {
    const x = 20 + k * 170;
    return `<rect x="${x}" y="${height - 22}" width="11" height="11" rx="2" fill="${colours[k]}"/>${text(x + 17, height - 12, 13, set.name)}`;
  });
  const bold = 'font-weight="600"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" fill="#1b1f24" color="#1b1f24" role="img" aria-label="${escapeHtml(content.title)}">
<rect width="${width}" height="${height}" fill="#fff"/>
${text(20, 26, 15, `Likelihood: AUROC ${auroc('likelihood')}`, bold)}
${text(width / 2 + 10, 26, 15, `${title}: AUROC ${auroc(mainDetector(content.detector))}`, bold)}
<g transform="translate(10 44)">${left}</g>
<g transform="translate(${width / 2} 44)">${right}</g>
${key.join('')}
</svg>
`;
}
