// The sections of the page: each a heading, a sentence or two computed from the numbers, and a figure or table.

import {
  type CombinedKind,
  combinedKinds,
  combinedOf,
  type DetectorName,
  detectorNames,
  explain,
  missingViews,
} from '../detectors/index.ts';
import { type EvalRow, rocCurve } from '../eval/index.ts';
import {
  bitsPerDimOf,
  colourOf,
  colours,
  judgedIn,
  mainDetector,
  type ReportContent,
  type ReportSet,
  scoresOf,
  tableOf,
  unitOf,
} from './content.ts';
import { histograms, layerLines, rocCurves, type Series } from './figures.ts';
import { escapeHtml, figure, legend, percent, picture } from './text.ts';

/** First what the page is about, then the other detectors. */
const order: readonly (DetectorName | CombinedKind)[] = [
  'likelihood',
  'typicality',
  ...combinedKinds,
  'layer-norms',
  ...detectorNames.filter((name) => !['likelihood', 'typicality', 'layer-norms'].includes(name)),
];

/** There are more detectors than sets. */
const lines = [...colours, '#C9B80A', '#6A3D9A'];

const groupsOf = (content: ReportContent): number[] => [...new Set(content.rows.map((row) => row.group))];

export function resultsSection(content: ReportContent): string {
  const best = content.rows.filter((row) => row.detector === mainDetector(content.detector));
  const worst = best.toSorted((a, b) => a.auroc - b.auroc)[0];
  const sentence = worst
    ? `The lowest AUROC of ${mainDetector(content.detector)} is ${worst.auroc.toFixed(3)} (${escapeHtml(worst.ood)}, B = ${worst.group}).`
    : '';
  const tables = groupsOf(content).map((group) => aurocTable(content, group));
  return `<section><h2>Results</h2>
<p>AUROC with its 95 % bootstrap interval: the chance that an out-of-distribution input gets a higher score than an
in-distribution one.
0.5 is guessing, 1 is perfect, and near 0 a detector is confidently wrong. ${sentence}</p>
${tables.join('')}
<details><summary>Average precision and false-positive rates</summary>${otherMetrics(content)}</details></section>`;
}

function aurocTable(content: ReportContent, group: number): string {
  const rows = content.rows.filter((row) => row.group === group);
  const detectors = order.filter((name) => rows.some((row) => row.detector === name));
  const cell = (row: EvalRow | undefined) => {
    if (!row) return '<td>–</td>';
    const strength = Math.min(1, Math.abs(row.auroc - 0.5) * 2) * 0.45;
    const colour =
      row.auroc >= 0.5 ? `rgba(0,114,178,${strength.toFixed(2)})` : `rgba(213,94,0,${strength.toFixed(2)})`;
    return `<td style="background:${colour}"><b>${row.auroc.toFixed(3)}</b><small>${row.aurocLow.toFixed(3)}–${row.aurocHigh.toFixed(3)}</small></td>`;
  };
  const lines = content.oodSets.map(({ name }) => {
    const ofSet = rows.filter((row) => row.ood === name);
    const cells = detectors.map((d) => cell(ofSet.find((row) => row.detector === d)));
    return `<tr><th scope="row">${escapeHtml(name)}<small>${ofSet[0]?.nOod ?? 0}</small></th>${cells.join('')}</tr>`;
  });
  const what = group === 1 ? 'single inputs (B = 1)' : `groups of ${group} (B = ${group})`;
  const head = detectors.map((d) => `<th scope="col">${d}</th>`).join('');
  return `<div class="scroll"><table><caption>${what}, ${rows[0]?.nIn ?? 0} of
${escapeHtml(content.inSet.name)}</caption>
<thead><tr><th scope="col">against</th>${head}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`;
}

function otherMetrics(content: ReportContent): string {
  const lines = content.rows.map(
    (row) =>
      `<tr><td>${row.group}</td><td>${escapeHtml(row.ood)}</td><td>${row.detector}</td><td>${row.aupr.toFixed(3)}</td><td>${row.fpr95.toFixed(3)}</td></tr>`,
  );
  return `<div class="scroll"><table><thead><tr><th>B</th><th>against</th><th>detector</th><th>average precision</th><th>FPR at 95 % accepted</th></tr></thead><tbody>${lines.join('')}</tbody></table></div>`;
}

