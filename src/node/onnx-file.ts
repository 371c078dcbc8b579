// An .onnx file on disk in; a model to score with out. External data are read from the file's own folder only.

import { realpathSync } from 'node:fs';
import { checkArguments, text } from '../arguments.ts';
import type { OnnxOptions, OnnxSummary, ScoringModel } from '../store/index.ts';
import { ExternalFiles } from './external.ts';
import { readFileBytes } from './files.ts';

/** Loaded when a file is: with all operators. */
const store = () => import('../store/index.ts');

/** See `onnxModel`. Throws a DataError also for a file that cannot be read. */
export async function loadOnnx(path: string, options: OnnxOptions = {}): Promise<ScoringModel> {
  checkArguments('loadOnnx', { path }, { path: text });
  const bytes = await readFileBytes(path);
  const { onnxModel } = await store();
  return onnxModel(bytes, path, options, { external: new ExternalFiles(path), place: realpathSync(path) });
}

/** See `summariseOnnx`. Throws a DataError also for a file that cannot be read. */
export async function summariseOnnxFile(path: string): Promise<OnnxSummary> {
  const { summariseOnnx } = await store();
  return summariseOnnx(await readFileBytes(path), path, new ExternalFiles(path));
}
