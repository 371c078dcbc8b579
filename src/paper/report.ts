// Results in, the page of them out: no models, no data, no files.

import { DataError } from '../errors.ts';
import { escapeHtml, pageHtml } from '../report/index.ts';
import { drawings } from './drawings.ts';
import type { Preset } from './plan.ts';
import { presets } from './presets.ts';
import type { Results } from './results.ts';

const GLOSSARY =
  '“Learned” is the set a model was trained on; the others are out of distribution. <b>AUROC</b>: the chance that an image of the other set gets the higher score than one of the learned set, 1 for a perfect detector, 0.5 for guessing, below 0.5 for one that is wrong more often than not. ' +
  '<b>B</b>: so many inputs of one source are judged together. <b>layer-norms</b> is the paper’s method: the log of the squared gradient norm of every parameter tensor (“layer”) against a normal distribution fitted on learned inputs. ' +
  '<b>likelihood</b>: how unlikely the model finds an input; <b>typicality</b>: how far that is from what learned inputs have. Other detectors on the same norms: <b>total-norm</b>, their sum; <b>chi2</b>, a scaled χ² per layer; <b>fisher</b>, Fisher’s method on per-layer p-values; <b>one-class-svm</b> and <b>isolation-forest</b> on standardised log-norms. <b>combined</b> and <b>combined-gradient</b> are explained where they stand. ' +
  '<b>bits/dim</b>: negative log-likelihood per pixel and colour. Synthetic sets (constant images, noise) are made by the program. The first half of a test set fits the detectors, the second is scored.';

/**
 * The page, from results alone; what they do not have, as those of older versions have not all that figures ask for, is
 * left out of it. Throws a DataError that begins with `where` for results that this version cannot draw.
 */
export function reportOf(results: Results, where: string): string {
  const reading = `<section id="reading"><h2>How to read this</h2><p>${GLOSSARY}</p></section>`;
  const sections = drawings
    .filter(({ id }) => Object.hasOwn(results.experiments, id))
    .map((drawing, k) => {
      const { id, title } = drawing;
      const { claim, finding, numbers, figures } = results.experiments[id]!;
      return `<section id="${id}"><h2>${k + 1}. ${escapeHtml(title)}</h2>
<p><b>The paper:</b> ${escapeHtml(claim)}</p>
<p><b>Here:</b> ${escapeHtml(finding)}</p>
${drawn(() => drawing.body(numbers, figures), `${where}: ${id}`)}</section>`;
    });
  const facts = results.facts ?? factsFrom(results, where);
  return pageHtml('Layer-wise gradient norms for out-of-distribution detection: the paper, reproduced', facts, [
    reading,
    ...sections,
  ]);
}

function drawn(body: () => string, where: string): string {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DataError(`${where}: the numbers are not those that this version draws (${error.message})`, {
      cause: error,
    });
  }
}

/** What heads the report. */
export function factsOf(preset: Preset, seed: number, missing: readonly string[]): [label: string, value: string][] {
  const plans = Object.values(preset.models)
    .flat()
    .filter(({ set }) => Object.hasOwn(preset.sets, set) && !missing.includes(set));
  return [
    ['preset', `${preset.name}: ${preset.about}`],
    ['command', `fisher-ood reproduce ${preset.name} --out DIR`],
    ['seed', String(seed)],
    [
      'models',
      plans.map((plan) => `${plan.family} of ${plan.set} (${plan.steps.toLocaleString('en')} steps)`).join(', '),
    ],
    ['inputs', `at most ${preset.limit.toLocaleString('en')} of each half of a test set and of each other set`],
    ...(missing.length > 0 ? [['left out', `for want of data: ${missing.join(', ')}`] as [string, string]] : []),
  ];
}

/** Of results that do not say it themselves. */
function factsFrom({ preset, seed, missing }: Results, where: string) {
  if (!Object.hasOwn(presets, preset)) throw new DataError(`${where}: there is no preset '${preset}'`);
  return factsOf(presets[preset]!, seed, missing);
}
