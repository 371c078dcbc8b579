// fisher-ood eval: a detector, in-distribution data and out-of-distribution sets in; AUROC, AUPR and FPR out.

import { filled } from '../defined.ts';
import { sharedWithFit } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { checkSetNames, formatResults } from '../eval/index.ts';
import { leftOver } from '../features/index.ts';
import { inOrder } from '../in-order.ts';
import { evaluateDetector } from '../node/defaults.ts';
import { writeFileAtomic } from '../node/index.ts';
import type { Command } from './command.ts';
import { groupsToJudge, missingLine } from './groups.ts';
import { checkDraws, featureOptions, modelPlace, openDetector, openFor, openRaw, taken } from './models.ts';
import { failOnOdd, oddIn, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { required, text, texts, wholes } from './options.ts';
import { figures, reportOf } from './reporting.ts';
import { endProgress, print, say } from './terminal.ts';

export const evalCommand: Command = {
  writes: async ([path], values) => ({
    files: [text(values, 'report')],
    reads: [path, await modelPlace(path!, values)],
    data: [text(values, 'in'), ...texts(values, 'ood').map((pair) => parsePair(pair).spec)],
  }),

  async run([path], values, options) {
    const pairs = texts(values, 'ood').map(parsePair);
    if (pairs.length === 0) throw new UsageError('--ood NAME=DATA is needed at least once');
    const names = pairs.map(({ name }) => name);
    checkNames(names);
    const { detector, model } = await openDetector(path!, values);
    checkDraws(values, detector, path!);
    const known = detector.groups.map((g) => g.group);
    const asked = wholes(values, 'group', 1);
    const unknown = asked?.find((g) => !known.includes(g));
    if (unknown !== undefined) {
      throw new UsageError(`${path} is not fitted for groups of ${unknown}; it is for ${known.join(', ')}`);
    }
    const raw = await openRaw(model, required(values, 'in'), options);
    const inSet = { name: raw.name, data: taken(model, raw, options) };
    const oodSets = await inOrder(
      pairs.map(async ({ name, spec }) => ({ name, data: await openFor(model, spec, options, raw.shapes.x) })),
    );
    checkNames(names, inSet.name);
    const { groups, missing } = groupsToJudge(asked, known, [inSet.data, ...oodSets.map(({ data }) => data)]);
    for (const one of missing) say(missingLine(one));
    const keys = { seed: detector.seed, noise: detector.noise ?? ('place' as const) };
    const result = await evaluateDetector(model, detector, inSet, oodSets, featureOptions(options, groups, keys));
    endProgress();
    const all = [result.inSet, ...result.oodSets];
    const again = all.flatMap(({ name, tables }) => {
      const fittedOn = Math.max(...tables.map((table) => sharedWithFit(detector, table)));
      return fittedOn === 0 ? [] : [{ set: name, examples: fittedOn }];
    });
    for (const { set, examples } of again) {
      const kind = set === inSet.name ? 'the in-distribution inputs' : `the inputs of ${set}`;
      say(`Warning: some of ${kind} are among those the detector was fitted on: ${examples}`);
    }
    const left = all.flatMap(({ name, data }) =>
      groups.flatMap((group) => {
        const examples = leftOver(data, group);
        sayLeftOver(name, group, examples);
        return examples.length === 0 ? [] : [{ set: name, group, examples }];
      }),
    );
    const odd = all.flatMap(oddIn);
    sayOdd(odd);
    const report = text(values, 'report');
    if (report !== undefined) {
      const command = `fisher-ood eval ${path} --in ${required(values, 'in')} …`;
      const { reportHtml } = await figures();
      await writeFileAtomic(report, reportHtml(await reportOf(model, result, `${inSet.name} and others`, command)));
      say(`Wrote ${report}`);
    }
    const notes = notesOf(...all.map(({ data }) => data));
    if (options.json) {
      const more = {
        ...(missing.length === 0 ? {} : { missing }),
        ...notes,
        ...filled({ fittedOn: again, leftOver: left, notFinite: odd.map(({ what: _, ...where }) => where) }),
      };
      print(JSON.stringify({ results: result.rows, ...more }));
    } else print(formatResults(result.rows));
    failOnOdd(odd);
  },
};

/** As `checkSetNames`, before the work. */
function checkNames(names: readonly string[], inName?: string): void {
  try {
    checkSetNames(names, inName);
  } catch (error) {
    throw new UsageError(`--ood: ${error instanceof Error ? error.message : error}`);
  }
}

function parsePair(pair: string): { name: string; spec: string } {
  const at = pair.indexOf('=');
  if (at < 1 || at === pair.length - 1) throw new UsageError(`--ood is '${pair}', expected NAME=DATA`);
  return { name: pair.slice(0, at), spec: pair.slice(at + 1) };
}
