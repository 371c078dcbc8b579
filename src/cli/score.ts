// fisher-ood score: a detector and data in; for every input its score, p-value and verdict out.

import type { Dataset } from '../data/index.ts';
import {
  type DetectorFile,
  type DetectorName,
  detectorNamed,
  explain,
  type FittedGroup,
  type NormalParams,
  scoreTable,
  verdicts,
} from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import { type FeatureTable, notFinite, wholeGroups } from '../features/index.ts';
import { openExtractor } from '../node/defaults.ts';
import type { ScoringModel } from '../store/index.ts';
import type { Command } from './command.ts';
import { limited } from './datasets.ts';
import { droppedLines } from './dropped.ts';
import { openDetector, openFor } from './models.ts';
import { failOnOdd, type Odd, oddOf, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { extractorOptions, positive, type RunOptions, required, text, whole } from './options.ts';
import { endProgress, pace, print, printPart, progressLine, say, throttled } from './terminal.ts';

export const scoreCommand: Command = {
  async run([path], values, options) {
    const name = detectorNamed(text(values, 'detector') ?? 'layer-norms');
    const group = whole(values, 'group', 1) ?? 1;
    const alpha = positive(values, 'fpr') ?? 0.05;
    const { detector, model } = await openDetector(path!, values);
    if (!detector.groups.some((entry) => entry.group === group && entry.detectors[name])) {
      const there = detector.groups.map((g) => `B = ${g.group}: ${Object.keys(g.detectors).join(', ')}`).join('; ');
      throw new UsageError(`${path}: ${name} is not fitted for groups of ${group}; there are ${there}`);
    }
    const data = limited(await openFor(model, required(values, 'data'), options), whole(values, 'limit', 1));
    const top = whole(values, 'top', 0) ?? 10;
    const { parts, left } = partsOf(detector, name, data, group);
    for (const { fitted } of parts) verdicts({ pValues: new Float64Array(), calibrationSize: fitted.n }, alpha); // refuses a rate too small
    const n = parts.reduce((sum, part) => sum + (part.end - part.start) / part.group, 0);
    const inputs = data.length - left.length;
    const began = performance.now();
    const show = throttled((done: number) => {
      const speed = (1000 * done) / (performance.now() - began);
      progressLine(`${data.name}: ${done}/${inputs}  ${pace(speed, (inputs - done) / speed)}`);
    });
    const odd: Odd[] = [];
    const counts: Count[] = [];
    let written = false;
    let done = 0;
    let surprising: readonly Row[] = [];
    try {
      for (const part of parts) {
        const normal = part.fitted.detectors['layer-norms']?.params;
        const count = { part, out: 0, judged: 0 };
        counts.push(count);
        // Run by run, so that a data set of any length takes no more memory than a short one.
        for await (const table of tablesOf(model, detector, data, part, options)) {
          const rows = rowsOf(detector, name, alpha, part, table, options.json ? undefined : normal);
          const found = oddOf(table);
          sayOdd(found, odd.length);
          odd.push(...found);
          if (options.json) {
            const head = JSON.stringify({ detector: name, group, fpr: alpha, n, results: [] }).slice(0, -2);
            const lines = rows.map(({ why: _, ...row }) => JSON.stringify(row)).join();
            await printPart(written ? `,${lines}` : `${head}${lines}`);
            written = true;
          } else {
            const judged = rows.filter(({ score }) => score !== null);
            surprising = [...surprising, ...judged].sort((a, b) => b.score! - a.score!).slice(0, top);
          }
          count.out += rows.filter(({ ood }) => ood).length;
          count.judged += rows.filter(({ ood }) => ood !== null).length;
          done += rows.length * part.group;
          show(done);
        }
      }
    } catch (error) {
      // What has been printed is JSON all the same.
      if (written) print(`],"error":${JSON.stringify(error instanceof Error ? error.message : String(error))}}`);
      throw error;
    }
    endProgress();
    sayLeftOver(data.name, group, left);
    const asked = parts[0]!.fitted.detectors[name]!.params;
    const dropped = 'dropped' in asked ? asked.dropped : [];
    for (const line of droppedLines({ [name]: dropped })) say(line);
    const notes = notesOf(data);
    if (options.json) {
      const more = {
        ...notes,
        ...(dropped.length === 0 ? {} : { dropped }),
        ...(left.length === 0 ? {} : { leftOver: left }),
        ...(odd.length === 0 ? {} : { notFinite: odd.map(({ index }) => index) }),
      };
      const fields = Object.entries(more).map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`);
      print(`]${fields.join('')}}`);
    } else {
      if (surprising.length > 0) {
        say(`The most surprising of ${data.name}:`);
        print(alignColumns([columns, ...surprising.map((row) => cells(row, group))]));
      }
      for (const count of counts) print(summary(count, name, alpha));
    }
    failOnOdd(odd);
  },
};

/** A range of examples that is judged in groups of one size. */
interface Part {
  readonly group: number;
  readonly start: number;
  readonly end: number;
  readonly fitted: FittedGroup;
  /** Whether these are the groups that were asked for, not what is left over of them. */
  readonly asked: boolean;
}

interface Count {
  readonly part: Part;
  readonly out: number;
  readonly judged: number;
}

/**
 * Whole groups of the size asked for, and what they leave over at the end in groups of the largest sizes that the detector is fitted for too:
 * every input gets a verdict where there can be one. `left`: the examples for which there can be none.
 */
function partsOf(detector: DetectorFile, name: DetectorName, data: Dataset, group: number) {
  const parts: Part[] = [];
  let { start, end } = wholeGroups(data, group, {});
  const sizes = detector.groups.filter((entry) => entry.detectors[name]).toSorted((a, b) => b.group - a.group);
  for (const fitted of sizes.filter((entry) => entry.group <= group)) {
    if (parts.length > 0) end = start + Math.floor((data.length - start) / fitted.group) * fitted.group;
    if (end > start) parts.push({ group: fitted.group, start, end, fitted, asked: fitted.group === group });
    start = end;
  }
  return { parts, left: Array.from({ length: data.length - start }, (_, k) => start + k) };
}

/** The features of a part, as those that the detector was fitted on were made. */
async function* tablesOf(
  model: ScoringModel,
  detector: DetectorFile,
  data: Dataset,
  part: Part,
  options: RunOptions,
): AsyncGenerator<FeatureTable> {
  const { seed, noise = 'place' as const } = detector;
  const { batch = Infinity, ...more } = extractorOptions(options);
  // What is left over is little: no session for more than that.
  const few = part.asked ? options.batch : Math.min(batch, part.end - part.start);
  const size = few === undefined ? {} : { batch: few };
  const extractor = await openExtractor(model, { ...more, ...size, group: part.group, seed, noise });
  try {
    yield* extractor.tables(data, part);
  } finally {
    await extractor.dispose();
  }
}

interface Row {
  readonly index: number;
  /** Where it is not the size asked for. */
  readonly group?: number;
  /** Null, as the next two, for inputs whose features are not finite. */
  readonly score: number | null;
  readonly pValue: number | null;
  readonly ood: boolean | null;
  /** The layers that make it surprising, for people. */
  readonly why: string;
}

function rowsOf(
  detector: DetectorFile,
  name: DetectorName,
  alpha: number,
  part: Part,
  table: FeatureTable,
  normal: NormalParams | undefined,
): Row[] {
  const scored = scoreTable(detector, table, [name])[0]!;
  const layers = normal && explain(normal, table);
  const marked = new Set(notFinite(table));
  return Array.from(scored.scores, (score, i) => {
    const where = {
      index: table.meta.start + i * part.group,
      ...(part.asked ? {} : { group: part.group }),
    };
    if (marked.has(i)) return { ...where, score: null, pValue: null, ood: null, why: '' };
    const pValue = scored.pValues[i]!;
    const [ood] = verdicts({ ...scored, pValues: Float64Array.of(pValue) }, alpha);
    return { ...where, score, pValue, ood: ood!, why: layers ? loudest(layers, i) : '' };
  });
}

const columns = ['example', 'score', 'p', 'verdict', 'layers furthest from normal (z)'];

function cells({ index, group, score, pValue, ood, why }: Row, asked: number): string[] {
  const size = group === undefined || group === asked ? '' : ` (B = ${group})`;
  return [`${index}${size}`, score!.toFixed(1), pValue!.toPrecision(2), ood ? 'out' : 'in', why];
}

function summary({ part, out, judged }: Count, name: DetectorName, alpha: number): string {
  const what = part.group === 1 ? 'inputs' : `groups of ${part.group}`;
  const these = part.asked ? what : `${what} left over (from example ${part.start} on)`;
  return `${out} of ${judged} ${these} out of distribution by ${name} at a false-positive rate of ${alpha}`;
}

function loudest(
  { names, zScores }: { readonly names: readonly string[]; readonly zScores: Float64Array },
  row: number,
) {
  const z = zScores.subarray(row * names.length, (row + 1) * names.length);
  const order = [...names.keys()].sort((a, b) => Math.abs(z[b]!) - Math.abs(z[a]!));
  return order
    .slice(0, 3)
    .map((j) => `${names[j]} ${z[j]! > 0 ? '+' : ''}${z[j]!.toFixed(1)}`)
    .join(', ');
}
