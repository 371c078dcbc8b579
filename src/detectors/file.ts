// Feature tables of in-distribution data in (one per group size), a detector file out; that and a new table in, scores and
// p-values out. Text only, no file access: this runs in the browser too.

import { z } from 'zod';
import { type Origin, type Run, shared, unionOf } from '../data/origin.ts';
import { DataError, ModelError } from '../errors.ts';
import {
  checkTable,
  describeExamples,
  differenceOf,
  examplesOf,
  type FeatureMeta,
  type FeatureTable,
  finiteRows,
  nextExample,
  noiseSchema,
  notFinite,
  originSchema,
  parseAs,
  rowsOf,
} from '../features/table.ts';
import { calibrate, pValues } from './calibration.ts';
import { type DetectorName, type DetectorParams, detectorNames, detectors } from './detectors.ts';

const VERSION = 1;

/** One fitted detector. */
export interface Fitted<P> {
  readonly params: P;
  /** Scores of the fit groups by cross-fitting (`calibrate`), ascending. */
  readonly calibration: readonly number[];
}

/** The detectors fitted on groups of one size. */
export interface FittedGroup {
  /** B */
  readonly group: number;
  /** Number of fit groups, and index in the fit data of the first example; the groups follow without gaps but for those left out. */
  readonly n: number;
  readonly start: number;
  /** First example of every group that was left out, since its features are not finite. */
  readonly leftOut?: readonly number[];
  readonly detectors: { readonly [K in DetectorName]?: Fitted<DetectorParams[K]> };
}

/** Everything needed to score features of the same model. */
export interface DetectorFile {
  readonly version: typeof VERSION;
  /** SHA-256 of the model's weights and graph. */
  readonly model: string;
  /** The fit data. */
  readonly data: {
    readonly name: string;
    readonly fingerprint: string;
    /** Which examples of which source were used, for the smallest to the largest group. */
    readonly origin?: Origin;
  };
  /** Seed the features were computed with, and of the calibration folds. */
  readonly seed: number;
  /** What keyed the noise of the features, see `FeatureMeta`: an extractor for scoring takes the same `seed` and `noise`. */
  readonly noise?: FeatureMeta['noise'];
  readonly names: readonly string[];
  /** One entry per group size, ascending. */
  readonly groups: readonly FittedGroup[];
  /** How to compute such features again (where the model is, its inputs, options). For the caller; not interpreted here. */
  readonly recipe?: Readonly<Record<string, unknown>>;
}

export interface FitOptions {
  /** Default: every detector the tables have the inputs for (chi2 needs dims). */
  readonly detectors?: readonly DetectorName[];
  /** Stored in the file as it is; plain JSON. */
  readonly recipe?: Readonly<Record<string, unknown>>;
  /** Whether groups whose features are not finite are left out (and listed in the file); they are refused otherwise. */
  readonly leaveOut?: boolean;
}

/**
 * Fits detectors on in-distribution features, one table per group size. Throws a DataError or ModelError when the tables
 * differ in model, layers, data, seed or noise, repeat a group size, have fewer than five groups, or hold rows that are not finite.
 */
