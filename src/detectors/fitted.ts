// What fitting leaves, and a detector file holds: parameters and calibration scores of every detector, for every group
// size.

import type { Origin } from '../data/origin.ts';
import type { PackedMetric } from '../features/packed-metric.ts';
import type { FeatureMeta, View } from '../features/table-head.ts';
import type { CombinedFile } from './combined/index.ts';
import type { DetectorName, DetectorParams } from './detectors.ts';

export const VERSION = 1;

/** One fitted detector. */
export interface Fitted<P> {
  readonly params: P;
  /** Scores of the fit groups by cross-fitting (`calibrate`), ascending. */
  readonly calibration: readonly number[];
}

/** By name: our own detectors, and those that others have defined. */
export interface FittedDetectors extends Readonly<{ [K in DetectorName]?: Fitted<DetectorParams[K]> }> {
  readonly [name: string]: Fitted<object> | undefined;
}

/** The detectors fitted on groups of one size. */
export interface FittedGroup {
  /** B */
  readonly group: number;
  /**
   * Number of fit groups, and index in the fit data of the first example; the groups follow without gaps but for those
   * left out.
   */
  readonly n: number;
  readonly start: number;
  /** First example of every group that was left out, since its features are not finite. */
  readonly leftOut?: readonly number[];
  readonly detectors: FittedDetectors;
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
  /**
   * What keyed the noise of the features, see `FeatureMeta`: an extractor for scoring takes the same `seed` and
   * `noise`.
   */
  readonly noise?: FeatureMeta['noise'];
  /** Draws of the noise that the features are means over; left out: one. An extractor for scoring takes as many. */
  readonly noiseSamples?: number;
  /** What the features have beside nll and norms; left out: nothing. */
  readonly views?: readonly View[];
  /** Of the view `fisher`. */
  readonly metric?: PackedMetric;
  /** The combined detector, fitted on features of single inputs for all group sizes. */
  readonly combined?: CombinedFile;
  readonly names: readonly string[];
  /** One entry per group size, ascending. */
  readonly groups: readonly FittedGroup[];
  /**
   * How to compute such features again (where the model is, its inputs, options). For the caller; not interpreted here.
   */
  readonly recipe?: Readonly<Record<string, unknown>>;
}
