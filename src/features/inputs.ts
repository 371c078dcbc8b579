// A model and a data set in; the data set as the model takes it out: pixels checked, images prepared, a single array
// under the input's name.

import { checkArguments, checkOptions, dataset, optional, range, takes, text, yesOrNo } from '../arguments.ts';
import {
  asPixels,
  type Dataset,
  imageShapeFor,
  inLayout,
  isPreparation,
  type Layout,
  layoutOf,
  noted,
  type Preparation,
  prepare,
  rename,
  reshaped,
  toLayout,
  turnFor,
} from '../data/index.ts';
import { DataError, ModelError } from '../errors.ts';
import type { ScoringModel } from '../store/index.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';

/** What of a model decides how data are made ready for it. */
type Takes = Pick<ScoringModel, 'inputs' | 'takesPixels' | 'preparation' | 'layout' | 'at' | 'declared' | 'inputTypes'>;

export interface InputOptions {
  /**
   * Whether the data are what the model sees already, and nothing is to be done to them. Sets that went through
   * `prepare` or `asModelTakes` say so themselves, and their slices too; a set made by hand cannot. To prepare twice is
   * no small matter: 32×32 pixels resampled to 40×40, of which the middle 32×32 is cut, are other pixels, and nothing
   * would tell.
   */
  readonly prepared?: boolean;
  /** What the data have in place of 0 and 255, for models that take raw pixels; see `asPixels`. */
  readonly pixels?: readonly [low: number, high: number] | undefined;
  /**
   * Where the channels of images are: of the data, where the model takes them first; of what the model takes, where it
   * leaves that open. Left out: where the shapes say that they must be.
   */
  readonly layout?: Layout | undefined;
}

/**
 * The examples of `data` as `model` takes them. Built-in models take raw pixels 0..255, which are held to that where
 * they are read. A set that was prepared as the model wants it is left as it is. Throws a DataError for one that was
 * prepared otherwise, and a ModelError where the shapes do not fit after all.
 */
export function asModelTakes(model: Takes, given: Dataset, options: InputOptions = {}): Dataset {
  checkArguments('asModelTakes', { model, data: given }, { model: takes, data: dataset });
  checkOptions('asModelTakes', options, {
    prepared: optional(yesOrNo),
    layout: optional(text),
    pixels: optional(range),
  });
  const layout = options.layout ?? model.layout;
  const data = options.prepared === true ? given : inPlanes(model, asImages(model, given, layout), layout);
  const raw = options.prepared === true ? data : turned(model, prepared(model, data, options), layout);
  const shaped = inShape(model, named(model, raw));
  for (const [name, expected] of Object.entries(sized(model, shaped))) checkInput(model, data, shaped, name, expected);
  return shaped;
}

/**
 * The examples of `data` as images, where the model takes images and the data have rows of numbers, or images without
 * an axis of channels; as they are in all other cases. Throws a DataError where rows may be images of several shapes,
 * or of none.
 */
export function asImages(model: Takes, data: Dataset, layout = model.layout): Dataset {
  const found = data.shapes.x;
  const [target, ...others] = Object.entries(model.inputs);
  if (!found || found.length > 2 || !target || others.length > 0 || Object.keys(data.shapes).length > 1) return data;
  const [name, wanted] = target;
  const isChanged = isPreparation(model.preparation ?? {});
  if (wanted.length !== 3) return data;
  const isPlain = !model.takesPixels && !isChanged;
  if (isPlain && (shapeFor(model, name, found) !== undefined || sizeOf(found) !== sizeOf(wanted))) return data;
  if (found.length === 2) return model.takesPixels || isChanged ? reshaped(data, 'x', [1, ...found]) : data;
  if (model.at) return data;
  const planes = (layoutOf(wanted) ?? layout) === 'nhwc' ? inLayout(wanted, 'nchw') : wanted;
  const shape = imageShapeFor(data.name, sizeOf(found), planes, model.preparation ?? {});
  const images = reshaped(data, 'x', shape);
  return noted(images, `${data.name}: rows of ${sizeOf(found)} numbers are taken for images of ${shapeText(shape)}`);
}

