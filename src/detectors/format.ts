// A detector file's content to its text, and back with everything checked. No file access: this runs in the browser
// too.

import * as z from 'zod';
import { DataError } from '../errors.ts';
import { metricSchema, unpacked } from '../features/packed-metric.ts';
import { noiseSchema, originSchema, viewsSchema } from '../features/table-head.ts';
import { parseAs, parseJson } from '../json.ts';
import { combinedFileSchema, combinedOf } from './combined/index.ts';
import type { Detector } from './detector.ts';
import { detectorNames, resolved } from './detectors.ts';
import { type DetectorFile, VERSION } from './fitted.ts';

/** The text of a detector file. */
export function formatDetector(file: DetectorFile): string {
  return `${JSON.stringify(file)}\n`;
}

/**
 * The detector in the text of a file; `name` is the file's. Throws a DataError for text that is no JSON, another
 * version, or anything malformed: unknown keys and detectors, numbers out of range, layers the file does not list.
 * `others`: detectors of your own that it may hold.
 */
export function parseDetector(text: string, name: string, others: readonly Detector<object>[] = []): DetectorFile {
  const known = resolved([...detectorNames, ...others]);
  const value = parseJson(text, `${name}: is not a detector file`);
  const { version } = parseAs(z.looseObject({ version: z.unknown() }), value, `${name}: is not a detector file`);
  if (version !== VERSION) {
    const found = typeof version === 'number' ? version : `of type ${typeof version}`;
    throw new DataError(`${name}: is a detector file of version ${found}, expected ${VERSION}`);
  }
  const file = parseAs(fileSchema(known), value, name) as DetectorFile;
  if (file.metric) unpacked(file.metric, name);
  if (file.combined) combinedOf(file, name);
  const layers = new Set(file.names);
  if (layers.size !== file.names.length) throw new DataError(`${name}: names a layer twice`);
  for (const [k, entry] of file.groups.entries()) {
    const where = `${name}: groups of ${entry.group}`;
    if (k > 0 && entry.group <= file.groups[k - 1]!.group) throw new DataError(`${where}: not in ascending order`);
    for (const { name: detector } of known) {
      const fitted = entry.detectors[detector];
      if (!fitted) continue;
      const { params, calibration } = fitted;
      const own = layersIn(params);
      const unknown = own.find((layer) => !layers.has(layer));
      if (unknown !== undefined) {
        throw new DataError(`${where}: ${detector} has the unknown layer '${unknown.slice(0, 200)}'`);
      }
      if (new Set(own).size !== own.length) throw new DataError(`${where}: ${detector} has a layer twice`);
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

/** Names of the layers that parameters list, as those of our own detectors do. */
function layersIn(params: object): readonly string[] {
  if (!('layers' in params) || !Array.isArray(params.layers)) return [];
  return params.layers.flatMap((layer: unknown) =>
    typeof layer === 'object' && layer !== null && 'name' in layer && typeof layer.name === 'string'
      ? [layer.name]
      : [],
  );
}

const fittedSchema = (known: readonly Detector<object>[]) =>
  z.strictObject(
    Object.fromEntries(
      known.map(({ name, params }) => [
        name,
        z.strictObject({ params, calibration: z.array(z.number()).min(1) }).optional(),
      ]),
    ),
  );

const fileSchema = (known: readonly Detector<object>[]) =>
  z.strictObject({
    version: z.literal(VERSION),
    model: z.string().min(1),
    data: z.strictObject({ name: z.string(), fingerprint: z.string().min(1), origin: originSchema.optional() }),
    seed: z.int().min(0),
    noise: noiseSchema.optional(),
    noiseSamples: z.int().min(2).optional(),
    views: viewsSchema.optional(),
    metric: metricSchema.optional(),
    combined: combinedFileSchema.optional(),
    names: z.array(z.string().min(1)).min(1),
    groups: z
      .array(
        z.strictObject({
          group: z.int().min(1),
          n: z.int().min(1),
          start: z.int().min(0),
          leftOut: z.array(z.int().min(0)).optional(),
          detectors: fittedSchema(known),
        }),
      )
      .min(1),
    recipe: z.record(z.string(), z.unknown()).optional(),
  });
