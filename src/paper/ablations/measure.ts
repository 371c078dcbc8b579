// Experiment 7: what the result depends on.

import { fitDetectors } from '../../detectors/index.ts';
import { evaluate } from '../../eval/index.ts';
import { sliceTable } from '../../features/index.ts';
import { figure, type LinePoint, lineChart } from '../../report/index.ts';
import { evaluated, type How, tablesOf } from '../evaluation.ts';
import { table } from '../html.ts';
import { isNatural, type Lab } from '../lab.ts';
import type { ModelPlan } from '../plan.ts';
import { counted, listed, mean, type Outcome, three } from '../words.ts';

const detectorsShown = ['layer-norms', 'typicality'] as const;
type Shown = (typeof detectorsShown)[number];

/** Averages over all ordered pairs of the paper's five sets at B = 5, from the authors' plotting script. */
const paperByTimestep = {
  timesteps: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 999],
  'layer-norms': [0.879, 0.876, 0.881, 0.88, 0.878, 0.871, 0.867, 0.855, 0.852, 0.772, 0.572],
  typicality: [0.813, 0.822, 0.832, 0.842, 0.848, 0.85, 0.849, 0.845, 0.836, 0.819, 0.558],
} as const;

/** AUROC of one detector on one pair of sets, at one value of what is varied. */
interface Point {
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

interface Series {
  readonly title: string;
  readonly xLabel: string;
  readonly points: readonly Point[];
}

export async function ablations(lab: Lab): Promise<Outcome> {
  const { timesteps, groups, fitSizes, trainingTime, modelSize } = lab.preset.ablations;
  const plansOf = (ids: readonly string[]) => ids.flatMap((id) => lab.planOf(id) ?? []);
  const series: Record<string, Series> = {
    timestep: {
      title: `Diffusion: step t of the loss, B = ${timesteps.group}`,
      xLabel: 't',
      points: await overTimesteps(lab, plansOf(timesteps.models)),
    },
    noiseSamples: {
      title: `Diffusion: number of noise samples at the smallest t, B = ${timesteps.group}`,
      xLabel: 'noise samples',
      points: await overNoiseSamples(lab, plansOf(timesteps.models)),
    },
    groupSize: {
      title: 'Group size B',
      xLabel: 'B',
      points: await overGroups(lab, plansOf(groups.models), groups.sizes),
    },
    fitSize: {
      title: 'Number of inputs that the detectors are fitted on, B = 1',
      xLabel: 'fit inputs',
      points: await overFitSizes(lab, plansOf(fitSizes.models), fitSizes.sizes),
    },
    trainingTime: {
      title: 'Training time, each trained anew, B = 1',
      xLabel: 'training steps',
      points: await overPlans(lab, lab.available(trainingTime), (plan) => plan.steps),
    },
    modelSize: {
      title: 'Model size, same number of steps, B = 1',
      xLabel: 'parameters',
      points: await overPlans(lab, lab.available(modelSize), async (plan) => parameterCount(lab, plan)),
    },
  };
  return {
    id: 'ablations',
    title: 'What the result depends on',
    claim:
      'For diffusion the norms do well at every step but the noisiest; larger groups help; and there is nothing else to tune.',
    finding: finding(series),
    numbers: {
      ...Object.fromEntries(Object.entries(series).map(([name, { points }]) => [name, points])),
      paperByTimestep,
    },
    body: [
      coursesTable(series),
      ...Object.values(series)
        .filter(({ points }) => points.length > 0)
        .map(
          (s) =>
            figure('Lines: averages over the other natural sets; the table has every pair.', chart(s)) +
            `<details><summary>Every pair</summary>${pointsTable(s)}</details>`,
        ),
    ].join('\n'),
  };
}

function pointsOf(lab: Lab, plan: ModelPlan, x: number, rows: Awaited<ReturnType<typeof evaluated>>): Point[] {
  return rows.flatMap(({ detector, ood, group, auroc, aurocLow, aurocHigh }) =>
    detector === 'layer-norms' || detector === 'typicality'
      ? [
          {
            model: plan.family,
            in: plan.set,
            ood,
            natural: isNatural(lab, ood),
            group,
            detector,
            x,
            auroc,
            aurocLow,
            aurocHigh,
          },
        ]
      : [],
  );
}

async function overTimesteps(lab: Lab, plans: readonly ModelPlan[]): Promise<Point[]> {
  const { timesteps, group, limit } = lab.preset.ablations.timesteps;
  const points: Point[] = [];
  for (const plan of plans) {
    for (const t of timesteps) {
      const how: How = { groups: [group], limit, scoring: { timesteps: [t] } };
      points.push(...pointsOf(lab, plan, t, await evaluated(lab, plan, how)));
    }
  }
  return points;
}

async function overNoiseSamples(lab: Lab, plans: readonly ModelPlan[]): Promise<Point[]> {
  const { timesteps, noiseSamples, group, limit } = lab.preset.ablations.timesteps;
  const points: Point[] = [];
  for (const plan of plans) {
    for (const samples of noiseSamples) {
      const how: How = {
        groups: [group],
        limit,
        scoring: { timesteps: [timesteps[0]!], ...(samples === 1 ? {} : { noiseSamples: samples }) },
      };
      points.push(...pointsOf(lab, plan, samples, await evaluated(lab, plan, how)));
    }
  }
  return points;
}

async function overGroups(lab: Lab, plans: readonly ModelPlan[], sizes: readonly number[]): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const rows = await evaluated(lab, plan, { groups: sizes });
    for (const size of sizes) {
      points.push(
        ...pointsOf(
          lab,
          plan,
          size,
          rows.filter(({ group }) => group === size),
        ),
      );
    }
  }
  return points;
}

async function overFitSizes(lab: Lab, plans: readonly ModelPlan[], sizes: readonly number[]): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const { fit, test, ood } = await tablesOf(lab, plan);
    const one = <T>(tables: readonly T[]): T => tables[lab.preset.groups.indexOf(1)]!;
    const others = ood.map(({ name, tables }) => ({ name, tables: [one(tables)] }));
    for (const size of sizes.filter((n) => n <= one(fit).nll.length)) {
      const detector = fitDetectors([sliceTable(one(fit), 0, size)], { detectors: detectorsShown });
      points.push(...pointsOf(lab, plan, size, evaluate(detector, [one(test)], others, { seed: lab.seed })));
    }
  }
  return points;
}

async function overPlans(
  lab: Lab,
  plans: readonly ModelPlan[],
  xOf: (plan: ModelPlan) => number | Promise<number>,
): Promise<Point[]> {
  const points: Point[] = [];
  for (const plan of plans) {
    const rows = (await evaluated(lab, plan)).filter(({ group }) => group === 1);
    points.push(...pointsOf(lab, plan, await xOf(plan), rows));
  }
  return points;
}

async function parameterCount(lab: Lab, plan: ModelPlan): Promise<number> {
  const { weights } = await lab.model(plan);
  return Object.values(weights).reduce((sum, { data }) => sum + data.length, 0);
}

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
