// A preset in; all experiments of the paper out, as one page and one file of numbers.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import { claimFolder, during, writeFileAtomic } from '../node/index.ts';
import { escapeHtml, pageHtml } from '../report/index.ts';
import { ablations } from './ablations/measure.ts';
import { chi2 } from './chi2/measure.ts';
import { correlation } from './correlation/measure.ts';
import { fisher } from './fisher/measure.ts';
import { invariance } from './invariance/measure.ts';
import { type Lab, type LabOptions, openLab } from './lab.ts';
import { paradox } from './paradox/measure.ts';
import type { Preset } from './plan.ts';
import { beyondImages, mainTables } from './tables/measure.ts';
import type { Outcome } from './words.ts';

export interface Reproduction {
  readonly report: string;
  readonly results: string;
  readonly outcomes: readonly Outcome[];
  /** Sets that could not be had, and why. */
  readonly missing: Readonly<Record<string, string>>;
}

/** In the order of the report. */
const experiments = [paradox, mainTables, fisher, chi2, correlation, invariance, ablations, beyondImages];

/**
 * Runs all experiments of a preset in `out`: models/, features/ and stages/ keep what is done, so a run that was stopped goes on; report.html
 * and results.json are written at the end. Both follow from preset, data and seed alone: they hold no times and no paths. A second run in `out`
 * while the first goes on is refused with a DataError.
 */
export async function reproduce(preset: Preset, options: LabOptions): Promise<Reproduction> {
  return during(await claimFolder(options.out), () => reproduceClaimed(preset, options));
}

async function reproduceClaimed(preset: Preset, options: LabOptions): Promise<Reproduction> {
  const [report, results] = [join(options.out, 'report.html'), join(options.out, 'results.json')];
  const theirs = [report, results].find((path) => existsSync(path));
  if (theirs !== undefined && !existsSync(join(options.out, 'stages'))) {
    throw new DataError(`${theirs}: is not of a reproduction in ${options.out}; give another folder, or take it away`);
  }
  const lab = await openLab(preset, options);
  const outcomes: Outcome[] = [];
  for (const experiment of experiments) outcomes.push(await experiment(lab));
  await writeFileAtomic(results, jsonText(resultsOf(lab, outcomes)));
  await writeFileAtomic(report, reportOf(lab, outcomes));
  return { report, results, outcomes, missing: lab.missing };
}

/** Indented, with lists of numbers on one line each. No string can hold the line breaks that the pattern asks for. */
function jsonText(value: unknown): string {
  const text = JSON.stringify(value, null, 1);
  return `${text.replace(/\[\n\s*(-?[\d.][^"[\]{}]*?)\s*\]/g, (_, list: string) => `[${list.replace(/\s+/g, ' ')}]`)}\n`;
}

function resultsOf({ preset, seed, missing }: Lab, outcomes: readonly Outcome[]) {
  return {
    version: 1,
    preset: preset.name,
    seed,
    missing: Object.keys(missing),
    experiments: Object.fromEntries(
      outcomes.map(({ id, claim, finding, numbers }) => [id, { claim, finding, numbers }]),
    ),
  };
}

const GLOSSARY =
  '“Learned” is the set a model was trained on; the others are out of distribution. <b>AUROC</b>: the chance that an image of the other set gets the higher score than one of the learned set, 1 for a perfect detector, 0.5 for guessing, below 0.5 for one that is wrong more often than not. ' +
  '<b>B</b>: so many inputs of one source are judged together. <b>layer-norms</b> is the paper’s method: the log of the squared gradient norm of every parameter tensor (“layer”) against a normal distribution fitted on learned inputs. ' +
  '<b>likelihood</b>: how unlikely the model finds an input; <b>typicality</b>: how far that is from what learned inputs have. Other detectors on the same norms: <b>total-norm</b>, their sum; <b>chi2</b>, a scaled χ² per layer; <b>fisher</b>, Fisher’s method on per-layer p-values; <b>one-class-svm</b> and <b>isolation-forest</b> on standardised log-norms. ' +
  '<b>bits/dim</b>: negative log-likelihood per pixel and colour. Synthetic sets (constant images, noise) are made by the program. The first half of a test set fits the detectors, the second is scored.';

function reportOf({ preset, seed, missing, available }: Lab, outcomes: readonly Outcome[]): string {
  const plans = available(Object.values(preset.models).flat());
  const facts: [string, string][] = [
    ['preset', `${preset.name}: ${preset.about}`],
    ['command', `fisher-ood reproduce ${preset.name} --out DIR`],
    ['seed', String(seed)],
    [
      'models',
      plans.map((plan) => `${plan.family} of ${plan.set} (${plan.steps.toLocaleString('en')} steps)`).join(', '),
    ],
    ['inputs', `at most ${preset.limit.toLocaleString('en')} of each half of a test set and of each other set`],
    ...(Object.keys(missing).length > 0
      ? [['left out', `for want of data: ${Object.keys(missing).join(', ')}`] as [string, string]]
      : []),
  ];
  const reading = `<section id="reading"><h2>How to read this</h2><p>${GLOSSARY}</p></section>`;
  const sections = outcomes.map(
    (o, k) => `<section id="${o.id}"><h2>${k + 1}. ${escapeHtml(o.title)}</h2>
<p><b>The paper:</b> ${escapeHtml(o.claim)}</p>
<p><b>Here:</b> ${escapeHtml(o.finding)}</p>
${o.body}</section>`,
  );
  return pageHtml('Layer-wise gradient norms for out-of-distribution detection: the paper, reproduced', facts, [
    reading,
    ...sections,
  ]);
}
