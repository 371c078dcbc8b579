// A model and a detector in; for raw inputs of any kind their scores, p-values and verdicts out, and the layers that
// speak for them.

import {
  aFunction,
  between,
  checkOptions,
  detector as detectorRule,
  model as modelRule,
  optional,
  type Rules,
  range,
  wholeFrom,
  yesOrNo,
} from '../arguments.ts';
import type { Dataset } from '../data/index.ts';
import { type CombinedKind, type DetectorChoice, type DetectorFile, isCombined } from '../detectors/index.ts';
import { UsageError } from '../errors.ts';
import { type ExtractorOptions, type FeatureTable, wholeGroups } from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { checkWhole } from '../tensor/whole.ts';
import { type Input, inputsFor, type Opening } from './inputs.ts';
import { type Judgement, NOTHING, openCombinedJudge, openJudge } from './judge.ts';
import { detectorOf, type Names, preparedAs } from './recipe.ts';

/**
 * What judges, and how: the model, the detector fitted with it, the group size, the false-positive rate (a share, 0 to
 * 1) of the verdicts.
 */
export interface ScorerOptions extends Opening, Pick<ExtractorOptions, 'runtime' | 'batch' | 'memory' | 'threads'> {
  readonly model: ScoringModel;
  /** Fitted with this very model. */
  readonly detector: DetectorFile;
  /** Which of the detectors in it judges. Default: the combined one, in a file that has it, else the layer-norms. */
  readonly by?: DetectorChoice | CombinedKind | undefined;
  /**
   * Inputs that are judged together, B, as they come from one source; the detector must be fitted for it. Default 1.
   */
  readonly group?: number | undefined;
  /** Of the verdicts; default 0.05. */
  readonly falsePositiveRate?: number | undefined;
  /** Whether verdicts come with their layers; default: yes. */
  readonly explain?: boolean | undefined;
  /** What messages call the two. */
  readonly names?: Names | undefined;
}

const rules: Rules = {
  model: modelRule,
  detector: detectorRule,
  group: optional(wholeFrom(1)),
  falsePositiveRate: optional(between(0, 1)),
  explain: optional(yesOrNo),
  batch: optional(wholeFrom(1)),
  memory: optional(wholeFrom(1)),
  threads: optional(wholeFrom(1)),
  pixels: optional(range),
  decodeImage: optional(aFunction),
  open: optional(aFunction),
};

/** A range of examples that is judged in groups of one size. */
export interface Part {
  readonly group: number;
  readonly start: number;
  readonly end: number;
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
 * A model and a detector fitted with it, ready to judge inputs: a score for each group of B (higher: more out of
 * distribution), its p-value and verdict.
 */
export interface Scorer {
  readonly model: ScoringModel;
  readonly detector: DetectorFile;
  /** Name of the detector that judges. */
  readonly by: string;
  /**
   * One judgement for every input, or for every group of inputs in their order; what fills no group at the end is
   * judged in smaller groups that the detector is fitted for, or has no verdict. Inputs are prepared as the model wants
   * them. Throws a DataError for one that cannot be read or is not what the model takes, by its place in the list.
   */
  score(inputs: Input | readonly Input[]): Promise<readonly Judgement[]>;
  /** The same of a data set, run by run. */
  judge(data: Dataset): Judging;
  /** Frees the memory. */
  dispose(): Promise<void>;
}

/**
 * Throws a ModelError where the detector was fitted with another model, a UsageError where it was not fitted so, or for
 * so few inputs that there can be no verdicts at this rate.
 */
export function openScorer(options: ScorerOptions): Scorer {
  checkOptions('openScorer', options, rules);
  const { names = {}, falsePositiveRate: rate = 0.05 } = options;
  const model = preparedAs(options.detector, options.model, names);
  const detector = detectorOf(options.detector, model, names);
  const group = checkWhole(options.group ?? 1, 'the group size', 1);
  const { runtime, batch, memory, threads, explain = true } = options;
  const how = { runtime, batch, memory, threads, rate, explain };
  const choice = options.by ?? (detector.combined ? 'combined' : 'layer-norms');
  const judge = isCombined(choice)
    ? openCombinedJudge(model, detector, choice, how)
    : openJudge(model, detector, choice, how);
  if (!judge.groups.includes(group)) {
    const file = names.detector ?? 'the detector';
    throw new UsageError(`${file}: ${judge.name} is not fitted for groups of ${group}; there are ${thereIs(detector)}`);
  }
  judge.checkRate(group);

  /**
   * Whole groups of the size asked for, and what they leave over at the end in groups of the largest sizes that are
   * fitted too.
   */
  const partsOf = (data: Dataset) => {
    const parts: Part[] = [];
    let { start, end } = wholeGroups(data, group, {});
    for (const size of judge.groups.toSorted((a, b) => b - a).filter((found) => found <= group)) {
      if (parts.length > 0) end = start + Math.floor((data.length - start) / size) * size;
      if (end > start) parts.push({ group: size, start, end, asked: size === group });
      start = end;
    }
    return { parts, left: Array.from({ length: data.length - start }, (_, k) => start + k) };
  };

  const judging = (data: Dataset): Judging => {
    const { parts, left } = partsOf(data);
    for (const part of parts) judge.checkRate(part.group);
    return {
      parts,
      left,
      async *runs() {
        for (const part of parts) {
          // What is left over is little: no session for more than that.
          const { start, end } = part;
          const expected = part.asked ? {} : { expected: end - start };
          for await (const table of judge.tables(data, part.group, { start, end, ...expected })) {
            yield { part, table, judgements: judge.judgements(table, part.group) };
          }
        }
      },
    };
  };

  return {
    model,
    detector,
    by: judge.name,
    judge: judging,
    async score(inputs) {
      const data = await inputsFor(model, inputs, options);
      const { left, runs } = judging(data);
      const judgements: Judgement[] = [];
      for await (const run of runs()) judgements.push(...run.judgements);
      const reason = `fills no group that the detector is fitted for (of ${judge.groups.join(', ')})`;
      return [...judgements, ...left.map((index): Judgement => ({ index, group: 1, ...NOTHING, reason }))];
    },
    dispose: judge.dispose,
  };
}

/** What is fitted for which groups, for a message. */
function thereIs(detector: DetectorFile): string {
  const combined = detector.combined?.detector.groups.map(({ group }) => group) ?? [];
  return detector.groups
    .map(({ group, detectors }) => {
      const all = [...(combined.includes(group) ? ['combined'] : []), ...Object.keys(detectors)];
      return `B = ${group}: ${all.join(', ')}`;
    })
    .join('; ');
}
