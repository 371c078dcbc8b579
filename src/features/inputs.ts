// A model and a data set in; the data set as the model takes it out: pixels checked, images prepared, a single array under the input's name.

import { asPixels, type Dataset, isPreparation, type Preparation, prepare, rename } from '../data/index.ts';
import { DataError, ModelError } from '../errors.ts';
import type { ScoringModel } from '../store/index.ts';
import { type Shape, sameShape, shapeText } from '../tensor/shape.ts';

/** What of a model decides how data are made ready for it. */
type Takes = Pick<ScoringModel, 'inputs' | 'pixels' | 'preparation'>;

export interface InputOptions {
  /**
   * Whether the data are what the model sees already, and nothing is to be done to them. Sets that went through `prepare` or `asModelTakes` say
   * so themselves, and their slices too; a set made by hand cannot. To prepare twice is no small matter: 32×32 pixels resampled to 40×40, of
   * which the middle 32×32 is cut, are other pixels, and nothing would tell.
   */
  readonly prepared?: boolean;
  /** What the data have in place of 0 and 255, for models that take raw pixels; see `asPixels`. */
  readonly pixels?: readonly [low: number, high: number] | undefined;
}

/**
 * The examples of `data` as `model` takes them. Built-in models take raw pixels 0..255, which are held to that where they are read. A set that
 * was prepared as the model wants it is left as it is. Throws a DataError for one that was prepared otherwise, and a ModelError where the shapes
 * do not fit after all.
 */
export function asModelTakes(model: Takes, data: Dataset, options: InputOptions = {}): Dataset {
  const raw = options.prepared === true ? data : prepared(model, data, options);
  const names = Object.keys(model.inputs);
  const [only, ...more] = Object.keys(raw.shapes);
  const named = names.length === 1 && more.length === 0 && only !== names[0] ? rename(raw, only!, names[0]!) : raw;
  for (const [name, expected] of Object.entries(model.inputs)) checkInput(model, data, named, name, expected);
  return named;
}

function prepared(model: Takes, data: Dataset, { pixels: range }: InputOptions): Dataset {
  const wanted = model.preparation ?? {};
  if (data.prepared !== undefined) {
    if (textOf(data.prepared) === textOf(wanted)) return data;
    throw new DataError(
      `${data.name}: was prepared by ${textOf(data.prepared)}, the model wants ${textOf(wanted)}: give the data as they were read, or say that nothing is to be done to them (prepared: true)`,
    );
  }
  const checked = model.pixels && data.shapes.x ? asPixels(data, { range, advice: adviceFor(model) }) : data;
  return isPreparation(wanted) ? prepare(checked, wanted) : checked;
}

/** What to type where data seem to have pixels 0..1. A foreign model that takes raw pixels does so by `--pixels`. */
const adviceFor = (model: Takes): string | undefined =>
  'arch' in model
    ? undefined
    : 'multiply them by 255, or leave out --pixels where the model takes the numbers as they are';

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
