// The bytes of an .onnx file in; a model to score with out.

import { ModelError } from '../errors.ts';
import {
  decode,
  type FileModel,
  type ImportOptions,
  importModel,
  operatorName,
  operators,
  type ParameterReport,
  parametersOf,
} from '../onnx/index.ts';
import { type BatchLoss, batchLoss, type Comparable } from './batch.ts';
import { rangesOf } from './batch-inputs.ts';
import { type ExternalStore, noExternal } from './external.ts';
import type { ScoringModel } from './model.ts';
import { type NetworkOptions, networkImport } from './objective.ts';
import { formerHash, onnxHash } from './onnx-hash.ts';

/** How the file is read: which inputs are what, and how a loss is made of its outputs. */
export type OnnxOptions = Omit<ImportOptions, 'feed' | 'objective'> & NetworkOptions;

/** What a file needs of where it lies. */
export interface OnnxSurroundings {
  /** Left out: the file must hold all of its tensors itself. */
  readonly external?: ExternalStore;
  /** Where a runtime finds the file with its external data; to be given where there are any. */
  readonly place?: string;
}

/**
 * The model in the bytes of an .onnx file; `path` is its name, for messages. Throws ModelError for a file that is damaged, unsupported, or whose
 * loss is not one number per example.
 */
export async function onnxModel(
  bytes: Uint8Array,
  path: string,
  options: OnnxOptions = {},
  { external = noExternal(path), place = path }: OnnxSurroundings = {},
): Promise<ScoringModel> {
  const odd = Object.entries(options.constants ?? {}).find(([, value]) => !Number.isFinite(value));
  if (odd) throw new ModelError(`${path}: the constant '${odd[0]}' is ${odd[1]}, expected a finite number`);
  const file = decode(bytes, path, external);
  const { objective, input, pixels, params, frozen, ...given } = options;
  const network: NetworkOptions = {
    ...(objective ? { objective } : {}),
    ...(input === undefined ? {} : { input }),
    ...(pixels ? { pixels } : {}),
  };
  // A pattern that looks for all matches would begin where it last ended.
  const plain = (pattern: RegExp) => new RegExp(pattern.source, pattern.flags.replace('g', ''));
  const base: ImportOptions = {
    ...given,
    ...(params ? { params: plain(params) } : {}),
    ...(frozen ? { frozen: plain(frozen) } : {}),
  };
  const read = () => importModel(file, path, networkImport(file, path, network, base));
  const first = read();
  const { reading } = first.parameters;
  const hash = await onnxHash(bytes, external, options, reading);
  let compared: Promise<BatchLoss> | undefined;
  const comparable = (): Comparable => ({
    path,
    hash,
    bytes,
    external: external.any,
    source: external.any ? place : bytes,
    file,
    options,
    ranges: rangesOf({ arena: first.loss.arena, outputs: { loss: first.loss } }),
    outputs: first.outputs,
    largest: first.largest,
    elements: first.elements,
  });
  return {
    hash,
    formerHash: () => formerHash(bytes, external, options, reading),
    weights: first.weights,
    loss: () => read().loss,
    batchLoss: (how) => {
      compared ??= batchLoss(comparable(), how);
      return compared;
    },
    inputs: first.data,
    ...(pixels ? { pixels: true } : {}),
    parameters: first.parameters,
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
  /** Parameters of the exported model that the file does not give the norm of. */
  readonly folded: ParameterReport['folded'];
}

/** Reads what there is to say about a file without importing it. Throws ModelError for a file that is no ONNX model. */
export function summariseOnnx(
  bytes: Uint8Array,
  path: string,
  external: ExternalStore = noExternal(path),
): OnnxSummary {
  const file = decode(bytes, path, external);
  const { graph, opset, functions } = file;
  const counts = new Map<string, number>();
  const unsupported: { node: string; operator: string }[] = [];
  const visit = (nodes: FileModel['graph']['nodes']) => {
    for (const node of nodes) {
      const operator = operatorName(node);
      counts.set(operator, (counts.get(operator) ?? 0) + 1);
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
    operators: Object.fromEntries(counts),
    unsupported,
    folded: parametersOf(file).folded,
  };
}
