// What a model is to everything that scores; a built-in one from its description (model.json) and the bytes of its
// weights.

import * as z from 'zod';
import { type EncodedFile, kernels, type Layout, type Preparation } from '../data/index.ts';
import { ModelError } from '../errors.ts';
import { Arena, type DType, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import { parseAs, parseJson } from '../json.ts';
import {
  type Architecture,
  architecture,
  collectSpecs,
  type Loss,
  type ParamSpec,
  paramScope,
} from '../models/index.ts';
import type { FreeSize, ParameterReport } from '../onnx/index.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import type { BatchLoss, BatchOptions } from './batch-runs.ts';
import { readSafetensors } from './safetensors.ts';

const sizeSchema = z.tuple([z.int().min(1), z.int().min(1)]).readonly();

const infoSchema = z.strictObject({
  version: z.literal(1),
  arch: z.string(),
  config: z.unknown(),
  /** Shape of what the model sees: [c, h, w], after the preparation below, or [length]. */
  data: z.array(z.int().min(1)),
  /** What is done to images before the model sees them, see `Preparation`. */
  channels: z.union([z.literal(1), z.literal(3)]).optional(),
  resize: sizeSchema.optional(),
  filter: z.enum(kernels).optional(),
  crop: sizeSchema.optional(),
  pad: sizeSchema.optional(),
  training: z.strictObject({
    data: z.string(),
    fingerprint: z.string(),
    steps: z.int().min(1),
    batch: z.int().min(1),
    learningRate: z.number().positive(),
    warmUp: z.int().min(0),
    seed: z.int().min(0),
    /** Decay of the moving average of the weights, where that is the model and not the weights of the last step. */
    ema: z.number().min(0).lt(1).optional(),
  }),
});

/**
 * The description of a trained model, model.json: its architecture, the shape and preparation of its data, how it was
 * trained. `parseInfo` checks it.
 */
export type ModelInfo = z.infer<typeof infoSchema>;

/** What scoring needs of a model, wherever it comes from. */
export interface ScoringModel {
  /** SHA-256 of everything scores depend on. */
  readonly hash: string;
  /** The hash that older versions gave the model, where it is another: detector files of theirs carry it. */
  formerHash?(): string | undefined;
  /**
   * What one run gives for a batch, where that is not known beforehand: of a file of any making. Throws ModelError
   * where examples interact.
   */
  batchLoss?(options: BatchOptions): Promise<BatchLoss>;
  /** One line for people. */
  readonly about: string;
  readonly weights: Weights;
  /** Shape of one example of every input that comes from data, without a batch axis. */
  readonly inputs: Readonly<Record<string, Shape>>;
  /**
   * Sizes that the data say, of a model that leaves them open; all that is said of it without data is at sizes that
   * stand for any: `size`. Left out: every size is fixed.
   */
  readonly free?: readonly (FreeSize & { readonly size: number })[];
  /** Of a model with free sizes: the shapes of one example of every input as its file declares them. */
  readonly declared?: Readonly<Record<string, readonly (number | string)[]>>;
  /**
   * Of a model with free sizes: itself at the sizes that inputs of these shapes have. Throws a ModelError where these
   * do not fit.
   */
  at?(shapes: Readonly<Record<string, Shape>>): ScoringModel;
  /**
   * Types of the inputs that come from data, and which whole numbers they may be where that is known; left out: floats.
   */
  readonly inputTypes?: Readonly<Record<string, { readonly dtype: DType; readonly range?: readonly [number, number] }>>;
  /** What was chosen without being asked for, a sentence each. */
  readonly notes?: readonly string[];
  /** What is done to images before the model sees them. */
  readonly preparation?: Preparation;
  /** Where it has the channels of images, for those whose shape leaves that open. */
  readonly layout?: Layout;
  /** Whether `x` is raw pixels 0..255. */
  readonly takesPixels?: boolean;
  /** What became of the parameters of a foreign model on their way into its file. */
  readonly parameters?: ParameterReport;
  /** How many values of discrete data the likelihood is of, for bits/dim; left out where that is not known. */
  readonly dims?: number;
  /** The per-example negative log-likelihood (or bound, or other loss) in nats, over a fresh arena. */
  loss(): Value;
  /** The same with its parts, where the family says what they are; else they are what the graph of the loss shows. */
  split?(): Loss;
  /** Of a model that can be scored in several ways of which none was asked for: each, under a short name. */
  aspects?(): Readonly<Record<string, ScoringModel>> | undefined;
}

/** A built-in model with its weights, as `train` writes them. */
export interface Model extends ScoringModel {
  readonly info: ModelInfo;
  readonly arch: Architecture<unknown>;
}

/** What a model.json must be. Throws a ModelError that begins with `where` and names the place in it. */
export function checkInfo(value: unknown, where: string): ModelInfo {
  parseAs(infoSchema, value, where, ModelError);
  return value as ModelInfo; // as it stands: its keys keep their order
}

/**
 * What two descriptions of a model differ in, as 'training.steps: 1200, 6500' each; nothing where both come to the same
 * model. Settings that an architecture has got since `found` was written count as their defaults.
 */
export function differences(found: ModelInfo, info: ModelInfo): string[] {
  const [a, b] = [found, info].map((one) => {
    const config = architecture(one.arch).configure(one.config, one.data);
    return leaves(JSON.parse(JSON.stringify({ ...one, config })), '');
  }) as [Map<string, string>, Map<string, string>];
  const names = [...new Set([...a.keys(), ...b.keys()])];
  return names.flatMap((name) => {
    const [was, is] = [a.get(name), b.get(name)];
    return was === is ? [] : [`${name}: ${was ?? 'not set'}, ${is ?? 'not set'}`];
  });
}

/** Every value that is no object, as JSON under its path. */
function leaves(value: unknown, path: string): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]]);
  return new Map(Object.entries(value).flatMap(([key, v]) => [...leaves(v, path === '' ? key : `${path}.${key}`)]));
}