export function paradoxSection(content: ReportContent): string {
  const inTable = tableOf(content.inSet, 1);
  if (!inTable) return '';
  const median = inTable.nll.toSorted()[inTable.nll.length >> 1]!;
  const sentences = content.oodSets.flatMap((set) => {
    const table = tableOf(set, 1);
    if (!table) return [];
    const share = table.nll.filter((nll) => nll < median).length / table.nll.length;
    return [`${percent(share)} of ${escapeHtml(set.name)}`];
  });
  const series = withSets(content, (set) => {
    const table = tableOf(set, 1);
    return table && bitsPerDimOf(table);
  });
  const svg = histograms(series, {
    width: 860,
    height: 300,
    label: 'Histograms of the negative log-likelihood of every set',
    xLabel: `negative log-likelihood, ${unitOf(inTable)} (further left is more likely)`,
  });
  return `<section><h2>What the likelihood says</h2>
<p>The share of images that the model finds more likely than the median image of ${escapeHtml(content.inSet.name)},
which it was trained on:
${sentences.join(', ')}. Above 50 % the likelihood prefers the foreign images.</p>
${figure('Each set is normalised to its own size; the outer bins take what lies outside.', legend(series) + svg)}</section>`;
}

export function layersSection(content: ReportContent): string {
  const params = content.detector.groups.find((g) => g.group === 1)?.detectors['layer-norms']?.params;
  const main = content.oodSets[0];
  const [inTable, oodTable] = [tableOf(content.inSet, 1), main && tableOf(main, 1)];
  if (!params || !main || !inTable || !oodTable) return '';
  const meanZ = meanZScores(content, main)!;
  const chosen = [...params.layers.keys()]
    .sort((a, b) => Math.abs(meanZ[b]!) - Math.abs(meanZ[a]!))
    .slice(0, 6)
    .sort((a, b) => a - b);
  const panels = chosen.map((j) => {
    const layer = params.layers[j]!;
    const column = inTable.names.indexOf(layer.name);
    const logs = (table: typeof inTable) =>
      Float64Array.from(table.nll, (_, i) =>
        Math.log(Math.max(table.sqNorms[i * table.names.length + column]!, 2 ** -149)),
      );
    const series: Series[] = [
      { name: content.inSet.name, colour: colours[0], values: logs(inTable) },
      { name: main.name, colour: colours[1], values: logs(oodTable) },
    ];
    const svg = histograms(series, {
      width: 280,
      height: 150,
      label: layer.name,
      xLabel: '',
      curve: layer,
      compact: true,
    });
    return `<div><h3>${escapeHtml(layer.name)}</h3>${svg}</div>`;
  });
  const lines = content.oodSets.flatMap((set) => {
    const values = meanZScores(content, set);
    return values ? [{ name: set.name, colour: colourOf(content, set.name), values }] : [];
  });
  const dropped = params.dropped.length;
  const away = meanZ.filter((z) => Math.abs(z) > 1).length;
  return `<section><h2>What the layers say</h2>
<p>The score of layer-norms adds up how unusual the squared gradient norm of each of ${params.layers.length} parameter
tensors is, on a logarithmic scale and against a normal fitted on in-distribution inputs (dashed).
In ${away} of them the mean of ${escapeHtml(main.name)} lies more than one standard deviation away.${dropped > 0 ? ` ${dropped} tensors without spread are left out.` : ''}</p>
${legend([
  { name: content.inSet.name, colour: colours[0] },
  { name: main.name, colour: colours[1] },
])}
<div class="panels">${panels.join('')}</div>
${figure('How far each set is from the fitted normal, layer by layer.', legend(lines) + layerLines(lines, { width: 860, height: 260, cap: 8, label: 'Mean z-score of every layer' }))}</section>`;
}

/** Mean over the set of (log f_j − μ_j) / σ_j for the layers of the detector. */
function meanZScores(content: ReportContent, set: ReportSet): Float64Array | undefined {
  const params = content.detector.groups.find((g) => g.group === 1)?.detectors['layer-norms']?.params;
  const table = tableOf(set, 1);
  if (!params || !table) return undefined;
  const { names, zScores } = explain(params, table);
  const n = table.nll.length;
  return Float64Array.from(names, (_, j) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += zScores[i * names.length + j]!;
    return sum / n;
  });
}

