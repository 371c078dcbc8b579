// A preset in; all experiments of the paper out, as one page and one file of numbers.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defined } from '../defined.ts';
import { DataError, UsageError } from '../errors.ts';
import { claimFolder, during, encodedFile, writeFileAtomic } from '../node/index.ts';
import { ablationsExperiment } from './ablations/measure.ts';
import { beyondPaperExperiment } from './beyond/measure.ts';
import { chi2Experiment } from './chi2/measure.ts';
import { correlationExperiment } from './correlation/measure.ts';
import type { Experiment } from './experiment.ts';
import { fisherExperiment } from './fisher/measure.ts';
import { invarianceExperiment } from './invariance/measure.ts';
import { type Lab, type LabOptions, openLab } from './lab.ts';
import { paradoxExperiment } from './paradox/measure.ts';
import type { Preset } from './plan.ts';
import { factsOf, reportOf } from './report.ts';
import { formatResults, parseResults, type Results } from './results.ts';
import { beyondExperiment, tablesExperiment } from './tables/measure.ts';

/** What a reproduction has left: its report, its numbers, what we see in them. */
export interface Reproduction {
  /** Paths. */
  readonly report: string;
  readonly results: string;
  /** What we see, by experiment, in the order of the report. */
  readonly findings: readonly { readonly title: string; readonly finding: string }[];
  /** Sets that could not be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
}

/** In the order of the report. */
const experiments: readonly Experiment<unknown, unknown>[] = [
  paradoxExperiment,
  tablesExperiment,
  fisherExperiment,
  chi2Experiment,
  correlationExperiment,
  invarianceExperiment,
  ablationsExperiment,
  beyondExperiment,
  beyondPaperExperiment,
];

/**
 * Runs all experiments of a preset in `out`: models/, features/ and stages/ keep what is done, so a run that was
 * stopped goes on; report.html and results.json are written at the end. Both follow from preset, data and seed alone:
 * they hold no times and no paths; and the page follows from the numbers alone. A second run in `out` while the first
 * goes on is refused with a DataError.
 */
export async function reproduce(preset: Preset, options: LabOptions): Promise<Reproduction> {
  return during(await claimFolder(options.out), () => reproduceClaimed(preset, options));
}

/**
 * Measures one experiment, by its key in the results, and puts it into the results that `out` has of this preset and
 * seed, in place of what they say of it; the page is drawn anew. Throws a DataError where there are no such results,
 * and a UsageError where there is no such experiment.
 */
export async function reproduceOne(preset: Preset, id: string, options: LabOptions): Promise<Reproduction> {
  const experiment = experiments.find(({ drawing }) => drawing.id === id);
  if (!experiment) {
    const known = experiments.map(({ drawing }) => drawing.id).join(', ');
    throw new UsageError(`there is no experiment '${id}'; there are ${known}`);
  }
  return during(await claimFolder(options.out), async () => {
    const { bytes, where } = await encodedFile(join(options.out, RESULTS));
    const before = parseResults(new TextDecoder().decode(bytes), where);
    if (before.preset !== preset.name || before.seed !== options.seed) {
      throw new DataError(
        `${where}: is of the preset ${before.preset} and seed ${before.seed}, expected ${preset.name} and ${options.seed}`,
      );
    }
    const lab = await openLab(preset, options);
    const found = { ...before.experiments, [id]: await measuredBy(experiment, lab) };
    const order = experiments.filter(({ drawing }) => Object.hasOwn(found, drawing.id));
    const sorted = Object.fromEntries(order.map(({ drawing }) => [drawing.id, found[drawing.id]!]));
    return written({ ...before, experiments: sorted }, options.out, lab.missing);
  });
}

/**
 * Draws the page of a folder with results anew. Returns its path. Throws a DataError for results that this version
 * cannot draw.
 */
export async function redraw(folder: string): Promise<string> {
  return during(await claimFolder(folder), async () => {
    const { bytes, where } = await encodedFile(join(folder, RESULTS));
    const report = join(folder, REPORT);
    await writeFileAtomic(report, reportOf(parseResults(new TextDecoder().decode(bytes), where), where));
    return report;
  });
}

const [REPORT, RESULTS] = ['report.html', 'results.json'] as const;

async function reproduceClaimed(preset: Preset, options: LabOptions): Promise<Reproduction> {
  const [report, results] = [join(options.out, REPORT), join(options.out, RESULTS)];
  const theirs = [report, results].find((path) => existsSync(path));
  if (theirs !== undefined && !existsSync(join(options.out, 'stages'))) {
    throw new DataError(`${theirs}: is not of a reproduction in ${options.out}; give another folder, or take it away`);
  }
  const lab = await openLab(preset, options);
  return written(await measureAll(lab), options.out, lab.missing);
}

async function written(made: Results, out: string, missing: Lab['missing']): Promise<Reproduction> {
  const [report, results] = [join(out, REPORT), join(out, RESULTS)];
  const text = formatResults(made);
  await writeFileAtomic(results, text);
  await writeFileAtomic(report, reportOf(parseResults(text, results), results));
  const findings = experiments.flatMap(({ drawing: { id, title } }) =>
    Object.hasOwn(made.experiments, id) ? [{ title, finding: made.experiments[id]!.finding }] : [],
  );
  return { report, results, findings, missing };
}

async function measuredBy(
  { drawing, measure }: Experiment<unknown, unknown>,
  lab: Lab,
): Promise<Results['experiments'][string]> {
  const { numbers, figures } = await measure(lab);
  return { claim: drawing.claim, finding: drawing.finding(numbers), numbers, ...defined({ figures }) };
}

async function measureAll(lab: Lab): Promise<Results> {
  const found: Results['experiments'] = {};
  for (const experiment of experiments) found[experiment.drawing.id] = await measuredBy(experiment, lab);
  const { preset, seed } = lab;
  const missing = Object.keys(lab.missing);
  return { version: 1, preset: preset.name, seed, missing, facts: factsOf(preset, seed, missing), experiments: found };
}
