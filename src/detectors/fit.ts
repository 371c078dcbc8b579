// Feature tables of in-distribution data, one per group size, in; a detector file's content out.

import { aList, checkArguments, checkOptions, listOf, optional, table as tableRule, yesOrNo } from '../arguments.ts';
import { unionOf } from '../data/origin.ts';
import { defined, filled } from '../defined.ts';
import { DataError, ModelError } from '../errors.ts';
import type { PackedMetric } from '../features/packed-metric.ts';
import {
  checkTable,
  describeExamples,
  differenceOf,
  examplesOf,
  type FeatureTable,
  finiteRows,
  notFinite,
  rowsOf,
} from '../features/table.ts';
import { calibrate } from './calibration.ts';
import type { Detector } from './detector.ts';
import { type DetectorChoice, detectorNames, detectors, resolved } from './detectors.ts';
import { type DetectorFile, type Fitted, VERSION } from './fitted.ts';

/**
 * Of `fitDetectors`: which detectors are fitted, what the file remembers of the data, what becomes of rows that are not
 * finite.
 */
export interface FitOptions {
  /**
   * By name, or themselves: with options, or of your own. Default: every one of ours that the tables have the inputs
   * for (chi2 needs dims).
   */
  readonly detectors?: readonly DetectorChoice[];
  /** Stored in the file as it is; plain JSON. */
  readonly recipe?: Readonly<Record<string, unknown>>;
  /** That of the tables' view `fisher`, kept in the file so that others can be measured by it. */
  readonly metric?: PackedMetric;
  /** Whether groups whose features are not finite are left out (and listed in the file); they are refused otherwise. */
  readonly leaveOut?: boolean;
}

/**
 * Fits detectors on in-distribution features, one table per group size. Throws a DataError or ModelError when the
 * tables differ in model, layers, data, seed or noise, repeat a group size, have fewer than five groups, or hold rows
 * that are not finite.
 */
export function fitDetectors(tables: readonly FeatureTable[], options: FitOptions = {}): DetectorFile {
  checkArguments('fitDetectors', { tables }, { tables: listOf(tableRule) });
  checkOptions('fitDetectors', options, { leaveOut: optional(yesOrNo), detectors: optional(aList) });
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
    if (table.meta.noiseSamples !== first.meta.noiseSamples) {
      throw new DataError(`${where}: cannot fit together: other draws of the noise than groups of ${first.group}`);
    }
    const [views, expected] = [table, first].map(({ meta }) => meta.views?.join(', ') ?? 'none');
    if (views !== expected) {
      throw new DataError(`${where}: cannot fit together: has the views ${views}, expected ${expected}`);
    }
    if (table.meta.metric !== first.meta.metric) {
      throw new DataError(`${where}: cannot fit together: another metric than groups of ${first.group}`);
    }
    const marked = notFinite(table);
    if (marked.length > 0 && options.leaveOut !== true) {
      const which = `${marked.length} of ${rowsOf(table)} groups to fit on have no finite norms or nll`;
      const cure = 'take them out of the data, or have them left out (`leaveOut: true`)';
      throw new DataError(`${where}: ${which}: ${describeExamples(table, marked)}; ${cure}`);
    }
    if (ordered[k - 1]?.group === table.group) throw new DataError(`${where}: there are two tables of this group size`);
  }
  const { seed, noise, noiseSamples, views, origin } = first.meta;
  const { metric } = options;
  if (metric && metric.hash !== first.meta.metric) {
    throw new DataError(`${first.meta.data}: the features are not of the metric that is to be kept with the detector`);
  }
  const hasAll = (detector: Detector<object>) => (detector.views ?? []).every((view) => views?.includes(view));
  return {
    version: VERSION,
    model: first.meta.model,
    data: {
      name: first.meta.data,
      fingerprint: first.meta.dataFingerprint,
      ...(origin === undefined ? {} : { origin: unionOf(ordered.map((table) => examplesOf(table)!)) }),
    },
    seed,
    ...defined({ noise, noiseSamples, views, metric }),
    names: first.names,
    groups: ordered.map((table) => {
      const chosen =
        options.detectors ??
        detectorNames.filter((k) => (!detectors[k].needsDims || table.dims !== undefined) && hasAll(detectors[k]));
      const blind = resolved(chosen).find((detector) => !hasAll(detector));
      if (blind) {
        const needs = blind.views!.join(', ');
        throw new DataError(
          `${table.meta.data}: ${blind.name} needs the views ${needs}, the features have not all of them`,
        );
      }
      const finite = finiteRows(table);
      const leftOut = notFinite(table).map((i) => table.meta.start + i * table.group);
      return {
        group: table.group,
        n: rowsOf(finite),
        start: table.meta.start,
        ...filled({ leftOut }),
        detectors: Object.fromEntries(
          resolved(chosen).map((detector) => [detector.name, fitOne(detector, finite, seed)]),
        ),
      };
    }),
    ...defined({ recipe: options.recipe }),
  };
}

function fitOne(detector: Detector<object>, table: FeatureTable, seed: number): Fitted<object> {
  const params = detector.fit(table);
  const calibration = calibrate(detector, params, table, seed);
  const odd = calibration.find((score) => !Number.isFinite(score));
  if (odd !== undefined) throw new DataError(`${table.meta.data}: ${detector.name} gives a fit group the score ${odd}`);
  return { params, calibration };
}
