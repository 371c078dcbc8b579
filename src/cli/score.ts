// fisher-ood score: a detector and data in; for every input its score, p-value and verdict out.

import { filled } from '../defined.ts';
import { type DroppedLayer, detectorNamed, isCombined } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import { type Judgement, openScorer, type Part } from '../scoring/index.ts';
import type { Command } from './command.ts';
import { limited } from './datasets.ts';
import { droppedLines } from './dropped.ts';
import { extractorOptions } from './machine.ts';
import { checkDraws, openDetector, openFor } from './models.ts';
import { failOnOdd, type Odd, oddOf, sayLeftOver, sayOdd } from './not-finite.ts';
import { notesOf } from './notes.ts';
import { positive, required, text, whole } from './options.ts';
import { endProgress, pace, print, printPart, progressLine, say, throttled } from './terminal.ts';

export const scoreCommand: Command = {
  async run([path], values, options) {
    const wanted = text(values, 'detector');
    const choice = wanted === undefined || isCombined(wanted) ? wanted : detectorNamed(wanted);
    const group = whole(values, 'group', 1) ?? 1;
    const alpha = positive(values, 'fpr') ?? 0.05;
    const csv = values.csv === true;
    if (csv && options.json) throw new UsageError('--csv and --json exclude each other');
    const { detector, model } = await openDetector(path!, values);
    checkDraws(values, detector, path!);
    const scorer = openScorer({
      ...extractorOptions(options),
      model,
      detector,
      by: choice,
      group,
      falsePositiveRate: alpha,
      explain: !options.json && !csv,
      names: { detector: path },
    });
    const { by: name } = scorer;
    const data = limited(await openFor(model, required(values, 'data'), options), whole(values, 'limit', 1));
    const top = whole(values, 'top', 0) ?? 10;
    const { parts, left, runs } = scorer.judge(data);
    const n = parts.reduce((sum, part) => sum + (part.end - part.start) / part.group, 0);
    const inputs = data.length - left.length;
    const began = performance.now();
    const show = throttled((done: number) => {
      const speed = (1000 * done) / (performance.now() - began);
      progressLine(`${data.name}: ${done}/${inputs}  ${pace(speed, (inputs - done) / speed)}`);
    });
    const odd: Odd[] = [];
    const counts = parts.map((part): Count => ({ part, out: 0, judged: 0 }));
    let written = false;
    let done = 0;
    let surprising: readonly Judgement[] = [];
    try {
      for await (const { part, table, judgements } of runs()) {
        const found = ofGroups(oddOf(table), part);
        sayOdd(found, odd.length);
        odd.push(...found);
        if (options.json) {
          const head = JSON.stringify({ detector: name, group, fpr: alpha, n, results: [] }).slice(0, -2);
          const lines = judgements.map((one) => JSON.stringify(rowOf(one, part))).join();
          await printPart(written ? `,${lines}` : `${head}${lines}`);
          written = true;
        } else if (csv) {
          const named = data.ids !== undefined;
          await printPart(`${written ? '' : csvHead(named)}${judgements.map((one) => csvLine(one, named)).join('')}`);
          written = true;
        } else {
          const judged = judgements.filter(({ score }) => score !== null);
          surprising = [...surprising, ...judged].sort((a, b) => b.score! - a.score!).slice(0, top);
        }
        const count = counts[parts.indexOf(part)]!;
        count.out += judgements.filter(({ verdict }) => verdict === 'out').length;
        count.judged += judgements.filter(({ verdict }) => verdict !== null).length;
        done += judgements.length * part.group;
        show(done);
      }
    } catch (error) {
      // What has been printed is JSON all the same.
      if (written && !csv)
        print(`],"error":${JSON.stringify(error instanceof Error ? error.message : String(error))}}`);
      throw error;
    } finally {
      await scorer.dispose();
    }
    endProgress();
    sayLeftOver(data.name, group, left);
    const asked = detector.groups.find((entry) => entry.group === group)?.detectors[name]?.params;
    const dropped = asked && 'dropped' in asked ? (asked.dropped as readonly DroppedLayer[]) : [];
    for (const line of droppedLines({ [name]: dropped })) say(line);
    const notes = notesOf(data);
    if (options.json) {
      const more = {
        ...notes,
        ...filled({ dropped, leftOver: left, notFinite: odd.map(({ index }) => index) }),
      };
      const fields = Object.entries(more).map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`);
      print(`]${fields.join('')}}`);
    } else if (csv) {
      for (const count of counts) say(summary(count, name, alpha));
    } else {
      if (surprising.length > 0) {
        say(`The most surprising of ${data.name}:`);
        const digits = digitsFor(surprising.map(({ score }) => score!));
        const [example, ...others] = columns;
        const head = data.ids ? [example!, 'name', ...others] : columns;
        print(alignColumns([head, ...surprising.map((row) => cells(row, group, digits))]));
      }
      for (const count of counts) print(summary(count, name, alpha));
    }
    failOnOdd(odd);
  },
};

/**
 * Each of a group once, under the index of its first input, as judgements have it: the table may be of single inputs.
 */
function ofGroups(odd: readonly Odd[], { start, group }: Part): Odd[] {
  const seen = new Map<number, Odd>();
  for (const one of odd) {
    const index = start + Math.floor((one.index - start) / group) * group;
    if (!seen.has(index)) seen.set(index, { ...one, index });
  }
  return [...seen.values()];
}

interface Count {
  readonly part: Part;
  out: number;
  judged: number;
}

/** What `--json` prints of one; `group` where it is not the size asked for. */
function rowOf({ index, ids, score, pValue, verdict }: Judgement, part: Part) {
  const names = ids === undefined ? {} : part.group === 1 ? { id: ids[0] } : { ids };
  return {
    index,
    ...names,
    ...(part.asked ? {} : { group: part.group }),
    score,
    pValue,
    ood: verdict && verdict === 'out',
  };
}

const columns = ['example', 'score', 'p', 'verdict', 'layers furthest from normal (z)'];

/** As few decimals, and at least one, as tell scores apart that are not the same; at most as many as doubles have. */
function digitsFor(scores: readonly number[]): number {
  const different = new Set(scores).size;
  for (let digits = 1; digits < 15; digits++) {
    if (new Set(scores.map((score) => score.toFixed(digits))).size === different) return digits;
  }
  return 15;
}

const csvHead = (named: boolean) => `index,group,${named ? 'id,' : ''}score,pValue,ood\n`;

/** One input or group; nothing stands for numbers that there are not. */
function csvLine({ index, group, ids, score, pValue, verdict }: Judgement, named: boolean): string {
  const text = ids?.join('; ') ?? '';
  const quoted = /[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const ood = verdict === null ? '' : verdict === 'out';
  return `${[index, group, ...(named ? [quoted] : []), score ?? '', pValue ?? '', ood].join()}\n`;
}

function cells(one: Judgement, asked: number, digits: number): string[] {
  const { index, group, ids, score, pValue, verdict, layers } = one;
  const name = ids && (ids.length === 1 ? ids[0]! : `${ids[0]} … ${ids.at(-1)}`);
  const size = group === asked ? '' : ` (B = ${group})`;
  const loudest = layers.slice(0, 3).map(({ name, z }) => `${name} ${z > 0 ? '+' : ''}${z.toFixed(1)}`);
  return [
    `${index}${size}`,
    ...(name === undefined ? [] : [name]),
    score!.toFixed(digits),
    pValue!.toPrecision(2),
    verdict!,
    loudest.join(', '),
  ];
}

function summary({ part, out, judged }: Count, name: string, alpha: number): string {
  const what = part.group === 1 ? 'inputs' : `groups of ${part.group}`;
  const these = part.asked ? what : `${what} left over (from example ${part.start} on)`;
  return `${out} of ${judged} ${these} out of distribution by ${name} at a false-positive rate of ${alpha}`;
}
