// What a report is made from: fitted detectors, features of every set, the figures of the evaluation.

import {
  type CombinedKind,
  combinedOf,
  type DetectorFile,
  type DetectorName,
  isCombined,
  type Judged,
  judged,
  scoreTable,
} from '../detectors/index.ts';
import type { EvalRow } from '../eval/index.ts';
import type { FeatureTable } from '../features/index.ts';

/** An image with the score it got. */
export interface ImageTile {
  /** Pixels 0..255, channels first. */
  readonly data: ArrayLike<number>;
  /** [c, h, w] */
  readonly shape: readonly number[];
  readonly score: number;
  readonly note?: string;
}

/** One data set of a report, with its features. */
export interface ReportSet {
  readonly name: string;
  /** One table per group size. */
  readonly tables: readonly FeatureTable[];
  /** Of single inputs, as the combined detector judges them; where there is one. */
  readonly singles?: FeatureTable;
  /** The most and the least surprising images by the main detector, B = 1. */
  readonly images?: { readonly most: readonly ImageTile[]; readonly least: readonly ImageTile[] };
}

/** Everything that a report shows. */
export interface ReportContent {
  readonly title: string;
  /** Label and value pairs under the title: the model, its data, the command. */
  readonly facts: readonly (readonly [string, string])[];
  readonly detector: DetectorFile;
  readonly rows: readonly EvalRow[];
  readonly inSet: ReportSet;
  /** The first is the one that figures of two sets compare with. */
  readonly oodSets: readonly ReportSet[];
}

const known = new WeakMap<DetectorFile, WeakMap<FeatureTable, Map<number, Judged>>>();

/** What the combined detector says of a table of a report, found once for all figures. */
export function judgedIn(detector: DetectorFile, table: FeatureTable, group: number): Judged {
  const ofDetector = known.get(detector) ?? new WeakMap<FeatureTable, Map<number, Judged>>();
  const ofTable = ofDetector.get(table) ?? new Map<number, Judged>();
  known.set(detector, ofDetector.set(table, ofTable));
  const found = ofTable.get(group) ?? judged(combinedOf(detector), table, group);
  ofTable.set(group, found);
  return found;
}

/**
 * The scores of one detector for one set and group size; undefined where the set or the detector has none of that size.
 */
export function scoresOf(
  detector: DetectorFile,
  set: ReportSet,
  group: number,
  name: DetectorName | CombinedKind,
): Float64Array | undefined {
  if (isCombined(name)) {
    const isFitted = detector.combined?.detector.groups.some((entry) => entry.group === group);
    return isFitted && set.singles ? judgedIn(detector, set.singles, group).scores(name) : undefined;
  }
  const table = tableOf(set, group);
  return table && scoreTable(detector, table, [name])[0]?.scores;
}

/** The detector that a report is about: the combined one, where it is fitted. */
export const mainDetector = (detector: DetectorFile): 'combined' | 'layer-norms' =>
  detector.combined ? 'combined' : 'layer-norms';

/** What people call it. */
export const mainTitle = (detector: DetectorFile): string =>
  detector.combined ? 'Combined detector' : 'Layer-wise gradient norms';

export function tableOf(set: ReportSet, group: number): FeatureTable | undefined {
  return set.tables.find((table) => table.group === group);
}

/** [n] bits/dim where the table knows its dimensions, nats otherwise; of one example of the group. */
export function bitsPerDimOf(table: FeatureTable): Float64Array {
  return table.nll.map((nll) => (nll * (table.meta.bitsPerDimFactor ?? 1)) / table.group);
}

export function unitOf(table: FeatureTable): string {
  return table.meta.bitsPerDimFactor === undefined ? 'nats' : 'bits per dimension';
}

/** Colours of the in-distribution set and of the others in order: Okabe & Ito's, which the colour-blind tell apart. */
export const colours = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#8C6D31',
  '#7F7F7F',
] as const;

export function colourOf(content: ReportContent, name: string): string {
  const at = [content.inSet, ...content.oodSets].findIndex((set) => set.name === name);
  return colours[Math.max(0, at) % colours.length]!;
}
