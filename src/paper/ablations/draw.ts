// Experiment 7, drawn: the AUROC against whatever is varied.

import { figure, type LinePoint, lineChart } from '../../report/index.ts';
import type { Drawing } from '../experiment.ts';
import { table } from '../html.ts';
import { counted, listed, mean, three } from '../words.ts';

export const detectorsShown = ['layer-norms', 'typicality'] as const;
type Shown = (typeof detectorsShown)[number];

/** Averages over all ordered pairs of the paper's five sets at B = 5, from the authors' plotting script. */
export const paperByTimestep = {
  timesteps: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 999],
  'layer-norms': [0.879, 0.876, 0.881, 0.88, 0.878, 0.871, 0.867, 0.855, 0.852, 0.772, 0.572],
  typicality: [0.813, 0.822, 0.832, 0.842, 0.848, 0.85, 0.849, 0.845, 0.836, 0.819, 0.558],
} as const;

/** AUROC of one detector on one pair of sets, at one value of what is varied. */
export interface Point {
  readonly model: string;
  readonly in: string;
  readonly ood: string;
  readonly group: number;
  readonly detector: Shown;
  readonly x: number;
  readonly natural: boolean;
  readonly auroc: number;
  readonly aurocLow: number;
  readonly aurocHigh: number;
}

/** By what is varied. */
export type AblationNumbers = Readonly<Record<keyof typeof varied, readonly Point[]>>;

/** In the order of the report; `B` is the group size of the points. */
const varied = {
  timestep: { title: (B: number) => `Diffusion: step t of the loss, B = ${B}`, xLabel: 't' },
  noiseSamples: {
    title: (B: number) => `Diffusion: number of noise samples at the smallest t, B = ${B}`,
    xLabel: 'noise samples',
  },
  groupSize: { title: () => 'Group size B', xLabel: 'B' },
  fitSize: { title: () => 'Number of inputs that the detectors are fitted on, B = 1', xLabel: 'fit inputs' },
  trainingTime: { title: () => 'Training time, each trained anew, B = 1', xLabel: 'training steps' },
  modelSize: { title: () => 'Model size, same number of steps, B = 1', xLabel: 'parameters' },
} as const;

interface Series {
  readonly title: string;
  readonly xLabel: string;
  readonly points: readonly Point[];
}

function seriesOf(numbers: AblationNumbers): Readonly<Record<string, Series>> {
  return Object.fromEntries(
    Object.entries(varied).map(([key, { title, xLabel }]) => {
      const points = numbers[key as keyof typeof varied];
      return [key, { title: title(points[0]?.group ?? 1), xLabel, points }];
    }),
  );
}

export const ablations: Drawing<AblationNumbers> = {
  id: 'ablations',
  title: 'What the result depends on',
  claim:
    'For diffusion the norms do well at every step but the noisiest; larger groups help; and there is nothing else to tune.',
  finding: (numbers) => finding(seriesOf(numbers)),
  body(numbers) {
    const series = seriesOf(numbers);
    return [
      coursesTable(series),
      ...Object.values(series)
        .filter(({ points }) => points.length > 0)
        .map(
          (s) =>
            figure('Lines: averages over the other natural sets; the table has every pair.', chart(s)) +
            `<details><summary>Every pair</summary>${pointsTable(s)}</details>`,
        ),
    ].join('\n');
  },
};

interface Line {
  readonly name: string;
  readonly points: readonly LinePoint[];
}

/** Averages over the other natural sets: a line per model and detector. */
function linesOf(all: readonly Point[]): Line[] {
  const points = all.filter((p) => p.natural);
  const keys = [...new Map(points.map((p) => [`${p.detector}, ${p.model} of ${p.in}`, p])).entries()];
  return keys.map(([name, key]) => {
    const own = points.filter((p) => p.detector === key.detector && p.model === key.model && p.in === key.in);
    const xs = [...new Set(own.map(({ x }) => x))].sort((a, b) => a - b);
    return {
      name,
      points: xs.map((x) => ({ x, y: mean(own.filter((p) => p.x === x).map(({ auroc }) => auroc)) })),
    };
  });
}

