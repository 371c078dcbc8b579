// A model and one of the detectors fitted with it in; features of any data and what that detector says of them out.

import type { Dataset } from '../data/index.ts';
import { defined } from '../defined.ts';
import {
  type CombinedKind,
  combinedOf,
  combinedPValues,
  type DetectorChoice,
  type DetectorFile,
  explain,
  judged,
  leastPValue,
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
  type Rows,
  whatIsNotFinite,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import type { AspectsExtractor } from './aspects.ts';
import { combinedExtractor, inWholeGroups } from './combined.ts';
import { measuredAs } from './to-fit.ts';

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
  /**
   * How many standard deviations each layer's log norm is from those of ordinary inputs, the furthest first. By the
   * combined detector those layers come first that add most to the score, each with what it adds.
   */
  readonly layers: readonly { readonly name: string; readonly z: number; readonly share?: number }[];
  /** By the combined detector: what each of its views adds to the score. */
  readonly views?: readonly { readonly name: string; readonly share: number }[];
  /** Why there is no verdict. */
  readonly reason?: string;
}

/** Of a judgement that says nothing. */
export const NOTHING = { score: null, pValue: null, verdict: null, layers: [] } as const;

/** How features are computed, and verdicts explained. */
export interface JudgeOptions extends Pick<ExtractorOptions, 'runtime' | 'batch' | 'memory' | 'threads'> {
  /** False-positive rate of the verdicts. */
  readonly rate: number;
  readonly explain: boolean;
}

/** One detector at work. */
export interface Judge {
  readonly name: string;
  /** The group sizes it is fitted for. */
  readonly groups: readonly number[];
  /** Throws a UsageError for a rate at which it has no verdicts on groups of B. */
  checkRate(B: number): void;
  /** Features of these rows of a set, run by run, each of whole groups of B. */
  tables(data: Dataset, B: number, rows: Rows): AsyncIterable<FeatureTable>;
  /** A judgement for every group of B of such a run. */
  judgements(table: FeatureTable, B: number): Judgement[];
  dispose(): Promise<void>;
}

/** One of the detectors that are fitted for each group size, on features of groups. */
export function openJudge(
  model: ScoringModel,
  detector: DetectorFile,
  choice: DetectorChoice,
  options: JudgeOptions,
): Judge {
  const { runtime, batch, memory, threads, rate } = options;
  const [by] = resolved([choice]);
  const { name } = by!;
  const fitted = detector.groups.filter((entry) => entry.detectors[name]);
  const entryOf = (B: number) => fitted.find(({ group }) => group === B)!;
  const measured = measuredAs(detector, viewsNeeded(detector, [by!]));
  const extractors = new Map<number, Promise<Extractor>>();
  const extractorFor = (group: number): Promise<Extractor> => {
    // as the features that it was fitted on were made
    const { seed, noise = 'place' as const, noiseSamples = 1 } = detector;
    const found =
      extractors.get(group) ??
      openExtractor(model, { runtime, batch, memory, threads, group, seed, noise, noiseSamples, ...measured });
    extractors.set(group, found);
    return found;
  };
  return {
    name,
    groups: fitted.map(({ group }) => group),
    checkRate: (B) => void verdicts({ pValues: new Float64Array(), calibrationSize: entryOf(B).n }, rate),
    async *tables(data, B, rows) {
      yield* (await extractorFor(B)).tables(data, rows);
    },
    judgements(table, B) {
      const scored = scoreTable(detector, table, [by!])[0]!;
      const normal = options.explain ? entryOf(B).detectors['layer-norms']?.params : undefined;
      const explained = normal && explain(normal, table);
      const marked = new Set(notFinite(table));
      return Array.from(scored.scores, (score, i): Judgement => {
        const where = { ...placeOf(table, i, 1), group: B };
        if (marked.has(i)) return { ...where, ...NOTHING, reason: oddText(table, [i]) };
        const pValue = scored.pValues[i]!;
        const [isOut] = verdicts({ ...scored, pValues: Float64Array.of(pValue) }, rate);
        const layers = (explained?.names ?? []).map((layer, j, all) => ({
          name: layer,
          z: explained!.zScores[i * all.length + j]!,
        }));
        layers.sort((a, b) => Math.abs(b.z) - Math.abs(a.z));
        return { ...where, score, pValue, verdict: isOut ? 'out' : 'in', layers };
      });
    },
    async dispose() {
      const open = [...extractors.values()];
      extractors.clear();
      for (const extractor of open) await (await extractor.catch(() => undefined))?.dispose();
    },
  };
}

/** The combined detector, on features of single inputs. */
export function openCombinedJudge(
  model: ScoringModel,
  detector: DetectorFile,
  kind: CombinedKind,
  options: JudgeOptions,
): Judge {
  const { runtime, batch, memory, threads, rate } = options;
  const fit = combinedOf(detector);
  let opened: Promise<AspectsExtractor> | undefined;
  const extractor = (): Promise<AspectsExtractor> => {
    opened ??= combinedExtractor(model, detector, { runtime, ...defined({ batch, memory, threads }) });
    return opened;
  };
  return {
    name: kind,
    groups: fit.groups.map(({ group }) => group),
    checkRate() {
      if (!(rate > 0 && rate < 1)) throw new UsageError(`false-positive rate is ${rate}, expected between 0 and 1`);
      if (rate < leastPValue(fit)) {
        const needed = Math.ceil(1 / (10 * rate) - 1 - 1e-9);
        throw new UsageError(
          `a false-positive rate of ${rate} needs at least ${needed} fit inputs, the detector has ${fit.n}`,
        );
      }
    },
    async *tables(data, B, rows) {
      yield* inWholeGroups((await extractor()).tables(data, rows), B);
    },
    judgements(table, B) {
      const found = judged(fit, table, B);
      const scores = found.scores(kind);
      const pValues = combinedPValues(fit, scores, B, kind);
      const explained = options.explain ? found.shares(kind) : [];
      const marked = notFinite(table);
      return Array.from(scores, (score, g): Judgement => {
        const where = { ...placeOf(table, g, B), group: B };
        const odd = marked.filter((i) => Math.floor(i / B) === g);
        if (odd.length > 0) return { ...where, ...NOTHING, reason: oddText(table, odd) };
        const { layers = [], views } = explained[g] ?? {};
        return {
          ...where,
          score,
          pValue: pValues[g]!,
          verdict: pValues[g]! <= rate ? 'out' : 'in',
          layers: layers.toSorted((a, b) => b.share - a.share),
          ...defined({ views }),
        };
      });
    },
    async dispose() {
      const open = opened;
      opened = undefined;
      await (await open?.catch(() => undefined))?.dispose();
    },
  };
}

/** Where the group is that begins at row g · B of a table, and what its inputs are called. */
function placeOf(table: FeatureTable, g: number, B: number) {
  const rows = Array.from({ length: B }, (_, b) => g * B + b);
  const ids = table.ids && rows.flatMap((row) => idsOf(table, row) ?? []);
  return { index: table.meta.start + g * B * table.group, ...defined({ ids }) };
}

const oddText = (table: FeatureTable, rows: readonly number[]): string =>
  `${describeExamples(table, rows)}: not finite: ${whatIsNotFinite(table, rows[0]!)}`;