export function fitDetectors(tables: readonly FeatureTable[], options: FitOptions = {}): DetectorFile {
  const ordered = tables.toSorted((a, b) => a.group - b.group);
  const first = ordered[0];
  if (first === undefined) throw new DataError('no feature tables to fit on, expected one per group size');
  for (const [k, table] of ordered.entries()) {
    const where = `${table.meta.data}, groups of ${table.group}`;
    checkTable(table, where);
    const difference = differenceOf({ ...first, group: table.group }, table);
    if (difference !== undefined) throw new ModelError(`${where}: cannot fit together: ${difference}`);
    if (table.meta.dataFingerprint !== first.meta.dataFingerprint) {
      throw new DataError(`${where}: cannot fit together: other data than groups of ${first.group}`);
    }
    if (table.meta.seed !== first.meta.seed) {
      throw new DataError(`${where}: cannot fit together: seed is ${table.meta.seed}, expected ${first.meta.seed}`);
    }
    if (table.meta.noise !== first.meta.noise) {
      throw new DataError(`${where}: cannot fit together: other noise than groups of ${first.group}`);
    }
    const marked = notFinite(table);
    if (marked.length > 0 && options.leaveOut !== true) {
      const which = `${marked.length} of ${rowsOf(table)} groups to fit on have no finite norms or nll`;
      const cure = 'take them out of the data, or have them left out (--skip-not-finite; leaveOut: true)';
      throw new DataError(`${where}: ${which}: ${describeExamples(table, marked)}; ${cure}`);
    }
    if (ordered[k - 1]?.group === table.group) throw new DataError(`${where}: there are two tables of this group size`);
  }
  const { seed, noise, origin } = first.meta;
  return {
    version: VERSION,
    model: first.meta.model,
    data: {
      name: first.meta.data,
      fingerprint: first.meta.dataFingerprint,
      ...(origin === undefined ? {} : { origin: unionOf(ordered.map((table) => examplesOf(table)!)) }),
    },
    seed,
    ...(noise === undefined ? {} : { noise }),
    names: first.names,
    groups: ordered.map((table) => {
      const names =
        options.detectors ?? detectorNames.filter((k) => !detectors[k].needsDims || table.dims !== undefined);
      const fitted: { [K in DetectorName]?: Fitted<DetectorParams[K]> } = {};
      const finite = finiteRows(table);
      const leftOut = notFinite(table).map((i) => table.meta.start + i * table.group);
      for (const name of names) fitInto(fitted, name, finite, seed);
      return {
        group: table.group,
        n: rowsOf(finite),
        start: table.meta.start,
        ...(leftOut.length === 0 ? {} : { leftOut }),
        detectors: fitted,
      };
    }),
    ...(options.recipe === undefined ? {} : { recipe: options.recipe }),
  };
}

/** The scores of one detector for n rows. */
export interface Scored {
  readonly detector: DetectorName;
  /** [n] higher = more out of distribution; NaN for a row whose features are not finite, of which nothing can be said. */
  readonly scores: Float64Array;
  /** [n] conformal p-values; out of distribution at false-positive rate α where p ≤ α (`verdicts`). NaN as the scores. */
  readonly pValues: Float64Array;
  /** Number of scores behind the p-values; none is below 1 / (calibrationSize + 1). */
  readonly calibrationSize: number;
}

/**
 * Scores every row with every detector of the table's group size, or those of `names` that are fitted, in the order of
 * `detectorNames`. Throws a ModelError when the table comes from another model, has other layers or a group size that was not fitted, and a
 * DataError where finite features get a score that is no finite number.
 */
export function scoreTable(
  file: DetectorFile,
  table: FeatureTable,
  names: readonly DetectorName[] = detectorNames,
): Scored[] {
  checkTable(table, table.meta.data);
  const { detectors: fitted } = fittedFor(file, table);
  return detectorNames.flatMap((name) =>
    fitted[name] === undefined || !names.includes(name) ? [] : [scoreOne(name, fitted, table)],
  );
}

/** The fits for the table's group size. Throws a ModelError as `scoreTable`. */
export function fittedFor(file: DetectorFile, table: FeatureTable): FittedGroup {
  const where = `${table.meta.data}: cannot score`;
  const difference = differenceOf({ names: file.names, group: table.group, meta: { model: file.model } }, table);
  if (difference !== undefined) throw new ModelError(`${where}: ${difference} (of the detector)`);
  const entry = file.groups.find(({ group }) => group === table.group);
  if (entry !== undefined) return entry;
  const fitted = file.groups.map(({ group }) => group).join(', ');
  throw new ModelError(`${where}: group size is ${table.group}, the detector was fitted for ${fitted}`);
}

/**
 * How many of the table's examples the detector was fitted on, so that their scores flatter it: other slices and selections of the same source
 * count, and examples that were cropped or resampled since.
 */
export function sharedWithFit(file: DetectorFile, table: FeatureTable): number {
  const examples = examplesOf(table);
  const fitted = file.data.origin ?? oldOrigin(file);
  if (examples !== undefined && fitted !== undefined) return shared(fitted, examples);
  if (table.meta.dataFingerprint !== file.data.fingerprint) return 0;
  const end = nextExample(table);
  const common = file.groups.map(({ start, n, group }) =>
    Math.max(0, Math.min(end, start + n * group) - Math.max(start, table.meta.start)),
  );
  return Math.max(...common);
}

/** Whether rows of the table are among the examples the detector was fitted on; see `sharedWithFit`. */
export const overlapsFit = (file: DetectorFile, table: FeatureTable): boolean => sharedWithFit(file, table) > 0;

