// A detector and a model in; the two as they belong together out, or an error that says why they do not.

import { isPreparation, kernels, layouts, type Preparation } from '../data/index.ts';
import type { DetectorFile } from '../detectors/index.ts';
import { DataError, ModelError } from '../errors.ts';
import type { ScoringModel } from '../store/index.ts';

/** What messages call the two. */
export interface Names {
  readonly detector?: string | undefined;
  readonly model?: string | undefined;
}

/** The detector, of this very model. Throws a ModelError where it was fitted with another. */
export function detectorOf(detector: DetectorFile, model: ScoringModel, names: Names = {}): DetectorFile {
  if (model.hash === detector.model) return detector;
  // Fitted by an older version, which gave the same model another hash.
  if (model.formerHash?.() === detector.model) return { ...detector, model: model.hash };
  const { detector: file = 'the detector', model: place = 'the one given' } = names;
  throw new ModelError(
    `${file} was fitted with model ${detector.model.slice(0, 12)}, ${place} is model ${model.hash.slice(0, 12)}`,
  );
}

/**
 * A foreign model with the preparation of images that the detector's recipe has, since that is no part of the model and
 * changes every norm. Throws a ModelError where the model was given another.
 */
export function preparedAs(detector: DetectorFile, model: ScoringModel, names: Names = {}): ScoringModel {
  const { recipe } = detector;
  if (recipe === undefined || 'arch' in model) return model; // fitted from code, or a model that knows by itself
  const wanted = preparationIn(recipe, names.detector ?? 'the detector');
  const layout = layouts.find((one) => one === recipe.layout);
  return withPreparation(layout === undefined || model.layout ? model : { ...model, layout }, wanted, names);
}

function withPreparation(model: ScoringModel, wanted: Preparation, names: Names): ScoringModel {
  const given = model.preparation ?? {};
  if (!isPreparation(given)) return isPreparation(wanted) ? { ...model, preparation: wanted } : model;
  const text = (p: Preparation) =>
    JSON.stringify(
      Object.entries(p)
        .filter(([, step]) => step !== undefined)
        .sort(),
    );
  if (text(given) === text(wanted)) return model;
  throw new ModelError(
    `the model prepares images by ${text(given)}, ${names.detector ?? 'the detector'} was fitted with ${text(wanted)}`,
  );
}

/** The steps in a recipe, as `fit` writes them: texts such as '32' and '24x32'. */
function preparationIn(recipe: Readonly<Record<string, unknown>>, file: string): Preparation {
  const wrong = (name: string, expected: string) =>
    new DataError(
      `${file}: at 'recipe.${name}': found ${JSON.stringify(recipe[name]).slice(0, 80)}, expected ${expected}`,
    );
  const textAt = (name: string) => {
    const value = recipe[name];
    if (value !== undefined && typeof value !== 'string') throw wrong(name, 'a text');
    return value;
  };
  const sizeAt = (name: string) => {
    const value = textAt(name);
    if (value === undefined) return undefined;
    const [, height, width = height] = /^([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?$/.exec(value) ?? [];
    if (height === undefined) throw wrong(name, 'a size in pixels such as 32 or 24x32');
    return [Number(height), Number(width)] as const;
  };
  const channels = textAt('channels');
  if (channels !== undefined && channels !== '1' && channels !== '3') throw wrong('channels', '1 or 3');
  const filter = kernels.find((name) => name === textAt('filter'));
  if (filter !== textAt('filter')) throw wrong('filter', `one of ${kernels.join(', ')}`);
  return {
    channels: channels === undefined ? undefined : channels === '1' ? 1 : 3,
    resize: sizeAt('resize'),
    filter,
    crop: sizeAt('crop'),
    pad: sizeAt('pad'),
  };
}
