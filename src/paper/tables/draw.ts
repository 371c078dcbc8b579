// Experiments 2 and 8, drawn: AUROCs of pairs of sets, and what they come to on average.

import type { EvalRow } from '../../eval/index.ts';
import { type DetectorSummary, type ResultRow, type Summary, summarise } from '../../eval/index.ts';
import type { Drawing } from '../experiment.ts';
import { type Cell, table } from '../html.ts';
import { listed, three } from '../words.ts';

export type Row = ResultRow & EvalRow & { readonly natural: boolean };

export interface TableNumbers {
  readonly rows: readonly Row[];
  /**
   * Of natural sets, and of all: synthetic ones are easily told from any other, so that they would hide what is not.
   */
  readonly summaries: { readonly natural: readonly Summary[]; readonly all: readonly Summary[] };
  readonly headToHead: readonly HeadToHead[];
}

/**
 * Averages over all ordered pairs of the paper's five sets at B = 5 for diffusion at the smallest t, from the authors'
 * plotting script.
 */
export const paperDiffusion = { 'layer-norms': 0.879, typicality: 0.813 } as const;

const shown = ['layer-norms', 'typicality', 'likelihood'] as const;

export const mainTables: Drawing<TableNumbers> = {
  id: 'tables',
  title: 'Layer-wise norms against typicality',
  claim:
    'Layer-wise gradient norms tell out-of-distribution data better than typicality does on average, for flows and diffusion models alike, for single inputs and for groups of five.',
  finding: comparison,
  body: ({ rows, summaries, headToHead }) => `${matrices(rows)}
${headToHeadTable(headToHead)}
${summaryTables(summaries)}
${pairTables(rows)}
<p>The paper's own averages for diffusion at B = 5 and its smallest t, over the 20 ordered pairs of SVHN, CelebA, GTSRB,
CIFAR-10 and ImageNet32 with models many times as large: layer-wise norms ${paperDiffusion['layer-norms']},
typicality ${paperDiffusion.typicality}.</p>`,
};

export const beyondImages: Drawing<TableNumbers> = {
  id: 'beyond',
  title: 'Beyond images: text and audio',
  claim: 'The method asks nothing of the data: any model with a differentiable likelihood or bound will do.',
  finding: comparison,
  body: ({ rows, summaries, headToHead }) =>
    rows.length > 0 ? pairTables(rows) + headToHeadTable(headToHead) + summaryTables(summaries) : '',
};

/** Pairs of sets of one family and group size on which one detector has the higher AUROC. */
export interface HeadToHead {
  readonly model: string;
  readonly group: number;
  readonly norms: number;
  readonly typicality: number;
  readonly ties: number;
}

/** On how many pairs each of the two has the higher AUROC, to the three digits that are shown. */
export function score(rows: readonly Row[]): Omit<HeadToHead, 'model' | 'group'> {
  const differences = rows.flatMap((row) => {
    if (row.detector !== 'layer-norms') return [];
    const other = rows.find((r) => r.detector === 'typicality' && samePair(r, row))!;
    return [Number(three(row.auroc)) - Number(three(other.auroc))];
  });
  const count = (holds: (d: number) => boolean) => differences.filter(holds).length;
  return { norms: count((d) => d > 0), typicality: count((d) => d < 0), ties: count((d) => d === 0) };
}

const samePair = (a: Row, b: Row) => a.model === b.model && a.in === b.in && a.ood === b.ood && a.group === b.group;

function comparison({ rows }: TableNumbers): string {
  const natural = rows.filter((row) => row.natural);
  if (natural.length === 0) return 'The data for this experiment are missing.';
  const said = summarise(natural, ['group']).map(({ key: [group], detectors, pairs }) => {
    const value = (name: string) => three(detectors.find((d) => d.detector === name)!.mean);
    const { norms, typicality, ties } = score(natural.filter((row) => row.group === group));
    const tied = ties > 0 ? `, ${ties} tied` : '';
    return `Against natural sets at B = ${group} the average AUROC is ${value('layer-norms')} for the norms, ${value('typicality')} for typicality and ${value('likelihood')} for the likelihood; of ${pairs} pairs the norms are ahead on ${norms}, typicality on ${typicality}${tied}.`;
  });
  return `${said.join(' ')} ${verdict(summarise(natural))} ${best(natural)}`;
}

