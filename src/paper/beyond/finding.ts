// Numbers of the experiment beyond the paper in; what they say, in sentences, out.

import { counted, listed, mean, three } from '../words.ts';
import type { BeyondNumbers } from './numbers.ts';

/** About images, whatever it turns out to be. */
export function finding(numbers: BeyondNumbers): string {
  const domain = numbers.averages[0]?.domain;
  if (domain === undefined) return 'The data for this experiment are missing.';
  return [
    ...averages(numbers, domain),
    oracle(numbers, domain),
    shuffled(numbers),
    remade(numbers),
    ...likelihoods(numbers),
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

const named = ['combined', 'combined-gradient', 'layer-norms', 'typicality'];

function averages({ averages: all, behind, models, pairs }: BeyondNumbers, domain: string): string[] {
  const ids = new Set(models.filter((model) => model.domain === domain).map(({ model }) => model));
  const own = all.filter((row) => row.domain === domain);
  return [...new Set(own.map(({ group }) => group))].map((group) => {
    const rows = own.filter((row) => row.group === group);
    const said = named.flatMap((name) => {
      const row = rows.find(({ detector }) => detector === name);
      return row ? [`${three(row.auroc)} for ${name} (${three(row.low)} to ${three(row.high)})`] : [];
    });
    // Over as many pairs: an average over others does not compare.
    const most = Math.max(...rows.map((row) => row.pairs));
    const best = rows.filter((row) => row.pairs === most).reduce((a, b) => (b.auroc > a.auroc ? b : a));
    const top = `the highest is that of ${best.detector}${named.includes(best.detector) ? '' : ` (${three(best.auroc)})`}`;
    const first = behind.find((row) => row.domain === domain && row.group === group && row.detector === named[0]);
    if (!first)
      return `At B = ${group} the average AUROC over ${most} pairs of natural sets is ${listed(said)}; ${top}.`;
    const number = (n: number) => (n === 0 ? 'none' : String(n));
    const ahead = `typicality is ahead of combined on ${number(first.behind)}${first.behind > 0 ? `, by more than the interval of the difference on ${number(first.clearly)}` : ''}`;
    const low = pairs
      .filter((pair) => ids.has(pair.model) && pair.group === group && pair.detector === 'combined')
      .toSorted((a, b) => a.auroc - b.auroc)[0]!;
    const isTold = three(low.auroc) === three(1);
    const least = isTold ? '' : `; combined is lowest on ${low.ood} under ${low.model} (${three(low.auroc)})`;
    return `At B = ${group} the average AUROC over ${most} pairs of natural sets is ${listed(said)}; ${top}; ${ahead}${least}.`;
  });
}

function oracle({ oracle: all, averages: means, models }: BeyondNumbers, domain: string): string {
  const ids = new Set(models.filter((model) => model.domain === domain).map(({ model }) => model));
  const own = all.filter(({ model, group }) => group === 1 && ids.has(model)).map(({ auroc }) => auroc);
  const combined = means.find((row) => row.domain === domain && row.group === 1 && row.detector === 'combined');
  if (own.length === 0 || !combined) return '';
  const least = Math.min(...own);
  return `A linear discriminant that has seen half of the other set reaches ${three(mean(own))} at B = 1 on the same features (at least ${three(least)}), so ${three(Math.max(0, mean(own) - combined.auroc))} is lost for want of examples and not of information.`;
}

function shuffled({ shuffled: rows }: BeyondNumbers): string {
  const own = rows.filter(({ group, detector }) => group === 1 && detector === 'combined-gradient');
  if (own.length === 0) return '';
  const models = [...new Set(own.map(({ model }) => model))];
  const said = models.map((model) => {
    const mine = own.filter((row) => row.model === model);
    return `${three(mean(mine.map((r) => r.learned)))} to ${three(mean(mine.map((r) => r.shuffled)))} for ${model}`;
  });
  const higher = own.filter((row) => row.shuffled > row.learned).length;
  return `With shuffled weights combined-gradient goes from ${listed(said)}; on ${counted(higher, own.length, 'pairs')} the shuffled model has the higher AUROC.`;
}

function remade({ remade: rows }: BeyondNumbers): string {
  const own = rows.filter(({ group, detector }) => group === 1 && detector === 'combined');
  if (own.length === 0) return '';
  const above = own.filter(({ low }) => low > 0.5).length;
  const most = own.filter(({ auroc, foreign }) => auroc >= foreign).length;
  return `Learned images made again as another set was are told from untouched ones by combined at ${three(mean(own.map(({ auroc }) => auroc)))} on average, where those sets themselves are at ${three(mean(own.map(({ foreign }) => foreign)))}: clearly above chance on ${counted(above, own.length, 'pairs')}, and no less than the set itself on ${most}. That much of detection may be of how images were made, and not of what they show.`;
}

/** Whether better likelihoods went with better detection. */
function likelihoods({ models, pairs }: BeyondNumbers): string[] {
  const known = models.flatMap(({ model, in: set, bitsPerDim }) => {
    const own = pairs.filter((pair) => pair.model === model && pair.group === 1 && pair.detector === 'combined');
    return bitsPerDim === undefined || own.length === 0
      ? []
      : [{ model, set, bits: bitsPerDim, auroc: mean(own.map(({ auroc }) => auroc)) }];
  });
  return [...new Set(known.map(({ set }) => set))].flatMap((set) => {
    const own = known.filter((model) => model.set === set).toSorted((a, b) => a.bits - b.bits);
    if (own.length < 2) return [];
    const [first] = own as [(typeof own)[number]];
    const best = own.reduce((a, b) => (b.auroc > a.auroc ? b : a));
    const couples = own.flatMap((a, i) => own.slice(i + 1).map((b) => a.auroc > b.auroc));
    const agree = couples.filter(Boolean).length;
    return [
      `Of ${own.length} models of ${set} the one with the fewest bits/dim (${first.model}, ${first.bits.toFixed(2)}) has ${three(first.auroc)}${best === first ? ', the highest' : `, the highest is ${three(best.auroc)} (${best.model}, ${best.bits.toFixed(2)})`}; of two of them the better likelihood detects better in ${counted(agree, couples.length, 'cases')}.`,
    ];
  });
}
