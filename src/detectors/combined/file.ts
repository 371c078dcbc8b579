// What a detector file keeps of the combined detector: itself, the metric of its features, how many draws of the noise
// they are means over.

import * as z from 'zod';
import { DataError, ModelError } from '../../errors.ts';
import { metricSchema, type PackedMetric, unpacked } from '../../features/packed-metric.ts';
import type { Combined } from './fit.ts';
import { combinedSchema, openCombined, type StoredCombined } from './format.ts';

/** The combined detector as a detector file has it. */
export interface CombinedFile {
  /** Of the view `fisher`, from inputs that the detector was not fitted on: of each aspect of the model. */
  readonly metrics: readonly PackedMetric[];
  /** Draws of the noise that its features are means over; left out: one. */
  readonly noiseSamples?: number;
  readonly detector: StoredCombined;
}

/** For the schema of detector files. */
export const combinedFileSchema = z.strictObject({
  metrics: z.array(metricSchema).min(1),
  noiseSamples: z.int().min(2).optional(),
  detector: combinedSchema,
});

const opened = new WeakMap<CombinedFile, Combined>();

/**
 * The combined detector of a file, ready to score; opened once. Throws a ModelError for a file without one, and a
 * DataError that begins with `where` for one that is damaged.
 */
export function combinedOf(
  file: { readonly combined?: CombinedFile; readonly names: readonly string[] },
  where = 'the detector',
): Combined {
  const { combined, names } = file;
  if (!combined) throw new ModelError(`${where}: holds no combined detector`);
  const found = opened.get(combined);
  if (found) return found;
  for (const metric of combined.metrics) unpacked(metric, where);
  const open = openCombined(combined.detector, names, `${where}: the combined detector`);
  if (combined.metrics.length !== Math.max(1, open.aspects.length)) {
    throw new DataError(`${where}: has ${combined.metrics.length} metrics for ${open.aspects.length} aspects`);
  }
  opened.set(combined, open);
  return open;
}