function chart({ title, xLabel, points }: Series): string {
  const ours = linesOf(points);
  const paper = xLabel === 't' ? paperLines() : [];
  return lineChart([...ours, ...paper], { title, xLabel, yLabel: 'mean AUROC', logX: true, reference: 0.5 });
}

function paperLines(): Line[] {
  return detectorsShown.map((name) => ({
    name: `${name}, the paper (its own sets and sizes)`,
    points: paperByTimestep.timesteps.map((x, k) => ({ x, y: paperByTimestep[name][k]! })),
  }));
}

function pointsTable({ title, xLabel, points }: Series): string {
  return table(
    title,
    ['model', 'learned', 'against', 'B', 'detector', xLabel, 'AUROC'],
    points.map((p) => [
      p.model,
      p.in,
      p.ood,
      String(p.group),
      p.detector,
      p.x.toLocaleString('en'),
      { auroc: p.auroc, low: p.aurocLow, high: p.aurocHigh },
    ]),
  );
}

/** The norms' line of each model in each series, and where it begins, ends and is best. */
function courses(series: Readonly<Record<string, Series>>) {
  return Object.entries(series).flatMap(([key, { title, points }]) =>
    linesOf(points)
      .filter(({ name }) => name.startsWith(NORMS))
      .map(({ name, points: line }) => ({
        key,
        title,
        model: name.slice(NORMS.length),
        first: line[0]!,
        last: line.at(-1)!,
        best: line.reduce((a, b) => (b.y > a.y ? b : a)),
        worst: line.reduce((a, b) => (b.y < a.y ? b : a)),
      })),
  );
}

const NORMS = 'layer-norms, ';

/** At how many values of x the norms' line of a model is above that of typicality. */
function aheadOf({ points }: Series, model: string): string {
  const [norms, typicality] = detectorsShown.map(
    (detector) => linesOf(points).find(({ name }) => name === `${detector}, ${model}`)!.points,
  );
  const ahead = norms!.filter(({ y }, k) => y > typicality![k]!.y).length;
  return `${counted(ahead, norms!.length, 'steps')} (${model})`;
}

function coursesTable(series: Readonly<Record<string, Series>>): string {
  const at = ({ x, y }: LinePoint) => `${three(y)} at ${x.toLocaleString('en')}`;
  return table(
    'Mean AUROC of the norms over the other natural sets',
    ['what changes', 'model', 'first', 'last', 'best', 'worst'],
    courses(series).map((c) => [c.title, c.model, ...[c.first, c.last, c.best, c.worst].map(at)]),
  );
}

function finding(series: Readonly<Record<string, Series>>): string {
  const all = courses(series);
  if (all.length === 0) return 'The data for this experiment are missing.';
  const of = (key: string) => all.filter((course) => course.key === key);
  const said: string[] = [];
  const [steps, groups] = [of('timestep'), of('groupSize')];
  if (steps.length > 0) {
    const noisiest = steps.filter(({ last, worst }) => last === worst).length;
    said.push(`the noisiest step is the worst for ${counted(noisiest, steps.length, 'diffusion models')}`);
    said.push(`they are ahead of typicality at ${listed(steps.map((c) => aheadOf(series.timestep!, c.model)))}`);
  }
  if (groups.length > 0) {
    const larger = groups.filter(({ first, last }) => last.y > first.y).length;
    said.push(`the largest groups are ahead of single inputs for ${counted(larger, groups.length, 'models')}`);
  }
  const spreads = (
    [
      ['noiseSamples', 'the number of noise samples'],
      ['fitSize', 'the size of the fit set'],
      ['trainingTime', 'training time'],
      ['modelSize', 'model size'],
    ] as const
  ).flatMap(([key, what]) => {
    const most = Math.max(...of(key).map(({ best, worst }) => best.y - worst.y));
    return Number.isFinite(most) ? [`${three(most)} over ${what}`] : [];
  });
  if (spreads.length > 0) said.push(`the mean AUROC of a model moves by at most ${listed(spreads)}`);
  return `For the norms, averaged over natural sets: ${said.join('; ')}.`;
}
