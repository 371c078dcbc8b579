// A scorer for what lies on this machine: models and detectors by path or as bytes, inputs by path too.

import { statSync } from 'node:fs';
import { checkOptions, detector as detectorRule, model as modelRule, optional, type Rule } from '../arguments.ts';
import { defined } from '../defined.ts';
import { type Detector, type DetectorFile, parseDetector } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import { ModelError, UsageError } from '../errors.ts';
import type * as scoring from '../scoring/index.ts';
import type { OnnxOptions, ScoringModel } from '../store/index.ts';
import { readDetector } from './detector-files.ts';
import { encodedFile } from './files.ts';
import { loadModel } from './model-dir.ts';
import { loadOnnx } from './onnx-file.ts';
import { type OpenOptions, openData } from './open.ts';
import { decodeImage, decodeOn } from './picture.ts';
import { nodeRuntime } from './runtime.ts';

/** As in `scoring/`, with a model and a detector that may be paths, and a runtime that may be left out. */
export interface ScorerOptions
  extends Omit<scoring.ScorerOptions, 'model' | 'detector' | 'runtime' | 'open' | 'names'>,
    Pick<OpenOptions, 'background' | 'dataDir' | 'readers'> {
  /**
   * A directory that `train` wrote, an .onnx file, the bytes of one, or a model that was loaded. Default, for a
   * detector that is a file: the model that it was fitted with, where and as the file says it is read.
   */
  readonly model?: string | Uint8Array | ScoringModel | undefined;
  /** A file that `fit` wrote, its bytes, or what `fitDetectors` gave. */
  readonly detector: string | Uint8Array | DetectorFile;
  /** How an .onnx file is read: as for `fit`. */
  readonly onnx?: OnnxOptions | undefined;
  /** Default: `nodeRuntime()`. */
  readonly runtime?: Runtime | undefined;
}

const isPlace = (value: unknown) => typeof value === 'string' || value instanceof Uint8Array;
const orPlace = ({ holds, expected }: Rule): Rule => ({
  holds: (value) => isPlace(value) || holds(value),
  expected: `a path, the bytes of a file, or ${expected}`,
});
const [modelOrPlace, detectorOrPlace] = [orPlace(modelRule), orPlace(detectorRule)];

/**
 * Opens a scorer, see `scoring/`. Inputs may also be named: a picture, a folder, a file of data, or a known set, see
 * `openData`. Throws a DataError for files that cannot be read, a ModelError where the detector was fitted with another
 * model.
 */
export async function openScorer(options: ScorerOptions): Promise<scoring.Scorer> {
  checkOptions('openScorer', options, { model: optional(modelOrPlace), detector: detectorOrPlace });
  const { model, detector, onnx, background, dataDir, readers, runtime = nodeRuntime(), ...more } = options;
  const decode = more.decodeImage ?? (background ? decodeOn(background) : decodeImage);
  const fitted = await detectorFrom(detector, typeof more.by === 'object' ? [more.by] : []);
  const scored = await modelFrom(model ?? (await besides(fitted, detector, onnx)), onnx);
  const [shape] = Object.values(scored.inputs);
  const opening = {
    background,
    ...defined({ dataDir, readers, like: shape }),
  };
  const { openScorer: open } = await import('../scoring/index.ts');
  return open({
    ...more,
    runtime,
    model: scored,
    detector: fitted,
    decodeImage: decode,
    open: async (name) => (PICTURE.test(name) ? encodedFile(name) : openData(name, opening)),
    names: {
      ...(typeof model === 'string' ? { model } : {}),
      ...(typeof detector === 'string' ? { detector } : {}),
    },
  });
}

const PICTURE = /\.(png|jpe?g|webp)$/i;

/** The model that the file of a detector names. */
async function besides(
  fitted: DetectorFile,
  detector: ScorerOptions['detector'],
  onnx: OnnxOptions | undefined,
): Promise<ScoringModel> {
  if (typeof detector !== 'string') {
    throw new UsageError('a detector that is no file does not say where its model is; say it with `model`');
  }
  if (onnx !== undefined) {
    throw new UsageError(`${detector} says how its model is read; leave out \`onnx\`, or say which \`model\``);
  }
  return (await import('./recipe.ts')).modelBeside(fitted, detector);
}

async function modelFrom(
  model: string | Uint8Array | ScoringModel,
  options: OnnxOptions | undefined,
): Promise<ScoringModel> {
  if (model instanceof Uint8Array) return (await import('../store/index.ts')).onnxModel(model, 'the model', options);
  if (typeof model !== 'string') return model;
  const found = statSync(model, { throwIfNoEntry: false });
  if (!found) throw new ModelError(`${model}: no such model directory or .onnx file`);
  return found.isDirectory() ? loadModel(model) : loadOnnx(model, options);
}

async function detectorFrom(
  detector: ScorerOptions['detector'],
  others: readonly Detector<object>[],
): Promise<DetectorFile> {
  if (detector instanceof Uint8Array) return parseDetector(new TextDecoder().decode(detector), 'the detector', others);
  return typeof detector === 'string' ? readDetector(detector, others) : detector;
}
