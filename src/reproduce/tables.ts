// Experiment 2: the paper's main tables. And experiment 8, the same for text and audio.

import { type DetectorSummary, type ResultRow, type Summary, summarise } from '../analysis/index.ts';
import type { EvalRow } from '../eval/index.ts';
import { evaluated } from './evaluation.ts';
import { type Cell, table } from './html.ts';
import type { Lab } from './lab.ts';
import { listed, type Outcome, three } from './outcome.ts';
import type { ModelPlan } from './plan.ts';

type Row = ResultRow & EvalRow;

/** Averages over all ordered pairs of the paper's five sets at B = 5 for diffusion at the smallest t, from the authors' plotting script. */
const paperDiffusion = { 'layer-norms': 0.879, typicality: 0.813 } as const;

const shown = ['layer-norms', 'typicality', 'likelihood'] as const;

async function rowsOf(lab: Lab, plans: readonly ModelPlan[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const plan of plans) {
    if (plan.ood.length === 0) continue;
    for (const row of await evaluated(lab, plan)) rows.push({ ...row, model: plan.family, in: plan.set });
  }
  return rows;
}

export async function mainTables(lab: Lab): Promise<Outcome> {
  const rows = await rowsOf(lab, lab.available(lab.preset.models.images));
  const summaries = summarise(rows);
  return {
    id: 'tables',
    title: 'Layer-wise norms against typicality',
    claim:
      'Layer-wise gradient norms tell out-of-distribution data better than typicality does on average, for flows and diffusion models alike, for single inputs and for groups of five.',
    finding: comparison(rows, summaries),
    numbers: {
      rows,
      summaries,
      paper: { what: 'diffusion, B = 5, t = 1, mean over 20 pairs of other sets and larger models', ...paperDiffusion },
    },
    body: `${pairTables(rows)}
${summaryTable(summaries)}
<p>The paper's own averages for diffusion at B = 5 and its smallest t, over the 20 ordered pairs of SVHN, CelebA, GTSRB, CIFAR-10 and
ImageNet32 with models many times as large: layer-wise norms ${paperDiffusion['layer-norms']}, typicality ${paperDiffusion.typicality}.</p>`,
  };
}

export async function beyondImages(lab: Lab): Promise<Outcome> {
  const { text, audio } = lab.preset.models;
  const rows = await rowsOf(lab, lab.available([...text, ...audio]));
  const summaries = rows.length > 0 ? summarise(rows) : [];
  return {
    id: 'beyond',
    title: 'Beyond images: text and audio',
    claim: 'The method asks nothing of the data: any model with a differentiable likelihood or bound will do.',
    finding: rows.length > 0 ? comparison(rows, summaries) : 'The data for this experiment are missing.',
    numbers: { rows, summaries },
    body: rows.length > 0 ? pairTables(rows) + summaryTable(summaries) : '',
  };
}

function comparison(rows: readonly Row[], summaries: readonly Summary[]): string {
  const averages = summarise(rows, ['group']).map(({ key: [group], detectors, pairs }) => {
    const of = (name: string) => three(detectors.find((d) => d.detector === name)!.mean);
    const what = `${pairs} ${pairs === 1 ? 'pair' : 'pairs'} of model and set`;
    return `Over ${what} at B = ${group} the average AUROC is ${of('layer-norms')} for the norms, ${of('typicality')} for typicality, ${of('likelihood')} for the likelihood.`;
  });
  return `${averages.join(' ')} ${verdict(summaries)}`;
}

function verdict(summaries: readonly Summary[]): string {
  const [better, worse]: [string[], string[]] = [[], []];
  for (const { key, detectors } of summaries) {
    const of = (name: string) => detectors.find((d) => d.detector === name)!.mean;
    (of('layer-norms') > of('typicality') ? better : worse).push(`${key[0]} at B = ${key[1]}`);
  }
  if (worse.length === 0) return 'The norms are ahead of typicality in every row, as claimed.';
  if (better.length === 0) return 'Typicality is ahead of the norms in every row, which contradicts the claim.';
  return `The norms are ahead of typicality for ${listed(better)}; not for ${listed(worse)}.`;
}

/** One table per group size: a line per pair of sets, the best of the detectors shown in bold. */
function pairTables(rows: readonly Row[]): string {
  const groups = [...new Set(rows.map((row) => row.group))];
  return groups
    .map((group) => {
      const block = rows.filter((row) => row.group === group);
      const pairs = [...new Map(block.map((row) => [JSON.stringify([row.model, row.in, row.ood]), row])).values()];
      const lines = pairs.map((pair, k): Cell[] => {
        const same = block.filter((row) => row.model === pair.model && row.in === pair.in && row.ood === pair.ood);
        const cells = shown.map((name) => same.find((row) => row.detector === name)!);
        const most = Math.max(...cells.map((row) => row.auroc));
        const before = pairs[k - 1];
        return [
          before?.model === pair.model ? '' : pair.model,
          before?.model === pair.model && before.in === pair.in ? '' : pair.in,
          pair.ood,
          ...cells.map((row) => ({
            auroc: row.auroc,
            low: row.aurocLow,
            high: row.aurocHigh,
            best: row.auroc === most,
          })),
        ];
      });
      const what = group === 1 ? 'single inputs (B = 1)' : `groups of ${group} (B = ${group})`;
      return table(`AUROC with its 95 % interval, ${what}`, ['model', 'learned', 'against', ...shown], lines);
    })
    .join('\n');
}

function summaryTable(summaries: readonly Summary[]): string {
  const names = summaries[0]?.detectors.map(({ detector }) => detector) ?? [];
  const head = ['model', 'B', 'pairs', ...names];
  const cells = (of: (d: DetectorSummary, all: readonly DetectorSummary[]) => Cell) =>
    summaries.map(({ key: [model, group], detectors, pairs }): Cell[] => [
      String(model),
      String(group),
      String(pairs),
      ...detectors.map((d) => of(d, detectors)),
    ]);
  const means = cells((d, all) => ({
    auroc: d.mean,
    low: d.q1,
    high: d.q3,
    best: all.every((other) => other.mean <= d.mean),
  }));
  return `${table('All detectors: mean AUROC over the pairs, and its quartiles', head, means)}
${table(
  'The number of pairs each detector is best on',
  head,
  cells((d) => String(+d.wins.toFixed(1))),
)}`;
}
