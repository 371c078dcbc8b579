// How a model is to be read, in the words of a command line, which a detector file keeps: its recipe. Those words in;
// the options that they stand for, and the model itself, out.

import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { defined, filled } from '../defined.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError, ModelError } from '../errors.ts';
import { type OnnxOptions, parseObjective, type ScoringModel } from '../store/index.ts';
import { loadModel } from './model-dir.ts';
import { loadOnnx } from './onnx-file.ts';
import { rangeIn, text, texts, type Words, type Wrong } from './words.ts';

/** What an .onnx file is read with. */
export function onnxOptionsIn(words: Words, wrong: Wrong): OnnxOptions {
  const objective = text(words, 'objective');
  const regex = (name: string): RegExp | undefined => {
    const source = text(words, name);
    try {
      return source === undefined ? undefined : new RegExp(source, 'u');
    } catch (error) {
      throw wrong(name, source!, `: ${error instanceof Error ? error.message : error}`);
    }
  };
  const pairs = <T>(name: string, read: (pair: string) => readonly [string, T] | undefined, expected: string) => {
    const all = texts(words, name).map((pair) => {
      const found = read(pair);
      if (found === undefined) throw wrong(name, pair, `, expected ${expected}`);
      return found;
    });
    return all.length === 0 ? undefined : Object.fromEntries(all);
  };
  return {
    normal: texts(words, 'normal'),
    uniform: texts(words, 'uniform'),
    constants: pairs('constant', constantIn, 'NAME=NUMBER') ?? {},
    ...defined({
      input: text(words, 'input'),
      objective: objective === undefined ? undefined : parseObjective(objective),
      pixels: rangeIn(words, wrong),
      integers: pairs('integer', integersIn, 'NAME=LOW..HIGH, both included, such as t=0..999'),
      dims: pairs('dim', sizeIn, 'NAME=SIZE, such as seq=128, or ids.1=128 for axis 1 of the input ids'),
      loss: text(words, 'loss'),
      params: regex('params'),
      frozen: regex('frozen'),
    }),
    ...filled({ stopGradient: texts(words, 'stop-gradient') }),
  };
}

/** What an architecture's scorer is asked for. */
export function scoringIn(words: Words, wrong: Wrong): Readonly<Record<string, unknown>> {
  const [timestep, draws] = [text(words, 'timestep'), text(words, 'loss-draws')];
  if (timestep !== undefined && words.bound) throw wrong('timestep', timestep, ': a bound is of all timesteps');
  const timesteps = timestep?.split(',').map((t) => {
    if (!/^\d+$/.test(t)) throw wrong('timestep', timestep, ', expected whole numbers such as 1,16');
    return Number(t);
  });
  if (draws !== undefined && !(/^\d+$/.test(draws) && Number(draws) >= 1 && Number.isSafeInteger(Number(draws)))) {
    throw wrong('loss-draws', draws, ', expected a whole number of at least 1');
  }
  return {
    ...defined({ timesteps, noiseSamples: draws === undefined ? undefined : Number(draws) }),
    ...(words.bound ? { bound: true } : {}),
  };
}

function integersIn(pair: string): readonly [string, [number, number]] | undefined {
  const [, name, low, high] = /^(.+)=(-?\d+)\.\.(-?\d+)$/.exec(pair) ?? [];
  return name === undefined || Number(low) > Number(high) ? undefined : [name, [Number(low), Number(high)]];
}

function sizeIn(pair: string): readonly [string, number] | undefined {
  const [, name, size] = /^(.+)=([1-9]\d*)$/.exec(pair) ?? [];
  return name === undefined || !Number.isSafeInteger(Number(size)) ? undefined : [name, Number(size)];
}

function constantIn(pair: string): readonly [string, number] | undefined {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
  return name === undefined || value!.trim() === '' || !Number.isFinite(Number(value))
    ? undefined
    : [name, Number(value)];
}

/** A detector's recipe: where its model is, if it says so, and how that is to be read. `path` is the detector's. */
export function recipeOf(detector: DetectorFile, path: string): { readonly place?: string; readonly words: Words } {
  const { model: stored, 'noise-samples': draws, ...kept } = detector.recipe ?? {};
  // As older versions wrote it: what is `loss-draws` was called `noise-samples`.
  const words = draws === undefined ? kept : { ...kept, 'loss-draws': draws };
  if (stored === undefined) return { words };
  if (typeof stored !== 'string' || stored === '') {
    throw new DataError(
      `${path}: at 'recipe.model': found ${JSON.stringify(stored).slice(0, 80)}, expected the path of a model`,
    );
  }
  return { place: placeBeside(path, stored), words };
}

/**
 * The model that a detector was fitted with, from where the detector's file says that it is. Throws a ModelError where
 * it is not there.
 */
export async function modelBeside(detector: DetectorFile, path: string): Promise<ScoringModel> {
  const { place, words } = recipeOf(detector, path);
  if (place === undefined) throw new ModelError(`${path} does not say where its model is; say it with \`model\``);
  const found = statSync(place, { throwIfNoEntry: false });
  if (!found) {
    throw new ModelError(
      `${place}: no such model directory or .onnx file, where ${path} has its model; say it with \`model\``,
    );
  }
  const wrong: Wrong = (name, value, reason) =>
    new DataError(`${path}: at 'recipe.${name}': found ${JSON.stringify(value).slice(0, 80)}${reason}`);
  return found.isDirectory() ? loadModel(place, scoringIn(words, wrong)) : loadOnnx(place, onnxOptionsIn(words, wrong));
}

/** Where a model lies, as seen from the folder of a detector file, with forward slashes: the same on every system. */
export function placeFrom(detector: string, model: string): string {
  const file = existsSync(detector) ? realpathSync(detector) : resolve(detector);
  const folder = existsSync(dirname(file)) ? realpathSync(dirname(file)) : dirname(file);
  return relative(folder, resolve(model)).replaceAll(sep, '/');
}

/**
 * The place that `placeFrom` gave: beside the detector file itself or, as older versions had it, beside a link to it.
 */
function placeBeside(detector: string, stored: string): string {
  const folders = [dirname(realpathSync(detector)), dirname(resolve(detector))];
  // A file written on Windows by an older version has backslashes; elsewhere they are letters of a name.
  const names = [stored, stored.replaceAll('\\', '/')];
  const places = folders.flatMap((folder) => names.map((name) => resolve(folder, name)));
  return places.find((place) => existsSync(place)) ?? places[0]!;
}