/** The fit examples of a file that was written before files said so, where they were all of a source or one slice of it. */
function oldOrigin({ data, groups }: DetectorFile): Origin | undefined {
  const [, fingerprint, from = '0'] = /^([0-9a-f]{64})(?:\[(\d+):\d+\])?(?: .*)?$/.exec(data.fingerprint) ?? [];
  if (fingerprint === undefined) return undefined;
  const runs = groups.map(({ start, n, group }): Run => [Number(from) + start, Number(from) + start + n * group]);
  return unionOf([{ fingerprint, runs }]);
}

function fitInto<K extends DetectorName>(
  into: { [N in DetectorName]?: Fitted<DetectorParams[N]> },
  name: K,
  table: FeatureTable,
  seed: number,
): void {
  const detector = detectors[name];
  const params = detector.fit(table);
  const calibration = calibrate(detector, params, table, seed);
  const odd = calibration.find((score) => !Number.isFinite(score));
  if (odd !== undefined) throw new DataError(`${table.meta.data}: ${name} gives a fit group the score ${odd}`);
  into[name] = { params, calibration } as (typeof into)[K];
}

function scoreOne<K extends DetectorName>(name: K, fitted: FittedGroup['detectors'], table: FeatureTable): Scored {
  const { params, calibration } = fitted[name] as Fitted<DetectorParams[K]>;
  const scores = detectors[name].score(params, table);
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

/** The text of a detector file. */
export function formatDetector(file: DetectorFile): string {
  return `${JSON.stringify(file)}\n`;
}

/**
 * The detector in the text of a file; `name` is the file's. Throws a DataError for text that is no JSON, another version, or
 * anything malformed: unknown keys and detectors, numbers out of range, layers the file does not list.
 */
export function parseDetector(text: string, name: string): DetectorFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DataError(
      `${name}: is not a detector file: not valid JSON (${error instanceof Error ? error.message : error})`,
      {
        cause: error,
      },
    );
  }
  const { version } = parseAs(z.looseObject({ version: z.unknown() }), value, `${name}: is not a detector file`);
  if (version !== VERSION) {
    const found = typeof version === 'number' ? version : `of type ${typeof version}`;
    throw new DataError(`${name}: is a detector file of version ${found}, expected ${VERSION}`);
  }
  const file = parseAs(fileSchema, value, name) as DetectorFile;
  const known = new Set(file.names);
  if (known.size !== file.names.length) throw new DataError(`${name}: names a layer twice`);
  for (const [k, entry] of file.groups.entries()) {
    const where = `${name}: groups of ${entry.group}`;
    if (k > 0 && entry.group <= file.groups[k - 1]!.group) throw new DataError(`${where}: not in ascending order`);
    for (const [detector, { params, calibration }] of Object.entries(entry.detectors)) {
      const unknown = 'layers' in params ? params.layers.find((layer) => !known.has(layer.name)) : undefined;
      if (unknown !== undefined) {
        throw new DataError(`${where}: ${detector} has the unknown layer '${unknown.name.slice(0, 200)}'`);
      }
      if ('layers' in params && new Set(params.layers.map((layer) => layer.name)).size !== params.layers.length) {
        throw new DataError(`${where}: ${detector} has a layer twice`);
      }
      if (calibration.length !== entry.n) {
        throw new DataError(`${where}: ${detector} has ${calibration.length} calibration scores, expected ${entry.n}`);
      }
      if (calibration.some((score, i) => i > 0 && score < calibration[i - 1]!)) {
        throw new DataError(`${where}: ${detector} has calibration scores that do not ascend`);
      }
    }
  }
  return file;
}

const fittedSchemas = Object.fromEntries(
  detectorNames.map((name) => [
    name,
    z.strictObject({ params: detectors[name].params, calibration: z.array(z.number()).min(1) }).optional(),
  ]),
);

const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  model: z.string().min(1),
  data: z.strictObject({ name: z.string(), fingerprint: z.string().min(1), origin: originSchema.optional() }),
  seed: z.int().min(0),
  noise: noiseSchema.optional(),
  names: z.array(z.string().min(1)).min(1),
  groups: z
    .array(
      z.strictObject({
        group: z.int().min(1),
        n: z.int().min(1),
        start: z.int().min(0),
        leftOut: z.array(z.int().min(0)).optional(),
        detectors: z.strictObject(fittedSchemas),
      }),
    )
    .min(1),
  recipe: z.record(z.string(), z.unknown()).optional(),
});
