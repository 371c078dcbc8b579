// An .onnx file on disk in; a model to score with out. External data are read from the file's own folder only.

import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { readFileBytes } from '../data/index.ts';
import { ModelError } from '../errors.ts';
import { decode, type FileModel, type ImportOptions, importModel, operatorName, operators } from '../onnx/index.ts';
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
    about: `ONNX model, opset ${file.opset}`,
  };
}

/** What an ONNX file holds, whether or not it can be scored with. */
export interface OnnxSummary {
  readonly opset: number;
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly (number | string)[];
  }[];
  readonly outputs: readonly string[];
  /** Operators by how often they occur. */
  readonly operators: Readonly<Record<string, number>>;
  /** Nodes whose operator cannot be imported. */
  readonly unsupported: readonly { readonly node: string; readonly operator: string }[];
}

/** Reads what there is to say about a file without importing it. Throws ModelError for a file that is no ONNX model. */
export async function summariseOnnx(path: string): Promise<OnnxSummary> {
  const { graph, opset, functions } = decode(await readFileBytes(path), path, (location) =>
    readBeside(dirname(path), location, path),
  );
  const counts: Record<string, number> = {};
  const unsupported: { node: string; operator: string }[] = [];
  const visit = (nodes: FileModel['graph']['nodes']) => {
    for (const node of nodes) {
      const operator = operatorName(node);
      counts[operator] = (counts[operator] ?? 0) + 1;
      if (!Object.hasOwn(operators, operator) && !functions.has(operator))
        unsupported.push({ node: node.name, operator });
      for (const attr of Object.values(node.attrs)) {
        if (typeof attr === 'object' && 'nodes' in attr) visit(attr.nodes);
      }
    }
  };
  visit(graph.nodes);
  for (const f of functions.values()) visit(f.nodes);
  return {
    opset,
    inputs: graph.inputs.map((v) => ({ name: v.name, dtype: v.dtype, shape: v.shape ?? [] })),
    outputs: graph.outputs,
    operators: counts,
    unsupported,
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