/** What the views of the combined detector say of each set, where there is one. */
export function viewsSection(content: ReportContent): string {
  const { detector } = content;
  if (!detector.combined) return '';
  const fit = combinedOf(detector);
  const names = fit.views.map(({ view }) => view.name);
  const lines = [content.inSet, ...content.oodSets].flatMap(({ name, singles }) => {
    if (!singles) return [];
    const shares = judgedIn(detector, singles, 1)
      .shares('combined')
      .filter(({ likelihood }) => !Number.isNaN(likelihood));
    const mean = (of: (one: (typeof shares)[number]) => number) =>
      shares.reduce((sum, one) => sum + of(one), 0) / shares.length;
    const cells = names.map((_, k) => `<td>${mean(({ views }) => views[k]!.share).toFixed(2)}</td>`);
    const whole = mean(({ views }) => views.reduce((sum, { share }) => sum + share, 0));
    return [`<tr><th scope="row">${escapeHtml(name)}</th>${cells.join('')}<td><b>${whole.toFixed(2)}</b></td></tr>`];
  });
  const head = names.map((name) => `<th scope="col">${name}</th>`).join('');
  const missing = missingViews(detector.combined.detector)
    .map(({ view, aspect, reason }) => `\nWithout ${view}${aspect === undefined ? '' : ` of ${aspect}`}: ${reason}.`)
    .map(escapeHtml)
    .join('');
  return `<section><h2>What the views say</h2>
<p>The combined detector adds up how surprising an input is in several views of the same gradients: their lengths in the
Fisher metric, all layers together (metric); how empty its surroundings are (surroundings); how far it lies towards
recombined inputs (contrast); how unusual what flows through the model is, before any gradient (activations); and how
likely the input is (likelihood). In nats, the mean over single inputs.${missing}</p>
<div class="scroll"><table><thead><tr><th scope="col">set</th>${head}<th scope="col">score</th></tr></thead><tbody>${lines.join('')}</tbody></table></div></section>`;
}

export function rocSection(content: ReportContent): string {
  const main = content.oodSets[0];
  if (!main) return '';
  const names = order.filter((name) => content.rows.some((row) => row.detector === name));
  const coloured = names.map((name, k) => ({ name, colour: lines[k % lines.length]! }));
  const panels = groupsOf(content).map((group) => {
    const curves = coloured.flatMap(({ name, colour }) => {
      const inScores = scoresOf(content.detector, content.inSet, group, name);
      const oodScores = scoresOf(content.detector, main, group, name);
      return inScores && oodScores ? [{ name, colour, points: rocCurve(inScores, oodScores) }] : [];
    });
    const label = `ROC curves, B = ${group}`;
    return `<div><h3>B = ${group}</h3>${rocCurves(curves, { width: 400, height: 380, label })}</div>`;
  });
  return `<section><h2>ROC curves</h2>
<p>${escapeHtml(content.inSet.name)} against ${escapeHtml(main.name)}: what share of each is accepted as the threshold
moves. The further up and left, the better; on the
diagonal a detector knows nothing, below it it is wrong.</p>
${legend(coloured)}<div class="panels wide">${panels.join('')}</div></section>`;
}

export function imagesSection(content: ReportContent): string {
  const blocks = [content.inSet, ...content.oodSets].flatMap((set) => {
    if (!set.images) return [];
    const { most, least } = set.images;
    return [
      `<h3>${escapeHtml(set.name)}</h3><div class="tiles"><b>most</b>${most.map(picture).join('')}</div><div class="tiles"><b>least</b>${least.map(picture).join('')}</div>`,
    ];
  });
  if (blocks.length === 0) return '';
  return `<section><h2>The most and the least surprising images</h2>
<p>By ${mainDetector(content.detector)} on single inputs; the number is the score, higher is more out of
distribution.</p>${blocks.join('')}</section>`;
}

function withSets(
  content: ReportContent,
  values: (set: ReportSet) => ArrayLike<number> | undefined,
): readonly Series[] {
  return [content.inSet, ...content.oodSets].flatMap((set) => {
    const found = values(set);
    return found ? [{ name: set.name, colour: colourOf(content, set.name), values: found }] : [];
  });
}
