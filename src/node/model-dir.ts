// A model directory: model.json (architecture, configuration, data, training) and weights.safetensors.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Weights } from '../models/index.ts';
import { type Model, type ModelInfo, modelOf, parseInfo, writeSafetensors } from '../store/index.ts';
import { encodedFile, writeFileAtomic } from './files.ts';

export const infoFile = 'model.json';
const weightsFile = 'weights.safetensors';

export async function writeInfo(dir: string, info: ModelInfo): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFileAtomic(join(dir, infoFile), `${JSON.stringify(info, null, 2)}\n`);
}

/** The directory's model.json. Throws ModelError that names the place where it is not as expected. */
export async function readInfo(dir: string): Promise<ModelInfo> {
  return parseInfo(await encodedFile(join(dir, infoFile)));
}

export async function writeWeights(dir: string, weights: Weights): Promise<void> {
  await writeFileAtomic(join(dir, weightsFile), writeSafetensors(weights));
}

/** A directory written by `train`; see `modelOf`. Throws a DataError also where a file cannot be read. */
export async function loadModel(dir: string, scoring: Readonly<Record<string, unknown>> = {}): Promise<Model> {
  const info = await encodedFile(join(dir, infoFile));
  parseInfo(info); // before the weights, which may be missing because this is no model at all
  return modelOf({ info, weights: await encodedFile(join(dir, weightsFile)) }, scoring);
}
