// What commands do with a MODEL argument and the data for it.

import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { type Dataset, DEFAULT_LENGTH, isPreparation } from '../data/index.ts';
import { defined, filled } from '../defined.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError, ModelError, UsageError } from '../errors.ts';
import { asImages, asModelTakes, guessRoles, type InputRole, type NoiseKey, roleText } from '../features/index.ts';
import type { FeatureOptions } from '../node/defaults.ts';
import { loadModel, loadOnnx, readDetector } from '../node/index.ts';
import { type CompareProgress, detectorOf } from '../scoring/index.ts';
import { type Model, parseObjective, type ScoringModel } from '../store/index.ts';
import { openDataset, preparationOf } from './datasets.ts';
import { extractorOptions, layoutIn, pixelRange, type RunOptions, text, texts, type Values, whole } from './options.ts';
import { pace, progressLine, say, throttled } from './terminal.ts';
import { modelOptions, scoringOptions } from './usage/options.ts';

export function noiseOf(values: Values): NoiseKey {
  const value = text(values, 'noise-by') ?? 'content';
  if (value !== 'content' && value !== 'index') {
    throw new UsageError(`--noise-by is '${value}', expected content or index`);
  }
  return value;
}

/** `--noise-samples` where a detector says how many there are. Throws a UsageError for another number. */
export function checkDraws(values: Values, { noiseSamples = 1 }: DetectorFile, path: string): void {
  const asked = whole(values, 'noise-samples', 1);
  if (asked === undefined || asked === noiseSamples) return;
  throw new UsageError(
    `--noise-samples is ${asked}, ${path} was fitted with ${noiseSamples}: its p-values are for features of as many draws`,
  );
}

/** Says where there is nothing to draw. */
export function sayDraws(values: Values, drawn: number): void {
  const asked = whole(values, 'noise-samples', 1) ?? 1;
  if (asked > drawn) say(`--noise-samples ${asked}: the model has no random inputs, so one draw says it all`);
}

/** What of a command line a detector file keeps, so that `score` and `eval` read the model in the same way. */
type Recipe = Readonly<Record<string, unknown>>;

/** The values of `modelOptions` that were given; `builtIn`: without those that then say what the data are like. */
export function modelRecipe(values: Values, builtIn = false): Recipe {
  const names = Object.keys(modelOptions).filter((name) => !builtIn || !ofData.has(name));
  return Object.fromEntries(names.flatMap((name) => (values[name] ? [[name, values[name]]] : [])));
}

/** Options that say of an ONNX file what it takes and, where a built-in model is asked, what the data are like. */
const ofData: ReadonlySet<string> = new Set(['pixels', 'layout']);

/** A model to score with: a directory or an .onnx file. */
export async function openModel(path: string, values: Values = {}): Promise<ScoringModel> {
  if (!existsSync(path)) throw new ModelError(`${path}: no such model directory or .onnx file`);
  if (statSync(path).isDirectory()) {
    const isForeign = (name: string) => !Object.hasOwn(scoringOptions, name) && !ofData.has(name);
    const foreign = Object.keys(modelRecipe(values)).find(isForeign);
    if (foreign !== undefined) throw new UsageError(`--${foreign} is for .onnx models, ${path} is a model directory`);
    return loadModel(path, parseScoring(values));
  }
  const own = Object.keys(modelRecipe(values)).find((name) => Object.hasOwn(scoringOptions, name));
  if (own !== undefined) throw new UsageError(`--${own} is for model directories, ${path} is a file`);
  const loss = text(values, 'loss');
  const params = text(values, 'params');
  const frozen = text(values, 'frozen');
  const stopGradient = texts(values, 'stop-gradient');
  const input = text(values, 'input');
  const objective = text(values, 'objective');
  const pixels = pixelRange(values);
  const model = await loadOnnx(path, {
    ...defined({ input }),
    ...defined({ objective: objective === undefined ? undefined : parseObjective(objective) }),
    ...defined({ pixels }),
    normal: texts(values, 'normal'),
    uniform: texts(values, 'uniform'),
    constants: Object.fromEntries(texts(values, 'constant').map(parseConstant)),
    ...given('integers', texts(values, 'integer').map(parseIntegers)),
    ...given('dims', texts(values, 'dim').map(parseDim)),
    ...defined({ loss }),
    ...(params === undefined ? {} : { params: parseRegex('params', params) }),
    ...(frozen === undefined ? {} : { frozen: parseRegex('frozen', frozen) }),
    ...filled({ stopGradient }),
  });
  const names = Object.keys(model.inputs);
  if (input !== undefined && !names.includes(input)) {
    throw new ModelError(`${path}: '${input}' is not an input that takes data; there are ${names.join(', ')}`);
  }
  const preparation = preparationOf(values);
  const layout = layoutIn(values);
  const said = layout === undefined ? model : { ...model, layout };
  return isPreparation(preparation) ? { ...said, preparation } : said;
}

