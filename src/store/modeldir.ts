// A model directory: model.json (architecture, configuration, data, training) and weights.safetensors.

import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readFileBytes, writeFileAtomic } from '../data/files.ts';
import { ModelError } from '../errors.ts';
import { Arena, type Value } from '../graph/index.ts';
import { type Architecture, architecture, collectSpecs, paramScope, type Weights } from '../models/index.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';

const infoSchema = z.strictObject({
  version: z.literal(1),
  arch: z.string(),
  config: z.unknown(),
  /** Shape of what the model sees: [c, h, w], after `pad`, or [length]. */
  data: z.array(z.int().min(1)),
  /** Height and width to which images are zero-padded, centred, before the model sees them. */
  pad: z.tuple([z.int().min(1), z.int().min(1)]).optional(),
  training: z.strictObject({
    data: z.string(),
    fingerprint: z.string(),
    steps: z.int().min(1),
    batch: z.int().min(1),
    learningRate: z.number().positive(),
    warmUp: z.int().min(0),
    seed: z.int().min(0),
  }),
});

export type ModelInfo = z.infer<typeof infoSchema>;

/** What scoring needs of a model, wherever it comes from. */
export interface ScoringModel {
  /** SHA-256 of everything scores depend on. */
  readonly hash: string;
  /** One line for people. */
  readonly about: string;
  readonly weights: Weights;
  /** Shape of one example of every input that comes from data, without a batch axis. */
  readonly inputs: Readonly<Record<string, Shape>>;
  /** Height and width to which images are zero-padded, centred, before the model sees them. */
  readonly pad?: readonly [number, number];
  /** How many values of discrete data the likelihood is of, for bits/dim; left out where that is not known. */
  readonly dims?: number;
  /** The per-example negative log-likelihood (or bound, or other loss) in nats, over a fresh arena. */
  loss(): Value;
}

/** A built-in model with its weights, as `train` writes them. */
export interface Model extends ScoringModel {
  readonly info: ModelInfo;
  readonly arch: Architecture<unknown>;
}

const infoFile = 'model.json';
const weightsFile = 'weights.safetensors';

export async function writeInfo(dir: string, info: ModelInfo): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFileAtomic(join(dir, infoFile), `${JSON.stringify(info, null, 2)}\n`);
}

/** The directory's model.json. Throws ModelError that names the place where it is not as expected. */
export async function readInfo(dir: string): Promise<ModelInfo> {
  const path = join(dir, infoFile);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(await readFileBytes(path)));
  } catch (error) {
    if (error instanceof SyntaxError) throw new ModelError(`${path}: not JSON: ${error.message}`);
    throw error;
  }
  const parsed = infoSchema.safeParse(json);
  if (!parsed.success) throw new ModelError(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

export async function writeWeights(dir: string, weights: Weights): Promise<void> {
  await writeFileAtomic(join(dir, weightsFile), writeSafetensors(weights));
}

/** A directory written by `train`, its weights checked against what the architecture asks for. */
export async function loadModel(dir: string): Promise<Model> {
  const info = await readInfo(dir);
  const arch = architecture(info.arch);
  const config = arch.configure(info.config, info.data);
  const path = join(dir, weightsFile);
  const bytes = await readFileBytes(path);
  const weights = readSafetensors(bytes, path);
  for (const { name, shape } of collectSpecs((scope) => void arch.loss(config, info.data, scope))) {
    const found = weights[name];
    if (!found || !sameShape(found.shape, shape)) {
      throw new ModelError(
        `${path}: '${name}' is ${found ? shapeText(found.shape) : 'missing'}, expected ${shapeText(shape)}`,
      );
    }
  }
  const identity = JSON.stringify({ arch: info.arch, config, data: info.data });
  const hash = createHash('sha256').update(identity).update(bytes).digest('hex');
  return builtInModel({ ...info, config }, weights, hash);
}

/** A model of a built-in architecture. `info.config` is what the architecture's `configure` returned. */
export function builtInModel(info: ModelInfo, weights: Weights, hash: string): Model {
  const arch = architecture(info.arch);
  return {
    info,
    arch,
    weights,
    hash,
    about: `${info.arch} ${JSON.stringify(info.config)}, trained on ${info.training.data}`,
    inputs: { x: info.data },
    dims: sizeOf(info.data),
    ...(info.pad ? { pad: info.pad } : {}),
    loss: () => arch.loss(info.config, info.data, paramScope(new Arena())).nll,
  };
}
