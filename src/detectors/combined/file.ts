// What a detector file keeps of the combined detector: itself, the metric of its features, how many draws of the noise
// they are means over.

import * as z from 'zod';
import { DataError, ModelError } from '../../errors.ts';
import type { Metric } from '../../features/metric.ts';
import { type ActivationBasis, basisSchema, openBasis, type PackedBasis } from '../../features/packed-basis.ts';
import { metricSchema, type PackedMetric, unpacked } from '../../features/packed-metric.ts';
import type { Combined } from './fit.ts';
import { combinedSchema, openCombined, type StoredCombined } from './format.ts';

/** The combined detector as a detector file has it. */
export interface CombinedFile {
  /** Of the view `fisher`, from inputs that the detector was not fitted on: of each aspect of the model. */
  readonly metrics: readonly PackedMetric[];
  /** Of the view `activations`, from the same inputs, likewise; left out: there is no such view. */
  readonly bases?: readonly PackedBasis[];
  /** Draws of the noise that its features are means over; left out: one. */
  readonly noiseSamples?: number;
  /**
   * Numbers in an input it was fitted on, where the model leaves open how many: features of others are brought there.
   */
  readonly size?: number;
  /** Examples of the fit data that it was fitted without since what they give is not finite, if any. */
  readonly leftOut?: readonly number[];
  /** How many recombined inputs of each kind were left out for the same reason, if any. */
  readonly leftOutRecombined?: Readonly<Record<string, number>>;
  readonly detector: StoredCombined;
}

/** For the schema of detector files. */
export const combinedFileSchema = z.strictObject({
  metrics: z.array(metricSchema).min(1),
  bases: z.array(basisSchema).min(1).optional(),
  noiseSamples: z.int().min(2).optional(),
  size: z.int().min(1).optional(),
  leftOut: z.array(z.int().min(0)).min(1).optional(),
  leftOutRecombined: z.record(z.string(), z.int().min(1)).optional(),
  detector: combinedSchema,
});

interface Opened {
  readonly detector: Combined;
  readonly metrics: readonly Metric[];
  readonly bases: readonly ActivationBasis[];
}

const opened = new WeakMap<CombinedFile, Opened>();

interface WithCombined {
  readonly combined?: CombinedFile;
  readonly names: readonly string[];
}

/**
 * The combined detector of a file, ready to score; opened once. Throws a ModelError for a file without one, and a
 * DataError that begins with `where` for one that is damaged.
 */
export const combinedOf = (file: WithCombined, where = 'the detector'): Combined => open(file, where).detector;

/** What its features are measured by: the metric of each aspect. Opened once, and throws, as `combinedOf`. */
export const metricsOf = (file: WithCombined, where = 'the detector'): readonly Metric[] => open(file, where).metrics;

/** The basis of each aspect's activations; none of a file without. Opened once, and throws, as `combinedOf`. */
export const basesOf = (file: WithCombined, where = 'the detector'): readonly ActivationBasis[] =>
  open(file, where).bases;

function open({ combined, names }: WithCombined, where: string): Opened {
  if (!combined) throw new ModelError(`${where}: holds no combined detector`);
  const found = opened.get(combined);
  if (found) return found;
  const metrics = combined.metrics.map((metric) => unpacked(metric, where));
  const bases = (combined.bases ?? []).map((basis) => openBasis(basis, where));
  const detector = openCombined(combined.detector, names, `${where}: the combined detector`);
  if (metrics.length !== Math.max(1, detector.aspects.length)) {
    throw new DataError(`${where}: has ${metrics.length} metrics for ${detector.aspects.length} aspects`);
  }
  if (bases.length > 0 && bases.length !== metrics.length) {
    throw new DataError(`${where}: has ${bases.length} bases for ${metrics.length} metrics`);
  }
  const both = { detector, metrics, bases };
  opened.set(combined, both);
  return both;
}