/** A directory written by `train`. */
export async function openBuiltIn(path: string): Promise<Model> {
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw new ModelError(`${path}: is a file; expected a model directory, as written by fisher-ood train`);
  }
  if (!existsSync(path)) throw new ModelError(`${path}: no such model directory`);
  return loadModel(path);
}

/** A model, data as it takes them, and the options that it is opened with: those given, and what its inputs were taken for. */
export interface ModelAndData {
  readonly model: ScoringModel;
  readonly data: Dataset;
  readonly values: Values;
  /** Inputs that were taken for what their names say. */
  readonly roles: readonly SaidRole[];
}

/**
 * Opens both. Of a model with several inputs, those that the data have no array for are what their names say, which is said; throws a UsageError
 * that says what to type for those whose names say nothing.
 */
export async function openModelAndData(
  path: string,
  values: Values,
  spec: string,
  options: RunOptions,
): Promise<ModelAndData> {
  const model = await openModel(path, values);
  const opened = await openDataset(spec, options, likeOf(model));
  const { guessed, unknown } = guessRoles(model, Object.keys(opened.shapes));
  const names = Object.keys(model.inputs);
  if (names.length === 1 || (guessed.length === 0 && unknown.length === 0)) {
    return { model, data: taken(model, opened, options), values, roles: [] };
  }
  if (unknown.length > 0) {
    const there = Object.keys(opened.shapes).join(', ');
    const each = unknown.map(({ input, advice }) => `'${input}': ${advice}`).join('; ');
    throw new UsageError(`${path} takes ${names.join(', ')}, and ${spec} has ${there}. ${each}`);
  }
  for (const role of guessed) say(roleText(role));
  const more: Record<string, readonly string[]> = {};
  const roles = guessed.map(saidRole);
  for (const { option, value } of roles) more[option] = [...(more[option] ?? texts(values, option)), value];
  const all = { ...values, ...more };
  const settled = await openModel(path, all);
  return { model: settled, data: taken(settled, opened, options), values: all, roles };
}

/** An input that was taken for what its name says, with the flag that says the same and its value. */
export interface SaidRole extends Pick<InputRole, 'input' | 'role'> {
  readonly option: 'normal' | 'uniform' | 'integer' | 'constant';
  readonly value: string;
}

export function saidRole({ input, role, option, value }: InputRole): SaidRole {
  if (option === 'integers') {
    return { input, role, option: 'integer', value: `${input}=${(value as readonly number[]).join('..')}` };
  }
  return option === 'constants'
    ? { input, role, option: 'constant', value: `${input}=${value}` }
    : { input, role, option, value: input };
}

const given = <T>(name: string, entries: readonly (readonly [string, T])[]) =>
  entries.length === 0 ? {} : { [name]: Object.fromEntries(entries) };

