// A preset in; all experiments of the paper out, as one page and one file of numbers.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { claimFolder, during, encodedFile, writeFileAtomic } from '../node/index.ts';
import { ablationsExperiment } from './ablations/measure.ts';
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
  const made = await measureAll(lab);
  const text = formatResults(made);
  await writeFileAtomic(results, text);
  await writeFileAtomic(report, reportOf(parseResults(text, results), results));
  const findings = experiments.map(({ drawing: { id, title } }) => ({ title, finding: made.experiments[id]!.finding }));
  return { report, results, findings, missing: lab.missing };
}

async function measureAll(lab: Lab): Promise<Results> {
  const found: Results['experiments'] = {};
  for (const { drawing, measure } of experiments) {
    const { numbers, figures } = await measure(lab);
    found[drawing.id] = { claim: drawing.claim, finding: drawing.finding(numbers), numbers, ...defined({ figures }) };
  }
  const { preset, seed } = lab;
  const missing = Object.keys(lab.missing);
  return { version: 1, preset: preset.name, seed, missing, facts: factsOf(preset, seed, missing), experiments: found };
}
