// Addresses in; models, detectors and data out, by fetch.

import { bytesSource, type Dataset, type DecodeImage, type EncodedFile, readData } from '../data/index.ts';
import { defined } from '../defined.ts';
import { type DetectorFile, parseDetector } from '../detectors/index.ts';
import { DataError } from '../errors.ts';
import { inOrder } from '../in-order.ts';
import { type Model, modelOf, type OnnxOptions, onnxModel, type ScoringModel } from '../store/index.ts';
import { infoFile, weightsFile } from '../train/store.ts';
import { decodeImage } from './picture.ts';

/** The content behind an address. Throws a DataError where it cannot be had. */
export async function fetchFile(url: string | URL): Promise<EncodedFile> {
  const where = String(url);
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new DataError(`${where}: cannot be fetched: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  if (!response.ok) throw new DataError(`${where}: cannot be fetched: ${response.status} ${response.statusText}`);
  return { bytes: new Uint8Array(await response.arrayBuffer()), where };
}

/** A directory written by `train`, by its address. See `modelOf`. */
export async function loadModel(url: string, scoring: Readonly<Record<string, unknown>> = {}): Promise<Model> {
  const at = (file: string) => fetchFile(`${url.replace(/\/$/, '')}/${file}`);
  const [info, weights] = await inOrder([at(infoFile), at(weightsFile)]);
  return modelOf({ info, weights }, scoring);
}

/** An .onnx file that holds all of its tensors itself. See `onnxModel`. */
export async function loadOnnx(url: string, options: OnnxOptions = {}): Promise<ScoringModel> {
  const { bytes, where } = await fetchFile(url);
  return onnxModel(bytes, where, options);
}

/** A file that `fit` wrote. See `parseDetector`. */
export async function loadDetector(url: string): Promise<DetectorFile> {
  const { bytes, where } = await fetchFile(url);
  return parseDetector(new TextDecoder().decode(bytes), where);
}

/** A picture, or a file of data, see `readData`; `like`: shape of an example where the file leaves the choice. */
export async function openAddress(
  url: string,
  like?: readonly number[],
  decode: DecodeImage = decodeImage,
): Promise<Dataset | EncodedFile> {
  const file = await fetchFile(url);
  const path = url.replace(/[?#].*$/s, '');
  if (/\.(png|jpe?g|webp)$/i.test(path)) return file;
  return readData(bytesSource(file.bytes, path), { decodeImage: decode, ...defined({ like }) });
}