function verdict(summaries: readonly Summary[]): string {
  const [better, worse]: [string[], string[]] = [[], []];
  for (const { key, detectors } of summaries) {
    const of = (name: string) => detectors.find((d) => d.detector === name)!.mean;
    (of('layer-norms') > of('typicality') ? better : worse).push(`${key[0]} at B = ${key[1]}`);
  }
  if (worse.length === 0) return 'On average the norms are ahead of typicality for every family, as claimed.';
  if (better.length === 0) return 'On average typicality is ahead for every family, which contradicts the claim.';
  return `On average the norms are ahead of typicality for ${listed(better)}; not for ${listed(worse)}.`;
}

/** The detector with the highest average at each group size. */
function best(natural: readonly Row[]): string {
  const tops = summarise(natural, ['group']).map(({ key: [group], detectors }) => {
    const top = detectors.reduce((a, b) => (b.mean > a.mean ? b : a));
    return `${top.detector} at B = ${group} (${three(top.mean)})`;
  });
  return `Of all detectors the highest average is that of ${listed(tops)}.`;
}

/**
 * The paper's layout: for each family and group size a column per learned set, a row per other set, norms beside
 * typicality.
 */
function matrices(rows: readonly Row[]): string {
  const families = [...new Set(rows.map((row) => row.model))];
  const groups = [...new Set(rows.map((row) => row.group))];
  const blocks = families.flatMap((model) => groups.map((group) => ({ model, group })));
  return blocks
    .map(({ model, group }) => {
      const own = rows.filter((row) => row.model === model && row.group === group);
      const [ins, oods] = [[...new Set(own.map((row) => row.in))], [...new Set(own.map((row) => row.ood))]];
      const at = (set: string, ood: string, detector: string): Cell => {
        const found = own.find((row) => row.in === set && row.ood === ood && row.detector === detector);
        return found === undefined ? '' : { auroc: found.auroc };
      };
      return table(
        `${model}, B = ${group}: AUROC of layer-norms and of typicality`,
        ['against', ...ins.flatMap((set) => [`${set}: norms`, 'typicality'])],
        oods.map((ood) => [ood, ...ins.flatMap((set) => [at(set, ood, 'layer-norms'), at(set, ood, 'typicality')])]),
      );
    })
    .join('\n');
}

function headToHeadTable(lines: readonly HeadToHead[]): string {
  return table(
    'Pairs of natural sets on which the AUROC is higher',
    ['model', 'B', 'layer-norms', 'typicality', 'equal'],
    lines.map((l) => [l.model, String(l.group), String(l.norms), String(l.typicality), String(l.ties)]),
  );
}

/**
 * One table per group size, to be unfolded: a line per pair of sets with intervals, the best of the detectors shown in
 * bold.
 */
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
      const title = `AUROC with its 95 % interval, ${what}`;
      return `<details><summary>${title}, every pair</summary>${table(title, ['model', 'learned', 'against', ...shown], lines)}</details>`;
    })
    .join('\n');
}

function summaryTables({
  natural,
  all,
}: {
  readonly natural: readonly Summary[];
  readonly all: readonly Summary[];
}): string {
  const more = all.some(({ pairs }, k) => pairs !== natural[k]?.pairs);
  return summaryTable('against natural sets', natural) + (more ? summaryTable('synthetic sets too', all) : '');
}

function summaryTable(what: string, summaries: readonly Summary[]): string {
  const names = summaries[0]?.detectors.map(({ detector }) => detector) ?? [];
  const head = ['model', 'B', 'pairs', ...names];
  const cells = (of: (d: DetectorSummary, all: readonly DetectorSummary[]) => Cell) =>
    summaries.map(({ key: [model, group], detectors, pairs }): Cell[] => [
      String(model),
      String(group),
      String(pairs),
      ...detectors.map((d) => of(d, detectors)),
    ]);
  const means = cells((d, all) => ({ auroc: d.mean, best: all.every((other) => other.mean <= d.mean) }));
  return `${table(`All detectors, ${what}: mean AUROC over the pairs`, head, means)}
${table(
  `All detectors, ${what}: lower quartile / median / upper quartile of the AUROC`,
  head,
  cells((d) => [d.q1, d.median, d.q3].map((v) => v.toFixed(2)).join(' / ')),
)}
${table(
  `All detectors, ${what}: the number of pairs each is best on`,
  head,
  cells((d) => String(+d.wins.toFixed(1))),
)}`;
}
