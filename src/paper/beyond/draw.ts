// Experiment 9, drawn: what the combined detectors come to beside all others, and what that is worth.

import { escapeHtml, figure, lineChart } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { type Cell, table } from '../html.ts';
import { listed, mean } from '../words.ts';
import { finding } from './finding.ts';
import type { BeyondNumbers, BeyondPair } from './numbers.ts';

/** Shown for each model and each pair; the averages have all. */
const shown = ['combined', 'combined-gradient', 'layer-norms', 'typicality', 'input-complexity'] as const;

export const beyondPaper: Drawing<BeyondNumbers> = {
  id: 'beyond-the-paper',
  title: 'Beyond the paper: all that one backward pass tells',
  claim:
    'The logarithm of each layer’s norm is taken for normal and for independent of the others, and there is nothing else to tune.',
  finding,
  body: (numbers) =>
    [
      READING,
      numbers.without.length > 0
        ? `<p>Not measured, for want of the model or its data: ${escapeHtml(listed(numbers.without))}.</p>`
        : '',
      ...domainsOf(numbers).map((domain) => averagesTable(numbers, domain)),
      ...groupsOf(numbers).map((group) => modelsTable(numbers, group)),
      ...figures(numbers),
      ...groupsOf(numbers).map((group) => pairsTable(numbers, group)),
      shuffledTable(numbers),
      remadeTable(numbers),
      costsTable(numbers),
    ].join('\n'),
};

const READING = `
<p><b>combined</b> is the default detector (docs/detection.md): a shrunk normal, local outlier factors and a
contrast with recombined learned inputs, on the logarithms of norms, the radial derivatives and the norms in the
Fisher metric of one pass, and the likelihood; <b>combined-gradient</b> is the same without the likelihood. Both are
fitted once for all group sizes. The other detectors are fitted on the same inputs; <b>input-complexity</b> is the
likelihood against a file’s length (Serrà et al. 2020), for likelihoods of images and sounds alone. <b>The oracle is
no detector</b>: a linear discriminant, on the features of combined, that is shown one half of the other set and
scored on its second half, and the other way round. It says what those features would allow, as far as a line shows
it. Intervals are of 1,000 bootstrap resamples: of the inputs, the same ones for every detector, and for averages of
the pairs too.</p>`;

const domainsOf = ({ averages }: BeyondNumbers): string[] => [...new Set(averages.map(({ domain }) => domain))];
const groupsOf = ({ pairs }: BeyondNumbers): number[] =>
  [...new Set(pairs.map(({ group }) => group))].sort((a, b) => a - b);

/** A row for each detector, the oracle last. */
function averagesTable(numbers: BeyondNumbers, domain: string): string {
  const { averages, costs, models, oracle } = numbers;
  const own = averages.filter((row) => row.domain === domain);
  const groups = [...new Set(own.map(({ group }) => group))];
  const ids = new Set(models.filter((model) => model.domain === domain).map(({ model }) => model));
  const best = groups.map((group) => Math.max(...own.filter((row) => row.group === group).map(({ auroc }) => auroc)));
  const rows = [...new Set(own.map(({ detector }) => detector))].map((detector): Cell[] => {
    const found = groups.map((group) => own.find((row) => row.group === group && row.detector === detector));
    const ratios = costs.filter(({ model }) => ids.has(model)).map((cost) => costRatio(cost, detector));
    return [
      detector,
      String(found.find((row) => row)!.pairs),
      ...found.map((row, k): Cell => (row ? { ...row, best: row.auroc === best[k] } : '–')),
      rangeText(ratios),
    ];
  });
  const oracles = groups.map((group): Cell => {
    const values = oracle.filter((row) => row.group === group && ids.has(row.model)).map(({ auroc }) => auroc);
    return values.length > 0 ? { auroc: mean(values) } : '–';
  });
  return table(
    `Mean AUROC over pairs of natural sets, ${domain}, with its 95 % interval; cost of an input, in multiplications, as a multiple of the likelihood’s`,
    ['detector', 'pairs', ...groups.map((group) => `B = ${group}`), 'cost'],
    [
      ...rows,
      [
        'oracle (no detector)',
        String(new Set(oracle.filter((r) => ids.has(r.model)).map((r) => `${r.model} ${r.ood}`)).size),
        ...oracles,
        '–',
      ],
    ],
  );
}