function parseIntegers(pair: string): [string, [number, number]] {
  const [, name, low, high] = /^(.+)=(-?\d+)\.\.(-?\d+)$/.exec(pair) ?? [];
  if (name === undefined || Number(low) > Number(high)) {
    throw new UsageError(`--integer is '${pair}', expected NAME=LOW..HIGH, both included, such as t=0..999`);
  }
  return [name, [Number(low), Number(high)]];
}

function parseDim(pair: string): [string, number] {
  const [, name, size] = /^(.+)=([1-9]\d*)$/.exec(pair) ?? [];
  if (name === undefined || !Number.isSafeInteger(Number(size))) {
    throw new UsageError(
      `--dim is '${pair}', expected NAME=SIZE, such as seq=128, or ids.1=128 for axis 1 of the input ids`,
    );
  }
  return [name, Number(size)];
}

function parseConstant(pair: string): [string, number] {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
  if (name === undefined || value!.trim() === '' || !Number.isFinite(Number(value))) {
    throw new UsageError(`--constant is '${pair}', expected NAME=NUMBER`);
  }
  return [name, Number(value)];
}

/** What an architecture's scorer takes. */
function parseScoring(values: Values): Readonly<Record<string, unknown>> {
  const timestep = text(values, 'timestep');
  const noiseSamples = whole(values, 'loss-draws', 1);
  if (timestep !== undefined && values.bound) throw new UsageError('--timestep and --bound exclude each other');
  const timesteps = timestep?.split(',').map((t) => {
    if (!/^\d+$/.test(t)) throw new UsageError(`--timestep is '${timestep}', expected whole numbers such as 1,16`);
    return Number(t);
  });
  return {
    ...defined({ timesteps }),
    ...defined({ noiseSamples }),
    ...(values.bound ? { bound: true } : {}),
  };
}

function parseRegex(option: string, source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch (error) {
    throw new UsageError(`--${option} is '${source}': ${error instanceof Error ? error.message : error}`);
  }
}

/** A DATA argument as the model takes it, see `asModelTakes`. `like`: image shape of synthetic sets before preparation. */
export async function openFor(
  model: ScoringModel,
  spec: string,
  options: RunOptions,
  like?: readonly number[],
): Promise<Dataset> {
  return taken(model, await openDataset(spec, options, likeOf(model, like)), options);
}

/** A DATA argument, with images as such, but not changed for the model yet. */
export async function openRaw(model: ScoringModel, spec: string, options: RunOptions): Promise<Dataset> {
  return asImages(model, await openDataset(spec, options, likeOf(model)));
}

export const taken = (model: ScoringModel, data: Dataset, options: RunOptions) =>
  asModelTakes(model, data, isBuiltIn(model) ? options.choices : {});

/** The shape of an example where the data leave the choice. Text: windows as long as the model's; the usual ones where it leaves them open. */
function likeOf(model: ScoringModel, like?: readonly number[]): readonly number[] {
  const [name] = Object.keys(model.inputs) as [string, ...string[]];
  const shape = model.inputs[name]!;
  if (shape.length !== 1) return like ?? shape;
  return typeof model.declared?.[name]?.[0] === 'string' ? [DEFAULT_LENGTH] : shape;
}

/** Whether it is of a directory that `train` wrote. */
export const isBuiltIn = (model: ScoringModel): boolean => 'arch' in model;

/** A detector file and the model it was fitted with: of --model, or where the file says it is. */
export async function openDetector(
  path: string,
  values: Values,
): Promise<{ readonly detector: DetectorFile; readonly model: ScoringModel }> {
  const detector = await readDetector(path);
  const { recipe, place } = recipeOf(detector, path, values);
  if (place === undefined) throw new UsageError(`${path} does not say where its model is; say it with --model`);
  if (text(values, 'model') === undefined && !existsSync(place)) {
    throw new ModelError(
      `${place}: no such model directory or .onnx file, where ${path} has its model; say it with --model`,
    );
  }
  const model = await openModel(place, recipe);
  const own = isBuiltIn(model) ? undefined : [...ofData].find((name) => text(values, name) !== undefined);
  if (own !== undefined) {
    throw new UsageError(`--${own} is kept by ${path}, which was fitted with an .onnx model, and cannot be given here`);
  }
  return { detector: detectorOf(detector, model, { detector: path, model: place }), model };
}

