// A scorer in a browser: models, detectors and inputs by their addresses, or as they are at hand.

import type { Background } from '../data/index.ts';
import { type DetectorFile, parseDetector } from '../detectors/index.ts';
import type { Runtime } from '../engine/index.ts';
import * as scoring from '../scoring/index.ts';
import { type OnnxOptions, onnxModel, type ScoringModel } from '../store/index.ts';
import { loadDetector, loadModel, loadOnnx, openAddress } from './open.ts';
import { decodeImage, decodeOn } from './picture.ts';
import { webRuntime } from './runtime.ts';

/** As in `scoring/`, with a model and a detector that may be addresses, and a runtime that may be left out. */
export interface ScorerOptions
  extends Omit<scoring.ScorerOptions, 'model' | 'detector' | 'runtime' | 'open' | 'names'> {
  /**
   * The address of a directory that `train` wrote or of an .onnx file, the bytes of one, or a model that was loaded.
   */
  readonly model: string | Uint8Array | ScoringModel;
  /** The address of a file that `fit` wrote, its bytes, or what `fitDetectors` gave. */
  readonly detector: string | Uint8Array | DetectorFile;
  /** How an .onnx file is read: as for `fit`. */
  readonly onnx?: OnnxOptions | undefined;
  /** What transparent pictures are put on; left out, they are refused. */
  readonly background?: Background | undefined;
  /** Default: `webRuntime()`. */
  readonly runtime?: Runtime | undefined;
}

/** Opens a scorer, see `scoring/`. Inputs may also be addresses, of pictures and of files of data. */
export async function openScorer(options: ScorerOptions): Promise<scoring.Scorer> {
  const { model, detector, onnx, background, runtime = webRuntime(), ...more } = options;
  const decode = more.decodeImage ?? (background ? decodeOn(background) : decodeImage);
  const scored = await modelFrom(model, onnx);
  const [shape] = Object.values(scored.inputs);
  return scoring.openScorer({
    ...more,
    runtime,
    model: scored,
    detector: await detectorFrom(detector),
    decodeImage: decode,
    open: (name) => openAddress(name, shape, decode),
    names: {
      ...(typeof model === 'string' ? { model } : {}),
      ...(typeof detector === 'string' ? { detector } : {}),
    },
  });
}

async function modelFrom(model: ScorerOptions['model'], options: OnnxOptions | undefined): Promise<ScoringModel> {
  if (model instanceof Uint8Array) return onnxModel(model, 'the model', options);
  if (typeof model !== 'string') return model;
  return /\.onnx([?#].*)?$/is.test(model) ? loadOnnx(model, options) : loadModel(model);
}

async function detectorFrom(detector: ScorerOptions['detector']): Promise<DetectorFile> {
  if (detector instanceof Uint8Array) return parseDetector(new TextDecoder().decode(detector), 'the detector');
  return typeof detector === 'string' ? loadDetector(detector) : detector;
}
