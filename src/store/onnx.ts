// An .onnx file on disk in; a model to score with out. External data are read from the file's own folder only.

import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { readFileBytes } from '../data/index.ts';
import { ModelError } from '../errors.ts';
import { decode, type ImportOptions, importModel } from '../onnx/index.ts';
import type { ScoringModel } from './modeldir.ts';
import { type NetworkOptions, networkImport } from './objective.ts';

/** How the file is read: which inputs are what, and how a loss is made of its outputs. */
export type OnnxOptions = Omit<ImportOptions, 'feed' | 'objective'> & NetworkOptions;

/** Throws ModelError for a file that is damaged, unsupported, or whose loss is not one number per example. */
export async function loadOnnx(path: string, options: OnnxOptions = {}): Promise<ScoringModel> {
  const bytes = await readFileBytes(path);
  const hash = createHash('sha256').update(bytes);
  const folder = dirname(path);
  const external = (location: string) => {
    const data = readBeside(folder, location, path);
    hash.update(data);
    return data;
  };
  const file = decode(bytes, path, external);
  hash.update(JSON.stringify({ ...options, params: options.params?.source }));
  const { objective, input, pixels, ...base } = options;
  const network: NetworkOptions = {
    ...(objective ? { objective } : {}),
    ...(input === undefined ? {} : { input }),
    ...(pixels ? { pixels } : {}),
  };
  const read = () => importModel(file, path, networkImport(file, path, network, base));
  const first = read();
  return {
    hash: hash.digest('hex'),
    weights: first.weights,
    loss: () => read().loss,
    inputs: first.data,
    about: `${path}: ONNX model, opset ${file.opset}`,
  };
}

function readBeside(folder: string, location: string, path: string): Uint8Array {
  const where = `${path}: external data '${location}'`;
  if (isAbsolute(location) || location.split(/[\\/]/).includes('..')) {
    throw new ModelError(`${where} leaves the model's folder`);
  }
  const full = join(folder, location);
  try {
    const inside = relative(realpathSync(folder), realpathSync(full));
    if (lstatSync(full).isSymbolicLink() || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
      throw new ModelError(`${where} is a link, expected a file in the model's folder`);
    }
    if (!lstatSync(full).isFile()) throw new ModelError(`${where} is not a file`);
    const { buffer, byteOffset, length } = readFileSync(full);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${where} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
