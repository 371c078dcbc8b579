// A model directory: model.json (architecture, configuration, data, training) and weights.safetensors.

import { join } from 'node:path';
import { checkArguments, text } from '../arguments.ts';
import type { Model, ModelInfo } from '../store/index.ts';
import { infoFile, weightsFile } from '../train/store.ts';
import { encodedFile } from './files.ts';

/** Loaded when a model is: with all that models are made of. */
const store = () => import('../store/index.ts');

/** The directory's model.json. Throws ModelError that names the place where it is not as expected. */
export async function readInfo(dir: string): Promise<ModelInfo> {
  const { parseInfo } = await store();
  return parseInfo(await encodedFile(join(dir, infoFile)));
}

/** A directory written by `train`; see `modelOf`. Throws a DataError also where a file cannot be read. */
export async function loadModel(dir: string, scoring: Readonly<Record<string, unknown>> = {}): Promise<Model> {
  checkArguments('loadModel', { dir }, { dir: text });
  const info = await encodedFile(join(dir, infoFile));
  const { modelOf, parseInfo } = await store();
  parseInfo(info); // before the weights, which may be missing because this is no model at all
  return modelOf({ info, weights: await encodedFile(join(dir, weightsFile)) }, scoring);
}
