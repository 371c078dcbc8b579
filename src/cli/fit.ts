// fisher-ood fit: a model and in-distribution data in, a detector file out.

import { defined, filled } from '../defined.ts';
import { fitDetectors } from '../detectors/index.ts';
import { leftOver } from '../features/index.ts';
import { featuresToFit, fitCombinedWherePossible } from '../node/defaults.ts';
import { writeDetector } from '../node/index.ts';
import { placeFrom } from '../node/recipe.ts';
import { metricExamples } from '../scoring/index.ts';
import type { Command } from './command.ts';
import { limited } from './datasets.ts';
import { combinedLines, combinedSummary, droppedLines, inputsText, summaryOf } from './dropped.ts';
import { groupsToFit, missingLine } from './groups.ts';
import { runtimeOf } from './machine.ts';
import { featureOptions, isBuiltIn, modelRecipe, noiseOf, openModelAndData, sayDraws } from './models.ts';
import { oddOf, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { required, whole, wholes } from './options.ts';
import { foldedNames, parameterNotes } from './parameters.ts';
import { endProgress, print, say } from './terminal.ts';
import { metricFormOf, viewsOf } from './views.ts';

export const fitCommand: Command = {
  writes: ([path], values) => ({ files: [required(values, 'out')], reads: [path], data: [required(values, 'data')] }),

  async run([path], values, options) {
    const out = required(values, 'out');
    const opened = await openModelAndData(path!, values, required(values, 'data'), options);
    const { model } = opened;
    for (const line of parameterNotes(model)) say(line);
    const data = limited(opened.data, whole(values, 'limit', 1));
    const views = viewsOf(values);
    const metricForm = metricFormOf(values);
    const forMetric = views.includes('fisher') ? metricExamples(data.length) : 0;
    const toFit = { name: data.name, length: data.length - forMetric };
    const { groups, missing } = groupsToFit(wholes(values, 'group', 1), toFit);
    for (const one of missing) say(missingLine(one));
    if (forMetric > 0) say(`${data.name}: the first ${forMetric} inputs are for the metric, the others to fit on`);
    const noiseSamples = whole(values, 'noise-samples', 1);
    const keys = { noise: noiseOf(values), noiseSamples: noiseSamples ?? 1, views, ...defined({ metricForm }) };
    const leaveOut = values['skip-not-finite'] === true;
    const set = { name: data.name, data };
    const found = await featuresToFit(model, set, { ...featureOptions(options, groups, keys), leaveOut });
    const { tables, metric, leftOut = [] } = found;
    endProgress();
    if (leftOut.length > 0) say(`${data.name}: the metric is taken without ${inputsText(leftOut)}: not finite`);
    const odd = tables.flatMap((table) => oddOf(table));
    sayOdd(odd);
    const recipe = { model: placeFrom(out, path!), ...modelRecipe(opened.values, isBuiltIn(model)) };
    const fitted = fitDetectors(tables, {
      recipe,
      ...defined({ metric }),
      leaveOut,
    });
    const how = {
      ...featureOptions(options, groups, { noise: noiseOf(values) }),
      ...defined({ noiseSamples, metricForm }),
    };
    const { combined, lacking } = await fitCombinedWherePossible(model, set, { ...how, leaveOut });
    endProgress();
    if (lacking !== undefined) say(`The combined detector is missing: ${lacking}`);
    const detector = { ...fitted, ...defined({ combined }) };
    for (const line of combinedLines(detector)) say(line);
    await writeDetector(out, detector);
    sayDraws(values, detector.noiseSamples ?? 1);
    const summaries = detector.groups.map((entry) => {
      const left = leftOver(data, entry.group, { start: forMetric });
      sayLeftOver(data.name, entry.group, left);
      return { ...summaryOf(entry), ...filled({ leftOver: left }) };
    });
    const notes = notesOf(data);
    // Found out when the features were computed.
    const batchLoss = await model.batchLoss?.({ runtime: runtimeOf(options) });
    if (options.json) {
      const loss = batchLoss ? { batchLoss } : {};
      const more = {
        ...(missing.length === 0 ? {} : { missing }),
        ...(opened.roles.length === 0 ? {} : { roles: opened.roles }),
      };
      return print(
        JSON.stringify({
          out,
          groups: summaries,
          ...combinedSummary(detector),
          ...defined({ lacking }),
          ...(leftOut.length === 0 ? {} : { metric: { notFinite: leftOut } }),
          folded: foldedNames(model),
          ...more,
          ...notes,
          ...loss,
        }),
      );
    }
    if (detector.combined) {
      const { n, groups: sizes, aspects } = detector.combined.detector;
      const all = sizes.map(({ group }) => group).join(', ');
      const at = aspects.length === 0 ? '' : `, each at ${aspects.join(', ')}`;
      print(`${out}: combined, combined-gradient fitted on ${n} inputs for B = ${all}${at}`);
    }
    for (const f of summaries) {
      print(`${out}: B = ${f.group}: ${f.detectors.join(', ')} fitted on ${f.n} groups`);
      for (const line of droppedLines(f.dropped ?? {})) print(`  ${line}`);
    }
    if (batchLoss?.note !== undefined) print(`${path}: ${batchLoss.note}`);
  },
};
