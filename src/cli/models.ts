// What commands do with a MODEL argument and the data for it.

import { existsSync, statSync } from 'node:fs';
import { type Dataset, DEFAULT_LENGTH, isPreparation } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError, ModelError, UsageError } from '../errors.ts';
import { asImages, asModelTakes, guessRoles, type InputRole, type NoiseKey, roleText } from '../features/index.ts';
import type { FeatureOptions } from '../node/defaults.ts';
import { loadModel, loadOnnx, readDetector } from '../node/index.ts';
import { onnxOptionsIn, recipeOf, scoringIn } from '../node/recipe.ts';
import type { Wrong } from '../node/words.ts';
import { type CompareProgress, detectorOf } from '../scoring/index.ts';
import type { Model, ScoringModel } from '../store/index.ts';
import { openDataset, preparationOf } from './datasets.ts';
import { extractorOptions } from './machine.ts';
import { layoutIn, type RunOptions, text, texts, type Values, whole } from './options.ts';
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
  const input = text(values, 'input');
  const model = await loadOnnx(path, onnxOptionsIn(values, wrong));
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

/**
 * A model, data as it takes them, and the options that it is opened with: those given, and what its inputs were taken
 * for.
 */
export interface ModelAndData {
  readonly model: ScoringModel;
  readonly data: Dataset;
  readonly values: Values;
  /** Inputs that were taken for what their names say. */
  readonly roles: readonly SaidRole[];
}

/**
 * Opens both. Of a model with several inputs, those that the data have no array for are what their names say, which is
 * said; throws a UsageError that says what to type for those whose names say nothing.
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
  const roles = guessed.map(saidRole);
  const all = withRoles(values, roles);
  const settled = await openModel(path, all);
  return { model: settled, data: taken(settled, opened, options), values: all, roles };
}

/** The options with what inputs were taken for. */
export function withRoles(values: Values, roles: readonly SaidRole[]): Values {
  const more: Record<string, readonly string[]> = {};
  for (const { option, value } of roles) more[option] = [...(more[option] ?? texts(values, option)), value];
  return { ...values, ...more };
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

/** The error for the value of an option, with what is wrong about it. */
const wrong: Wrong = (name, value, reason) => new UsageError(`--${name} is '${value}'${reason}`);

/** What an architecture's scorer takes. */
function parseScoring(values: Values): Readonly<Record<string, unknown>> {
  if (values.timestep !== undefined && values.bound) throw new UsageError('--timestep and --bound exclude each other');
  return scoringIn(values, wrong);
}

/**
 * A DATA argument as the model takes it, see `asModelTakes`. `like`: image shape of synthetic sets before preparation.
 */
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

/**
 * The shape of an example where the data leave the choice. Text: windows as long as the model's; the usual ones where
 * it leaves them open.
 */
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
  const { recipe, place } = askedOf(detector, path, values);
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
  return askedOf(await readDetector(path), path, values).place;
}

/** What a detector file keeps of the command line. Throws a DataError where that is nothing a command line can have. */
function askedOf(
  detector: DetectorFile,
  path: string,
  values: Values,
): { readonly recipe: Values; readonly place: string | undefined } {
  const { words, place } = recipeOf(detector, path);
  const unfit = (name: string, found: unknown, expected: string) =>
    new DataError(`${path}: at 'recipe.${name}': found ${JSON.stringify(found).slice(0, 80)}, expected ${expected}`);
  for (const [name, value] of Object.entries(words)) {
    const option = Object.hasOwn(modelOptions, name) ? modelOptions[name] : undefined;
    if (option === undefined) throw unfit(name, value, `an option such as ${Object.keys(modelOptions).join(', ')}`);
    if (option.type === 'boolean' && value !== true) throw unfit(name, value, 'true');
    if (option.type === 'boolean') continue;
    const isText = (one: unknown) => typeof one === 'string' && one !== '';
    if (option.multiple && !(Array.isArray(value) && value.every(isText))) throw unfit(name, value, 'a list of texts');
    if (!option.multiple && !isText(value)) throw unfit(name, value, 'a text');
  }
  return { recipe: words as Values, place: text(values, 'model') ?? place };
}

export function featureOptions(
  options: RunOptions,
  groups: readonly number[],
  keys: Partial<Pick<FeatureOptions, 'seed' | 'noise' | 'noiseSamples' | 'views' | 'metricForm'>> = {},
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