/** Multiplications for an input over those of the likelihood. */
function costRatio(costs: BeyondNumbers['costs'][number], detector: string): number {
  const { forward, norms, views, densities } = costs;
  if (detector.startsWith('combined')) return (views + densities) / forward;
  return ['likelihood', 'typicality', 'input-complexity'].includes(detector) ? 1 : norms / forward;
}

const rangeText = (values: readonly number[]): string => {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((v) => (v < 10 ? v.toFixed(1) : v.toFixed(0)));
  return low === high ? low! : `${low} to ${high}`;
};

/** A row for each model: means over its natural sets. */
function modelsTable({ models, pairs, oracle }: BeyondNumbers, group: number): string {
  const others = [...new Set(pairs.map(({ detector }) => detector))].filter((d) => !shown.some((name) => name === d));
  const rows = models.map(({ model, in: learned, bitsPerDim, fitted, tested }): Cell[] => {
    const own = pairs.filter((pair) => pair.model === model && pair.group === group);
    const meanOf = (detector: string) => mean(own.filter((p) => p.detector === detector).map(({ auroc }) => auroc));
    const values = shown.map(meanOf);
    const most = Math.max(...values.filter((v) => !Number.isNaN(v)));
    const best = others
      .map((detector) => ({ detector, auroc: meanOf(detector) }))
      .filter(({ auroc }) => !Number.isNaN(auroc))
      .reduce((a, b) => (b.auroc > a.auroc ? b : a), { detector: '–', auroc: -Infinity });
    const seen = oracle.filter((row) => row.model === model && row.group === group).map(({ auroc }) => auroc);
    return [
      model,
      learned,
      bitsPerDim === undefined ? '–' : bitsPerDim.toFixed(2),
      `${fitted} / ${tested}`,
      ...values.map((auroc): Cell => (Number.isNaN(auroc) ? '–' : { auroc, best: auroc === most })),
      best.auroc === -Infinity ? '–' : `${best.auroc.toFixed(3)} ${best.detector}`,
      seen.length > 0 ? { auroc: mean(seen) } : '–',
    ];
  });
  return table(
    `By model, B = ${group}: mean AUROC over its natural sets`,
    ['model', 'learned', 'bits/dim', 'fitted / scored', ...shown, 'best of the others', 'oracle'],
    rows.filter((row) => row.some((cell) => typeof cell !== 'string')),
  );
}

/** To be unfolded: every pair. */
function pairsTable({ models, pairs, oracle }: BeyondNumbers, group: number): string {
  const rows = models.flatMap(({ model, in: learned }) => {
    const own = pairs.filter((pair) => pair.model === model && pair.group === group);
    return [...new Set(own.map(({ ood }) => ood))].map((ood, k): Cell[] => {
      const of = (detector: string): BeyondPair | undefined =>
        own.find((pair) => pair.ood === ood && pair.detector === detector);
      const found = shown.map(of);
      const most = Math.max(...found.flatMap((pair) => pair?.auroc ?? []));
      const seen = oracle.find((row) => row.model === model && row.ood === ood && row.group === group);
      return [
        k === 0 ? model : '',
        k === 0 ? learned : '',
        ood,
        ...found.map((pair): Cell => (pair ? { ...pair, best: pair.auroc === most } : '–')),
        seen ? { auroc: seen.auroc } : '–',
      ];
    });
  });
  const title = `AUROC with its 95 % interval, ${group === 1 ? 'single inputs' : `groups of ${group}`}, and the oracle`;
  return `<details><summary>${title}, every pair</summary>${table(title, ['model', 'learned', 'against', ...shown, 'oracle'], rows)}</details>`;
}