/** The two files of a model, each with its name for messages. */
export interface ModelFiles {
  readonly info: EncodedFile;
  readonly weights: EncodedFile;
}

/**
 * The description in the text of a model.json. Throws a ModelError that names the place where it is not as expected.
 */
export function parseInfo({ bytes, where }: EncodedFile): ModelInfo {
  return checkInfo(parseJson(bytes, where, ModelError), where);
}

/**
 * A model that `train` made, its weights checked against what the architecture asks for. `scoring`: what the
 * architecture's scorer is asked for; throws ModelError where there is nothing to choose.
 */
export function modelOf(files: ModelFiles, scoring: Readonly<Record<string, unknown>> = {}): Model {
  const info = parseInfo(files.info);
  const { arch, config } = inFile(files.info.where, () => {
    const found = architecture(info.arch);
    return { arch: found, config: found.configure(info.config, info.data) };
  });
  const { bytes, where: path } = files.weights;
  const weights = readSafetensors(bytes, path);
  // While the graph is built: the first layer that the file does not have ends it, however many more the configuration
  // asks for.
  let mismatch: ModelError | undefined;
  const check = ({ name, shape }: ParamSpec) => {
    const found = Object.hasOwn(weights, name) ? weights[name] : undefined;
    if (found && sameShape(found.shape, shape)) return;
    const there = found ? shapeText(found.shape) : 'missing';
    mismatch = new ModelError(`${path}: '${name}' is ${there}, expected ${shapeText(shape)}`);
    throw mismatch;
  };
  try {
    inFile(files.info.where, () => collectSpecs((scope) => void arch.loss(config, info.data, scope), check));
  } catch (error) {
    throw mismatch ?? error;
  }
  const scorer = scorerOf(arch, config, scoring);
  const identity = JSON.stringify({ arch: info.arch, config, data: info.data, scoring: scorer?.scoring });
  const hash = host().sha256().update(identity).update(bytes).digest();
  return builtInModel({ ...info, config }, weights, hash, scoring);
}

/** What `work` throws about a file's content, with the file's name, and short however long the names in it are. */
function inFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const { message } = error;
    throw new ModelError(`${path}: ${message.length > 1000 ? `${message.slice(0, 1000)}…` : message}`, {
      cause: error,
    });
  }
}

/** A model of a built-in architecture. `info.config` is what the architecture's `configure` returned. */
export function builtInModel(
  info: ModelInfo,
  weights: Weights,
  hash: string,
  scoring: Readonly<Record<string, unknown>> = {},
): Model {
  const arch = architecture(info.arch);
  const scorer = scorerOf(arch, info.config, scoring);
  const split = () => {
    const scope = paramScope(new Arena());
    return scorer ? scorer.split(info.data, scope) : arch.loss(info.config, info.data, scope);
  };
  const by = scorer ? `, scored by ${JSON.stringify(scorer.scoring)}` : '';
  return {
    info,
    arch,
    weights,
    hash,
    about: `${info.arch} ${JSON.stringify(info.config)}, trained on ${info.training.data}${by}`,
    inputs: { x: info.data },
    takesPixels: true,
    ...(scorer === undefined || scorer.isBound ? { dims: sizeOf(info.data) } : {}),
    preparation: {
      channels: info.channels,
      resize: info.resize,
      filter: info.filter,
      crop: info.crop,
      pad: info.pad,
    },
    loss: () => split().nll,
    split,
    ...(scorer?.aspects ? { aspects: () => aspectsOf(info, weights, hash, scorer.aspects!) } : {}),
  };
}

function aspectsOf(
  info: ModelInfo,
  weights: Weights,
  hash: string,
  aspects: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Readonly<Record<string, Model>> {
  return Object.fromEntries(
    Object.entries(aspects).map(([name, scoring]) => [
      name,
      builtInModel(info, weights, aspectHash(hash, scoring), scoring),
    ]),
  );
}

/** The hash of a model that is scored in one of several ways. */
export const aspectHash = (model: string, scoring: unknown): string =>
  host()
    .sha256()
    .update(`${model} ${JSON.stringify(scoring)}`)
    .digest();

function scorerOf(arch: Architecture<unknown>, config: unknown, scoring: Readonly<Record<string, unknown>>) {
  if (arch.scorer) return arch.scorer(config, scoring);
  const [asked] = Object.keys(scoring);
  if (asked !== undefined)
    throw new ModelError(`${arch.name} is scored by its likelihood; there is no '${asked}' to choose`);
  return undefined;
}
