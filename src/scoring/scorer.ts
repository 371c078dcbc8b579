// A model and a detector in; for raw inputs of any kind their scores, p-values and verdicts out, and the layers that speak for them.

import type { Dataset } from '../data/index.ts';
import { defined } from '../defined.ts';
import {
  type DetectorChoice,
  type DetectorFile,
  explain,
  type FittedGroup,
  resolved,
  scoreTable,
  verdicts,
  viewsNeeded,
} from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import {
  describeExamples,
  type Extractor,
  type ExtractorOptions,
  type FeatureTable,
  idsOf,
  notFinite,
  openExtractor,
  whatIsNotFinite,
  wholeGroups,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { checkWhole } from '../tensor/whole.ts';
import { type Input, inputsFor, type Opening } from './inputs.ts';
import { detectorOf, type Names, preparedAs } from './recipe.ts';
import { measuredAs } from './to-fit.ts';

/** What judges, and how: the model, the detector fitted with it, the group size, the false-positive rate (a share, 0 to 1) of the verdicts. */
export interface ScorerOptions extends Opening, Pick<ExtractorOptions, 'runtime' | 'batch' | 'memory' | 'threads'> {
  readonly model: ScoringModel;
  /** Fitted with this very model. */
  readonly detector: DetectorFile;
  /** Which of the detectors in it judges; default: the layer-norms. */
  readonly by?: DetectorChoice | undefined;
  /** Inputs that are judged together, B, as they come from one source; the detector must be fitted for it. Default 1. */
  readonly group?: number | undefined;
  /** Of the verdicts; default 0.05. */
  readonly falsePositiveRate?: number | undefined;
  /** Whether verdicts come with their layers; default: yes. */
  readonly explain?: boolean | undefined;
  /** What messages call the two. */
  readonly names?: Names | undefined;
}

/** What is said of one input, or of one group of them. */
export interface Judgement {
  /** Of the (first) input. */
  readonly index: number;
  /** Inputs that were judged together. */
  readonly group: number;
  /** What these are called, such as the names of their files; left out where they have no names. */
  readonly ids?: readonly string[];
  /** Higher is more out of distribution. Null, as the next two, where nothing can be said: see `reason`. */
  readonly score: number | null;
  /** The share of ordinary inputs that are at least as surprising. */
  readonly pValue: number | null;
  /** 'out' of distribution where the p-value is at most the false-positive rate. */
  readonly verdict: 'in' | 'out' | null;
  /** How many standard deviations each layer's log norm is from those of ordinary inputs, the furthest first. */
  readonly layers: readonly { readonly name: string; readonly z: number }[];
  /** Why there is no verdict. */
  readonly reason?: string;
}

/** A range of examples that is judged in groups of one size. */
export interface Part {
  readonly group: number;
  readonly start: number;
  readonly end: number;
  readonly fitted: FittedGroup;
  /** Whether these are the groups that were asked for, not what is left over of them. */
  readonly asked: boolean;
}

/** How the examples of a set are judged. */
export interface Judging {
  readonly parts: readonly Part[];
  /** Examples that fill no group that the detector is fitted for. */
  readonly left: readonly number[];
  /** Run by run, so that a set of any length takes no more memory than a short one. */
  runs(): AsyncIterable<{
    readonly part: Part;
    readonly table: FeatureTable;
    readonly judgements: readonly Judgement[];
  }>;
}

/**
 * A model and a detector fitted with it, ready to judge inputs: a score for each group of B (higher: more out of distribution), its p-value
 * and verdict.
 */
export interface Scorer {
  readonly model: ScoringModel;
  readonly detector: DetectorFile;
  /**
   * One judgement for every input, or for every group of inputs in their order; what fills no group at the end is judged in smaller groups that the
   * detector is fitted for, or has no verdict. Inputs are prepared as the model wants them. Throws a DataError for one that cannot be
   * read or is not what the model takes, by its place in the list.
   */
  score(inputs: Input | readonly Input[]): Promise<readonly Judgement[]>;
  /** The same of a data set, run by run. */
  judge(data: Dataset): Judging;
  /** Frees the memory. */
  dispose(): Promise<void>;
}

/**
 * Throws a ModelError where the detector was fitted with another model, a UsageError where it was not fitted so, or for so few inputs that there
 * can be no verdicts at this rate.
 */
export function openScorer(options: ScorerOptions): Scorer {
  const { names = {}, falsePositiveRate: rate = 0.05 } = options;
  const model = preparedAs(options.detector, options.model, names);
  const detector = detectorOf(options.detector, model, names);
  const [by] = resolved([options.by ?? 'layer-norms']);
  const { name } = by!;
  const group = checkWhole(options.group ?? 1, 'the group size', 1);
  const fitted = detector.groups.filter((entry) => entry.detectors[name]);
  if (!fitted.some((entry) => entry.group === group)) {
    const there = detector.groups.map((g) => `B = ${g.group}: ${Object.keys(g.detectors).join(', ')}`).join('; ');
    const file = names.detector ?? 'the detector';
    throw new UsageError(`${file}: ${name} is not fitted for groups of ${group}; there are ${there}`);
  }
  const refuseRate = (n: number) => verdicts({ pValues: new Float64Array(), calibrationSize: n }, rate);
  refuseRate(fitted.find((entry) => entry.group === group)!.n);

  const measured = measuredAs(detector, viewsNeeded(detector, [by!]));
  const extractors = new Map<number, Promise<Extractor>>();
  const extractorFor = (size: number): Promise<Extractor> => {
    const { runtime, batch, memory, threads } = options;
    const { seed, noise = 'place' as const, noiseSamples = 1 } = detector; // as the features that it was fitted on were made
    const found =
      extractors.get(size) ??
      openExtractor(model, { runtime, batch, memory, threads, group: size, seed, noise, noiseSamples, ...measured });
    extractors.set(size, found);
    return found;
  };

  /** Whole groups of the size asked for, and what they leave over at the end in groups of the largest sizes that are fitted too. */
  const partsOf = (data: Dataset) => {
    const parts: Part[] = [];
    let { start, end } = wholeGroups(data, group, {});
    for (const entry of fitted.toSorted((a, b) => b.group - a.group).filter((found) => found.group <= group)) {
      if (parts.length > 0) end = start + Math.floor((data.length - start) / entry.group) * entry.group;
      if (end > start) parts.push({ group: entry.group, start, end, fitted: entry, asked: entry.group === group });
      start = end;
    }
    return { parts, left: Array.from({ length: data.length - start }, (_, k) => start + k) };
  };

  const judgementsOf = (part: Part, table: FeatureTable): Judgement[] => {
    const scored = scoreTable(detector, table, [by!])[0]!;
    const normal = options.explain === false ? undefined : part.fitted.detectors['layer-norms']?.params;
    const explained = normal && explain(normal, table);
    const marked = new Set(notFinite(table));
    return Array.from(scored.scores, (score, i): Judgement => {
      const ids = idsOf(table, i);
      const where = { index: table.meta.start + i * part.group, group: part.group, ...defined({ ids }) };
      if (marked.has(i)) return { ...where, ...NOTHING, reason: oddText(table, i) };
      const pValue = scored.pValues[i]!;
      const [isOut] = verdicts({ ...scored, pValues: Float64Array.of(pValue) }, rate);
      const layers = (explained?.names ?? []).map((layer, j, all) => ({
        name: layer,
        z: explained!.zScores[i * all.length + j]!,
      }));
      layers.sort((a, b) => Math.abs(b.z) - Math.abs(a.z));
      return { ...where, score, pValue, verdict: isOut ? 'out' : 'in', layers };
    });
  };

  const judge = (data: Dataset): Judging => {
    const { parts, left } = partsOf(data);
    for (const part of parts) refuseRate(part.fitted.n);
    return {
      parts,
      left,
      async *runs() {
        for (const part of parts) {
          const extractor = await extractorFor(part.group);
          // What is left over is little: no session for more than that.
          const expected = part.asked ? {} : { expected: part.end - part.start };
          for await (const table of extractor.tables(data, { ...part, ...expected })) {
            yield { part, table, judgements: judgementsOf(part, table) };
          }
        }
      },
    };
  };

  return {
    model,
    detector,
    judge,
    async score(inputs) {
      const data = await inputsFor(model, inputs, options);
      const { left, runs } = judge(data);
      const judgements: Judgement[] = [];
      for await (const run of runs()) judgements.push(...run.judgements);
      const reason = `fills no group that the detector is fitted for (of ${fitted.map((entry) => entry.group).join(', ')})`;
      return [...judgements, ...left.map((index): Judgement => ({ index, group: 1, ...NOTHING, reason }))];
    },
    async dispose() {
      const open = [...extractors.values()];
      extractors.clear();
      for (const extractor of open) await (await extractor.catch(() => undefined))?.dispose();
    },
  };
}

const NOTHING = { score: null, pValue: null, verdict: null, layers: [] } as const;

const oddText = (table: FeatureTable, row: number): string =>
  `${describeExamples(table, [row])}: not finite: ${whatIsNotFinite(table, row)}`;
