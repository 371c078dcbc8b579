// What commands do with a MODEL argument and the data for it.

import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Dataset } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { readDetector } from '../detectors/index.ts';
import { ModelError, UsageError } from '../errors.ts';
import type { CompareProgress, FeatureOptions } from '../experiment/index.ts';
import { loadModel, type Model } from '../store/index.ts';
import { openImages, type RunOptions, text, type Values } from './options.ts';
import { duration, progressLine, throttled } from './terminal.ts';

export async function openModel(path: string): Promise<Model> {
  if (!existsSync(path)) throw new ModelError(`${path}: no such model directory`);
  if (!statSync(path).isDirectory()) {
    throw new ModelError(`${path}: is a file; expected a model directory, as written by fisher-ood train`);
  }
  return loadModel(path);
}

/** A DATA argument with its images padded to what the model takes. `like`: image shape of synthetic sets before padding. */
export async function openFor(
  model: Model,
  spec: string,
  options: RunOptions,
  like: readonly number[] = model.info.data,
): Promise<Dataset> {
  return openImages(spec, options, model.info.pad, like);
}

/** A detector file and the model it was fitted with: of --model, or where the file says it is. */
export async function openDetector(path: string, values: Values): Promise<{ detector: DetectorFile; model: Model }> {
  const detector = await readDetector(path);
  const stored = detector.recipe?.model;
  const place = text(values, 'model') ?? (typeof stored === 'string' ? resolve(dirname(path), stored) : undefined);
  if (place === undefined) throw new UsageError(`${path} does not say where its model is; say it with --model`);
  const model = await openModel(place);
  if (model.hash !== detector.model) {
    throw new ModelError(
      `${path} was fitted with model ${detector.model.slice(0, 12)}, ${place} is model ${model.hash.slice(0, 12)}`,
    );
  }
  return { detector, model };
}

export function featureOptions(options: RunOptions, groups: readonly number[], seed = options.seed): FeatureOptions {
  const show = throttled((p: CompareProgress) => {
    const left = duration((p.of - p.done) / p.examplesPerSecond);
    progressLine(
      `${p.name}, B = ${p.group}: ${p.done}/${p.of}  ${p.examplesPerSecond.toFixed(0)} examples/s  ${left} left`,
    );
  });
  return {
    groups,
    seed,
    ...(options.batch === undefined ? {} : { batch: options.batch }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    onProgress: show,
  };
}