/** Where the model of a detector file is: as --model says, or the file. */
export async function modelPlace(path: string, values: Values): Promise<string | undefined> {
  return recipeOf(await readDetector(path), path, values).place;
}

/** What a detector file keeps of the command line. Throws a DataError where that is nothing a command line can have. */
function recipeOf(
  detector: DetectorFile,
  path: string,
  values: Values,
): { readonly recipe: Values; readonly place: string | undefined } {
  const { model: stored, ...kept } = detector.recipe ?? {};
  const recipe = renamed(kept);
  const wrong = (name: string, found: unknown, expected: string) =>
    new DataError(`${path}: at 'recipe.${name}': found ${JSON.stringify(found).slice(0, 80)}, expected ${expected}`);
  for (const [name, value] of Object.entries(recipe)) {
    const option = Object.hasOwn(modelOptions, name) ? modelOptions[name] : undefined;
    if (option === undefined) throw wrong(name, value, `an option such as ${Object.keys(modelOptions).join(', ')}`);
    if (option.type === 'boolean' && value !== true) throw wrong(name, value, 'true');
    if (option.type === 'boolean') continue;
    const isText = (one: unknown) => typeof one === 'string' && one !== '';
    if (option.multiple && !(Array.isArray(value) && value.every(isText))) throw wrong(name, value, 'a list of texts');
    if (!option.multiple && !isText(value)) throw wrong(name, value, 'a text');
  }
  if (stored !== undefined && (typeof stored !== 'string' || stored === '')) {
    throw wrong('model', stored, 'the path of a model');
  }
  const place = text(values, 'model') ?? (stored === undefined ? undefined : placeBeside(path, stored));
  return { recipe: recipe as Values, place };
}

/** A recipe as older versions wrote it: `--loss-draws` was called `--noise-samples`. */
function renamed(recipe: Recipe): Recipe {
  const { 'noise-samples': draws, ...rest } = recipe;
  return draws === undefined ? recipe : { ...rest, 'loss-draws': draws };
}

/** Where a model lies, as seen from the folder of a detector file, with forward slashes: the same on every system. */
export function placeFrom(detector: string, model: string): string {
  const file = existsSync(detector) ? realpathSync(detector) : resolve(detector);
  const folder = existsSync(dirname(file)) ? realpathSync(dirname(file)) : dirname(file);
  return relative(folder, resolve(model)).replaceAll(sep, '/');
}

/** The place that `placeFrom` gave: beside the detector file itself or, as older versions had it, beside a link to it. */
function placeBeside(detector: string, stored: string): string {
  const folders = [dirname(realpathSync(detector)), dirname(resolve(detector))];
  // A file written on Windows by an older version has backslashes; elsewhere they are letters of a name.
  const names = [stored, stored.replaceAll('\\', '/')];
  const places = folders.flatMap((folder) => names.map((name) => resolve(folder, name)));
  return places.find((place) => existsSync(place)) ?? places[0]!;
}

export function featureOptions(
  options: RunOptions,
  groups: readonly number[],
  keys: Partial<Pick<FeatureOptions, 'seed' | 'noise' | 'noiseSamples' | 'views'>> = {},
): FeatureOptions {
  const show = throttled((p: CompareProgress) => {
    const speed = pace(p.examplesPerSecond, (p.of - p.done) / p.examplesPerSecond);
    progressLine(`${p.name}, B = ${p.group}: ${p.done}/${p.of}  ${speed}`);
  });
  return {
    groups,
    seed: options.seed,
    ...keys,
    ...extractorOptions(options),
    onProgress: show,
  };
}
