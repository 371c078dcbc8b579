// The bytes of an .onnx file in; a model to score with out.

import {
  checkOptions,
  optional,
  pattern,
  type Rules,
  range,
  recordOf,
  text,
  textsSuch,
  twoNumbers,
  wholeFrom,
} from '../arguments.ts';
import { defined } from '../defined.ts';
import { ModelError } from '../errors.ts';
import { inputsOf, nameOf } from '../graph/index.ts';
import {
  Axes,
  decode,
  type FileModel,
  type GivenSizes,
  type ImportedModel,
  type ImportOptions,
  importModel,
  operatorName,
  operators,
  type ParameterReport,
  parametersOf,
  type Sizes,
  UnknownTotal,
} from '../onnx/index.ts';
import { batchLoss } from './batch.ts';
import { rangesOf } from './batch-inputs.ts';
import type { BatchLoss, BatchOptions, Comparable } from './batch-runs.ts';
import { type ExternalStore, noExternal } from './external.ts';
import { aspectHash, type ScoringModel } from './model.ts';
import { type AtStep, atSteps, type KnownNetwork, type NetworkOptions, networkImport } from './objective.ts';
import { type KnownObjective, knownObjective } from './objective-kinds.ts';
import { formerHash, onnxHash } from './onnx-hash.ts';
import { type FileRead, lazily, modelOfFile, openSizes, type Read } from './onnx-sizes.ts';

/**
 * How the file is read: which inputs are what, how a loss is made of its outputs, and what the sizes are that it leaves
 * open.
 */
export type OnnxOptions = Omit<ImportOptions, 'feed' | 'objective' | 'axes' | 'sizes' | 'copies' | 'held'> &
  NetworkOptions & {
    /**
     * Sizes that the file leaves open, by the name it gives them or by the place of an axis, as 'ids.1'; the data say
     * the others.
     */
    readonly dims?: GivenSizes;
  };

/** What a file needs of where it lies. */
export interface OnnxSurroundings {
  /** Left out: the file must hold all of its tensors itself. */
  readonly external?: ExternalStore;
  /** Where a runtime finds the file with its external data; to be given where there are any. */
  readonly place?: string;
}

/**
 * The model in the bytes of an .onnx file; `path` is its name, for messages. Throws ModelError for a file that is
 * damaged, unsupported, or whose loss is not one number per example; for one made for batches of k > 1 examples also
 * where it does not tell what the loss of one is.
 */
export async function onnxModel(
  bytes: Uint8Array,
  path: string,
  given: OnnxOptions = {},
  { external = noExternal(path), place = path }: OnnxSurroundings = {},
): Promise<ScoringModel> {
  const options = checkedOptions(path, given);
  const file = decode(bytes, path, external);
  const { objective, input, pixels, params, frozen, dims = {}, ...rest } = options;
  const network: KnownNetwork = {
    ...defined({ objective }),
    ...defined({ input }),
    ...defined({ pixels }),
  };
  // A pattern that looks for all matches would begin where it last ended.
  const plain = (pattern: RegExp) => new RegExp(pattern.source, pattern.flags.replace('g', ''));
  const axes = new Axes(file, path, options);
  const base: ImportOptions = {
    ...rest,
    ...(params ? { params: plain(params) } : {}),
    ...(frozen ? { frozen: plain(frozen) } : {}),
    axes,
  };
  const known = axes.bind(dims);
  const readingOf =
    ({ network, held }: AtStep): Read =>
    (sizes, copies = 1) =>
      importModel(file, path, networkImport(file, path, network, { ...base, ...defined({ held }), sizes, copies }));
  const whole = readingOf({ network });
  const once = remembering(whole);
  const sizes = openSizes(axes, known).length === 0 ? known : probe(axes, known, once);
  const comparable = (first: ImportedModel, copies: number): Comparable => ({
    path,
    bytes,
    external: external.any,
    source: external.any ? place : bytes,
    file,
    options,
    axes,
    sizes,
    copies,
    ranges: rangesOf({ arena: first.loss.arena, outputs: { loss: first.loss } }),
    outputs: first.outputs,
    largest: first.largest,
    elements: first.elements,
    ...(first.total ? { total: first.total } : {}),
  });
  const { copies, first } = copiesOf(axes.batch ?? 1, (k) => once(sizes, k));
  const { reading } = first.parameters;
  const inputTypes = typesOf(first);
  const asked = {
    ...options,
    ...(options.loss === undefined && first.notes.length > 0 ? { loss: first.outputs[0]! } : {}),
  };
  const more = hashedReading(axes, first, dims, copies);
  const hash = await onnxHash(bytes, external, asked, reading + more);
  let compared: Promise<BatchLoss> | undefined;
  let taken = copies;
  const findOut = async (how: BatchOptions): Promise<BatchLoss> => {
    const single = () => {
      const found = attempt(() => whole(sizes));
      return found instanceof Error ? undefined : comparable(found, 1);
    };
    const { alone = false, ...found } = await batchLoss(comparable(first, copies), single, hash, how);
    if (alone) taken = 1; // the same numbers for less
    return found;
  };
  const read: FileRead = {
    axes,
    dims,
    sizes,
    copies,
    first,
    taken: () => taken,
    shared: {
      formerHash: () => formerHash(bytes, external, options, reading),
      batchLoss: (how) => {
        compared ??= findOut(how);
        return compared;
      },
      inputTypes,
      ...(pixels ? { takesPixels: true } : {}),
      parameters: first.parameters,
      notes: first.notes,
      about: `ONNX model, opset ${file.opset}`,
    },
  };
  const model = modelOfFile(read, whole, hash);
  const steps = Object.entries(atSteps(network, first.time()) ?? {});
  if (steps.length === 0) return model;
  const learned = ({ weights }: ImportedModel) => Object.keys(weights).join();
  const aspects = lazily(() => {
    const reads = steps.map(([name, step]) => [name, readingOf(step)] as const);
    // A step at which the file takes another branch, with other parameters, is no aspect of the same model.
    if (reads.some(([, by]) => learned(by(sizes, copies)) !== learned(first))) return undefined;
    return Object.fromEntries(reads.map(([name, by]) => [name, modelOfFile(read, by, aspectHash(hash, name))]));
  });
  return Object.assign(model, { aspects });
}