/** For each learned set of two models and more whose bits/dim are known. */
function figures({ models, pairs }: BeyondNumbers): string[] {
  const known = models.filter(({ bitsPerDim }) => bitsPerDim !== undefined);
  const sets = [...new Set(known.map((model) => model.in))];
  return sets.flatMap((set) => {
    const own = known.filter((model) => model.in === set).toSorted((a, b) => a.bitsPerDim! - b.bitsPerDim!);
    if (new Set(own.map(({ bitsPerDim }) => bitsPerDim)).size < 2) return [];
    const lines = ['combined', 'combined-gradient', 'layer-norms', 'typicality'].map((name) => ({
      name,
      points: own.flatMap(({ model, bitsPerDim }) => {
        const found = pairs.filter((pair) => pair.model === model && pair.group === 1 && pair.detector === name);
        return found.length > 0
          ? [{ x: Number(bitsPerDim!.toFixed(2)), y: mean(found.map(({ auroc }) => auroc)) }]
          : [];
      }),
    }));
    const title = `Models that learned ${set}: AUROC over bits/dim, B = 1`;
    const names = own.map(({ model, bitsPerDim }) => `${model} ${bitsPerDim!.toFixed(2)}`).join(', ');
    return [
      figure(
        `Further left is a better likelihood: ${names}. Bounds for VAEs and diffusion models.`,
        lineChart(lines, { title, xLabel: 'bits/dim', yLabel: 'mean AUROC', reference: 0.5 }),
      ),
    ];
  });
}

function shuffledTable({ shuffled, notShuffled }: BeyondNumbers): string {
  const without = notShuffled.map(
    ({ model, reason }) => `<p>With shuffled weights ${escapeHtml(model)} has no numbers: ${escapeHtml(reason)}.</p>`,
  );
  if (shuffled.length === 0) return without.join('\n');
  const keys = [...new Map(shuffled.map((row) => [`${row.model} ${row.ood}`, row])).values()];
  const groups = [...new Set(shuffled.map(({ group }) => group))];
  const kinds = ['combined', 'combined-gradient'];
  const rows = keys.map((key): Cell[] => [
    key.model,
    key.ood,
    String(key.fitted),
    ...kinds.flatMap((detector) =>
      groups.flatMap((group): Cell[] => {
        const found = shuffled.find(
          (row) => row.model === key.model && row.ood === key.ood && row.group === group && row.detector === detector,
        );
        return found ? [{ auroc: found.learned }, { auroc: found.shuffled }] : ['–', '–'];
      }),
    ),
  ]);
  const heads = kinds.flatMap((kind) => groups.flatMap((group) => [`${kind}, B = ${group}`, 'shuffled']));
  return `${table(
    'Control: the entries of every weight tensor permuted. What is left is told by statistics of the input that any network of the shape has; as few inputs in both columns',
    ['model', 'against', 'fitted', ...heads],
    rows,
  )}
${without.join('\n')}`;
}

function remadeTable({ remade, making }: BeyondNumbers): string {
  const single = remade.filter(({ group }) => group === 1);
  if (single.length === 0) return '';
  const names = ['combined', 'combined-gradient', 'layer-norms', 'typicality'];
  const keys = [...new Map(single.map((row) => [`${row.model} ${row.as}`, row])).values()];
  const rows = keys.map((key): Cell[] => [
    key.model,
    key.as,
    ...names.flatMap((detector): Cell[] => {
      const found = single.find((r) => r.model === key.model && r.as === key.as && r.detector === detector);
      return found ? [found, { auroc: found.foreign }] : ['–', '–'];
    }),
  ]);
  const ways = making.map(({ name, from, jpeg, filter, about }) => {
    const file = jpeg === undefined ? '' : `, JPEG of quality ${jpeg}`;
    return [name, `to ${from.join('×')}${file}, back by ${filter}`, about];
  });
  return `${table(
    'Control: learned images made again as those of another set were, against learned images as they are, B = 1; beside it the other set itself. What the first column has of the second may be acquisition and not content',
    ['model', 'made as', ...names.flatMap((name) => [`${name}: remade`, 'the set'])],
    rows,
  )}
<details><summary>How sets were made, as far as is known, and what is done to learned images</summary>${table('Enlarged bicubically, compressed, shrunk', ['set', 'done here', 'known'], ways)}</details>`;
}

function costsTable({ costs }: BeyondNumbers): string {
  const millions = (v: number) => (v / 1e6).toPrecision(3);
  return table(
    'Millions of multiplications for an input',
    [
      'model',
      'likelihood, typicality',
      'norms: layer-norms and its like',
      'combined: features',
      'combined: densities',
      'combined / likelihood',
    ],
    costs.map((c) => [
      c.model,
      ...[c.forward, c.norms, c.views, c.densities].map(millions),
      costRatio(c, 'combined').toFixed(1),
    ]),
  );
}
