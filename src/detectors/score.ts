// A detector file's content and a feature table in; scores and p-values out, and which rows the detector was fitted on.

import { aList, checkArguments, detector as detectorRule, table as tableRule } from '../arguments.ts';
import { type Origin, type Run, shared, unionOf } from '../data/origin.ts';
import { DataError, ModelError } from '../errors.ts';
import { checkTable, differenceOf, examplesOf, type FeatureTable, nextExample, notFinite } from '../features/table.ts';
import type { View } from '../features/table-head.ts';
import { pValues } from './calibration.ts';
import type { Detector } from './detector.ts';
import { type DetectorChoice, detectorNames, resolved } from './detectors.ts';
import type { DetectorFile, Fitted, FittedGroup } from './fitted.ts';

/** The scores of one detector for n rows. */
export interface Scored {
  /** Its name. */
  readonly detector: string;
  /**
   * [n] higher = more out of distribution; NaN for a row whose features are not finite, of which nothing can be said.
   */
  readonly scores: Float64Array;
  /**
   * [n] conformal p-values; out of distribution at false-positive rate α where p ≤ α (`verdicts`). NaN as the scores.
   */
  readonly pValues: Float64Array;
  /** Number of scores behind the p-values; none is below 1 / (calibrationSize + 1). */
  readonly calibrationSize: number;
}

/**
 * Scores every row with those of `choice` that are fitted for the table's group size: ours in the order of
 * `detectorNames`, then those of others. Left out: all of ours; one of your own has to be given. Throws a ModelError
 * when the table comes from another model, has other layers or a group size that was not fitted, and a DataError where
 * finite features get a score that is no finite number.
 */
export function scoreTable(
  file: DetectorFile,
  table: FeatureTable,
  choice: readonly DetectorChoice[] = detectorNames,
): Scored[] {
  checkArguments(
    'scoreTable',
    { detector: file, table, choice },
    { detector: detectorRule, table: tableRule, choice: aList },
  );
  checkTable(table, table.meta.data);
  const { detectors: fitted } = fittedFor(file, table);
  return resolved(choice).flatMap((detector) => {
    const own = fitted[detector.name];
    if (own === undefined) return [];
    checkViews(file, detector, table);
    return [scoreOne(detector, own, table)];
  });
}

/**
 * What a detector file's detectors read of tables beside nll and norms: of those of `choice` that it has. Left out: all
 * of ours.
 */
export function viewsNeeded(file: DetectorFile, choice: readonly DetectorChoice[] = detectorNames): readonly View[] {
  const has = ({ name }: Detector<object>) => file.groups.some(({ detectors }) => detectors[name] !== undefined);
  const needed = resolved(choice)
    .filter(has)
    .flatMap(({ views = [] }) => views);
  return (file.views ?? []).filter((view) => needed.includes(view));
}

function checkViews(file: DetectorFile, { name, views = [] }: Detector<object>, { meta }: FeatureTable): void {
  const missing = views.find((view) => !meta.views?.includes(view));
  const where = `${meta.data}: cannot score`;
  if (missing !== undefined)
    throw new ModelError(`${where}: ${name} needs the view ${missing}, which the table has not`);
  if (views.includes('fisher') && file.metric && file.metric.hash !== meta.metric) {
    throw new ModelError(`${where}: the view fisher is of another metric than the detector's`);
  }
}

/** The fits for the table's group size. Throws a ModelError as `scoreTable`. */
export function fittedFor(file: DetectorFile, table: FeatureTable): FittedGroup {
  const where = `${table.meta.data}: cannot score`;
  const difference = differenceOf({ names: file.names, group: table.group, meta: { model: file.model } }, table);
  if (difference !== undefined) throw new ModelError(`${where}: ${difference} (of the detector)`);
  const [drawn, expected] = [table.meta, file].map(({ noiseSamples = 1 }) => noiseSamples);
  if (drawn !== expected) {
    throw new ModelError(
      `${where}: means are over ${drawn} draws of the noise, expected ${expected} (of the detector)`,
    );
  }
  const entry = file.groups.find(({ group }) => group === table.group);
  if (entry !== undefined) return entry;
  const fitted = file.groups.map(({ group }) => group).join(', ');
  throw new ModelError(`${where}: group size is ${table.group}, the detector was fitted for ${fitted}`);
}

/**
 * How many of the table's examples the detector was fitted on, so that their scores flatter it: other slices and
 * selections of the same source count, and examples that were cropped or resampled since.
 */
export function sharedWithFit(file: DetectorFile, table: FeatureTable): number {
  checkArguments('sharedWithFit', { detector: file, table }, { detector: detectorRule, table: tableRule });
  const examples = examplesOf(table);
  const fitted = file.data.origin ?? oldOrigin(file);
  const measured = file.metric?.origin;
  const metricShare = examples && measured ? shared(measured, examples) : 0; // other ones than those fitted on
  if (examples !== undefined && fitted !== undefined) return shared(fitted, examples) + metricShare;
  if (table.meta.dataFingerprint !== file.data.fingerprint) return 0;
  const end = nextExample(table);
  const common = file.groups.map(({ start, n, group }) =>
    Math.max(0, Math.min(end, start + n * group) - Math.max(start, table.meta.start)),
  );
  return Math.max(...common);
}

/** Whether rows of the table are among the examples the detector was fitted on; see `sharedWithFit`. */
export const overlapsFit = (file: DetectorFile, table: FeatureTable): boolean => sharedWithFit(file, table) > 0;

/**
 * The fit examples of a file that was written before files said so, where they were all of a source or one slice of it.
 */
function oldOrigin({ data, groups }: DetectorFile): Origin | undefined {
  const [, fingerprint, from = '0'] = /^([0-9a-f]{64})(?:\[(\d+):\d+\])?(?: .*)?$/.exec(data.fingerprint) ?? [];
  if (fingerprint === undefined) return undefined;
  const runs = groups.map(({ start, n, group }): Run => [Number(from) + start, Number(from) + start + n * group]);
  return unionOf([{ fingerprint, runs }]);
}

function scoreOne(detector: Detector<object>, { params, calibration }: Fitted<object>, table: FeatureTable): Scored {
  const { name } = detector;
  const scores = detector.score(params, table);
  const marked = new Set(notFinite(table));
  for (const [i, score] of scores.entries()) {
    if (marked.has(i)) scores[i] = Number.NaN;
    else if (!Number.isFinite(score)) {
      const reason = 'its parameters and these features are too far apart, or the detector file is damaged';
      throw new DataError(`${table.meta.data}: row ${i}: ${name} gives the score ${score}: ${reason}`);
    }
  }
  return { detector: name, scores, pValues: pValues(calibration, scores), calibrationSize: calibration.length };
}