function typesOf({ loss, data }: ImportedModel): NonNullable<ScoringModel['inputTypes']> {
  const graph = { arena: loss.arena, outputs: { loss } };
  const ranges = rangesOf(graph);
  const used = inputsOf(graph).filter((v) => Object.hasOwn(data, nameOf(v)));
  return Object.fromEntries(
    used.map((v) => {
      const range = Object.hasOwn(ranges, nameOf(v)) ? ranges[nameOf(v)] : undefined;
      return [nameOf(v), { dtype: v.dtype, ...defined({ range }) }];
    }),
  );
}

/** The last reading again, where the next is the same. */
function remembering(read: Read): Read {
  let last: { readonly sizes: Sizes; readonly copies: number; readonly found: ImportedModel } | undefined;
  return (sizes, copies = 1) => {
    if (last?.sizes !== sizes || last.copies !== copies) last = { sizes, copies, found: read(sizes, copies) };
    return last.found;
  };
}

/** Whose objective is known by name. */
export type KnownOptions = Omit<OnnxOptions, 'objective'> & { readonly objective?: KnownObjective };

const rules: Rules = {
  loss: optional(text),
  input: optional(text),
  pixels: optional(range),
  params: optional(pattern),
  frozen: optional(pattern),
  normal: optional(textsSuch("['eps']")),
  uniform: optional(textsSuch("['u']")),
  stopGradient: optional(textsSuch("['code']")),
  constants: optional(recordOf({ holds: (value) => typeof value === 'number', expected: 'a number' })),
  integers: optional(recordOf(twoNumbers)),
  dims: optional(recordOf(wholeFrom(1))),
};

function checkedOptions(path: string, given: OnnxOptions): KnownOptions {
  checkOptions(path, given, rules);
  const { objective, constants = {}, integers = {} } = given;
  for (const [key, value] of Object.entries(constants)) {
    if (!Number.isFinite(value))
      throw new ModelError(`${path}: the constant '${key}' is ${value}, expected a finite number`);
  }
  for (const [key, [low, high]] of Object.entries(integers)) {
    if (!(Number.isSafeInteger(low) && Number.isSafeInteger(high) && low <= high && high - low < 2 ** 32)) {
      throw new ModelError(
        `${path}: the whole numbers of '${key}' are from ${low} to ${high}, expected two whole numbers, the lower first`,
      );
    }
  }
  const { objective: _, ...rest } = given;
  return objective === undefined ? rest : { ...rest, objective: knownObjective(objective) };
}

/**
 * Sizes at which a file with free ones can be read, to know its parameters before there are data: those of small
 * pictures and sequences first. Throws what stops it at the first of them where it cannot be read at any.
 */
function probe(axes: Axes, known: Sizes, read: Read): Sizes {
  const names = openSizes(axes, known).map((f) => f.name);
  let why: Error | undefined;
  for (const size of [16, 32, 64, 8, 4, 128, 2, 28, 7, 256, 1]) {
    const sizes = new Map([...known, ...names.map((key) => [key, size] as const)]);
    try {
      read(sizes);
      return sizes;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      if (why?.message === error.message) throw error; // it has nothing to do with sizes
      why ??= new ModelError(
        `${error.message} (with ${names.map((key) => `${key} = ${size}`).join(', ')}; other sizes by \`dims\`)`,
        { cause: error },
      );
    }
  }
  throw why!;
}

/** What else distinguishes a reading: sizes that no data tell, and the batch that the file cannot do without. */
function hashedReading(axes: Axes, first: ImportedModel, dims: GivenSizes, copies: number): string {
  const told = axes.free.filter((f) => f.axes.some((place) => Object.hasOwn(first.data, place.replace(/\.\d+$/, ''))));
  const names = new Set(told.flatMap((f) => [f.name, ...f.axes]));
  const matter = Object.entries(dims).filter(([key]) => !names.has(key));
  return (matter.length > 0 ? JSON.stringify(matter.sort()) : '') + (copies > 1 ? `batch ${copies}` : '');
}

/**
 * A file made for batches of k is read for k that are all the same example, since it may have its batch in its
 * constants, and would give something else for one example, or nothing. What cannot be read so may be read for one.
 */
function copiesOf(
  k: number,
  read: (copies: number) => ImportedModel,
): { readonly copies: number; readonly first: ImportedModel } {
  if (k === 1) return { copies: 1, first: read(1) };
  const many = attempt(() => read(k));
  if (!(many instanceof Error)) return { copies: k, first: many };
  const single = many instanceof UnknownTotal ? many : attempt(() => read(1));
  if (single instanceof Error) throw many;
  return { copies: 1, first: single };
}

function attempt<T>(work: () => T): T | ModelError {
  try {
    return work();
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
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