/**
 * A model as it is for examples of these shapes: the same, where it leaves no size to them. `shapes` may have more than
 * its inputs.
 */
export function modelAt(model: ScoringModel, shapes: Readonly<Record<string, Shape>>): ScoringModel {
  return model.at ? model.at(shapes) : model;
}

/** The shapes that the model takes, free sizes being those of the data. */
function sized(model: Takes, data: Dataset): Readonly<Record<string, Shape>> {
  if (!model.at) return model.inputs;
  try {
    return model.at(data.shapes).inputs;
  } catch (error) {
    if (error instanceof ModelError) throw new ModelError(`${data.name}: ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * The arrays under the names of the inputs: a single one is for the single input, and of several the only one of its
 * shape.
 */
function named(model: Takes, data: Dataset): Dataset {
  const [name, ...others] = Object.keys(model.inputs);
  if (name === undefined || others.length > 0 || Object.hasOwn(data.shapes, name)) return data;
  const there = Object.entries(data.shapes);
  const fitting = there.length === 1 ? there : there.filter(([, shape]) => shapeFor(model, name, shape) !== undefined);
  const [only] = fitting;
  if (!only || fitting.length > 1) return data;
  const taken = rename(data, only[0], name);
  return there.length === 1
    ? taken
    : noted(taken, `${data.name}: the array '${only[0]}' is taken for '${name}', the only one of its shape`);
}

/** Arrays in the shapes that the inputs take, where these have the same numbers in the same order. */
function inShape(model: Takes, data: Dataset): Dataset {
  let shaped = data;
  for (const name of Object.keys(model.inputs)) {
    const found = Object.hasOwn(data.shapes, name) ? data.shapes[name] : undefined;
    const wanted = found && shapeFor(model, name, found);
    if (!wanted || sameShape(wanted, found)) continue;
    shaped = reshaped(shaped, name, wanted);
    // only axes of 1, such as the channel that readers give to pictures
    if (sameShape(wide(wanted), wide(found))) continue;
    shaped = noted(
      shaped,
      `${data.name}: '${name}' is ${shapeText(found)} an example, and ${shapeText(wanted)} for the model`,
    );
  }
  return shaped;
}

const wide = (shape: Shape) => shape.filter((d) => d !== 1);

/**
 * How an array of this shape is fed to an input: as it is, with axes of size 1 more or fewer, or row by row as a
 * vector, or from one. Undefined where that does not go.
 */
function shapeFor(model: Takes, name: string, found: Shape): Shape | undefined {
  const pattern = model.declared?.[name];
  if (pattern?.some((d) => typeof d === 'string')) {
    const fits = (shape: Shape) =>
      shape.length === pattern.length && shape.every((d, k) => typeof pattern[k] === 'string' || pattern[k] === d);
    const candidates = [found, ...(found[0] === 1 ? [found.slice(1)] : []), [1, ...found], [...found, 1]];
    return candidates.find(fits);
  }
  const expected = model.inputs[name]!;
  if (sameShape(found, expected)) return found;
  if (sizeOf(found) !== sizeOf(expected)) return undefined;
  if (sameShape(wide(found), wide(expected))) return expected;
  // Rows of pixels one after the other; with several channels there are two orders.
  const flat = expected.length === 1 || (found.length === 1 && wide(expected).length <= 2);
  return flat && model.inputTypes !== undefined ? expected : undefined;
}

/** Images with their channels first, where they are to be looked at or changed as such and their channels are last. */
function inPlanes(model: Takes, data: Dataset, layout: Layout | undefined): Dataset {
  const shape = data.shapes.x;
  if (shape?.length !== 3 || data.prepared !== undefined || data.judged) return data;
  if (!model.takesPixels && !isPreparation(model.preparation ?? {})) return data;
  // A model that was given no choice of pixels takes them as they are.
  return (layoutOf(shape) ?? layout) === 'nhwc' ? toLayout(data, 'nchw') : data;
}

/** A lone array of images with its channels where the model has them. */
function turned(model: Takes, data: Dataset, layout: Layout | undefined): Dataset {
  const [wanted, ...others] = Object.values(model.inputs);
  const [name, ...more] = Object.keys(data.shapes);
  if (!wanted || !name || others.length > 0 || more.length > 0) return data;
  const [pattern = wanted] = Object.values(model.declared ?? {});
  const to = turnFor(data.shapes[name]!, pattern, 'arch' in model ? undefined : layout);
  if (to === undefined) return data;
  const found = data.shapes[name]!;
  const set = toLayout(data, to, name);
  if (layoutOf(found) !== undefined) return set;
  const place = to === 'nchw' ? 'last' : 'first';
  const note = `${data.name}: '${name}' is ${shapeText(found)} an example, taken for an image with its channels ${place}, as the model takes ${shapeText(wanted)}`;
  return noted(set, note);
}

function prepared(model: Takes, data: Dataset, { pixels: range }: InputOptions): Dataset {
  const wanted = model.preparation ?? {};
  if (data.prepared !== undefined) {
    if (textOf(data.prepared) === textOf(wanted)) return data;
    throw new DataError(
      `${data.name}: was prepared by ${textOf(data.prepared)}, the model wants ${textOf(wanted)}: give the data as they were read, or say that nothing is to be done to them (prepared: true)`,
    );
  }
  const checked = model.takesPixels && data.shapes.x ? asPixels(data, { range, advice: adviceFor(model) }) : data;
  return isPreparation(wanted) ? prepare(checked, wanted) : checked;
}

/** What to type where data seem to have pixels 0..1. A foreign model that takes raw pixels does so by `pixels`. */
const adviceFor = (model: Takes): string | undefined =>
  'arch' in model
    ? undefined
    : 'multiply them by 255, or leave out `pixels` where the model takes the numbers as they are';

/** The steps in the order in which they are taken: 'resize 40×40, crop 32×32'. */
function textOf({ channels, resize, filter, crop, pad }: Preparation): string {
  const steps = [
    ...(channels === undefined ? [] : [`channels ${channels}`]),
    ...Object.entries({ resize, crop, pad }).flatMap(([name, size]) =>
      size ? [`${name} ${size[0]}×${size[1]}${name === 'resize' && filter ? ` by ${filter}` : ''}`] : [],
    ),
  ];
  return steps.join(', ') || 'nothing';
}

function checkInput(model: Takes, given: Dataset, data: Dataset, name: string, expected: Shape): void {
  const found = Object.hasOwn(data.shapes, name) ? data.shapes[name] : undefined;
  if (!found) {
    const there = Object.keys(data.shapes).join(', ');
    throw new ModelError(`${data.name}: has no array '${name}', which the model takes; it has ${there}`);
  }
  if (sameShape(found, expected)) return;
  const before = given.shapes[name];
  const steps =
    before && !sameShape(before, found)
      ? `, made of ${shapeText(before)} by the model's preparation (${textOf(model.preparation ?? {})})`
      : '';
  throw new ModelError(
    `${data.name}: '${name}' is ${shapeText(found)} an example${steps}, the model takes ${shapeText(expected)}${hint(found, expected)}`,
  );
}

/** What to do about it, where the shapes tell. */
function hint(found: Shape, expected: Shape): string {
  if (found.length !== 3 || expected.length !== 3) return '';
  const [c, h, w] = expected as [number, number, number];
  if (sameShape(found, [h, w, c])) return ': channels last it seems, transpose them to [channels, height, width]';
  if (found[0] !== c && (found[0] === 1 || found[0] === 3) && (c === 1 || c === 3)) {
    return `: prepare the images with channels ${c}${found[1] === h && found[2] === w ? '' : ` and resize ${h}×${w}`}`;
  }
  return found[0] === c ? `: prepare the images with resize, crop or pad ${h}×${w}` : '';
}
