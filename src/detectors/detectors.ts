// The table of all detectors by name: a feature table in, fitted parameters out; those and another table in, scores
// out.

import { UsageError } from '../errors.ts';
import { type Chi2Params, chi2 } from './chi2.ts';
import type { Detector } from './detector.ts';
import { type ForestParams, isolationForest } from './forest.ts';
import { fisher, layerNorms, type NormalParams } from './normal.ts';
import { likelihood, type NoParams, type TypicalityParams, totalNorm, typicality } from './scalar.ts';
import { oneClassSvm, type SvmParams } from './svm.ts';

/** What each detector's fit leaves. A new detector is a line here and a line below. */
export interface DetectorParams {
  readonly 'layer-norms': NormalParams;
  readonly likelihood: NoParams;
  readonly typicality: TypicalityParams;
  readonly 'total-norm': NoParams;
  readonly chi2: Chi2Params;
  readonly fisher: NormalParams;
  readonly 'one-class-svm': SvmParams;
  readonly 'isolation-forest': ForestParams;
}

/** The name of a detector of ours, as in files and on the command line. */
export type DetectorName = keyof DetectorParams;

/** One of ours by its name, or a detector itself: one of ours with options, or one of your own. */
export type DetectorChoice = DetectorName | Detector<object>;

/** In the order of reports: the method, the baselines, the variants. */
export const detectors: { readonly [K in DetectorName]: Detector<DetectorParams[K]> } = {
  'layer-norms': layerNorms,
  likelihood,
  typicality,
  'total-norm': totalNorm,
  chi2,
  fisher,
  'one-class-svm': oneClassSvm(),
  'isolation-forest': isolationForest(),
};

/** The names of our detectors, in the order of reports. */
export const detectorNames = Object.keys(detectors) as readonly DetectorName[];

/** `name` as a detector's name. Throws a UsageError that lists the known ones. */
export function detectorNamed(name: string): DetectorName {
  if (Object.hasOwn(detectors, name)) return name as DetectorName;
  throw new UsageError(`no detector is named '${name}', expected one of ${detectorNames.join(', ')}`);
}

/**
 * The detectors themselves: ours in the order of `detectorNames`, then those of others. Throws a UsageError where two
 * have one name.
 */
export function resolved(choice: readonly DetectorChoice[]): readonly Detector<object>[] {
  const all = choice.map((one): Detector<object> => (typeof one === 'string' ? detectors[detectorNamed(one)] : one));
  const twice = all.find(({ name }, i) => all.findIndex((other) => other.name === name) < i);
  if (twice) throw new UsageError(`two detectors are named '${twice.name}', expected a name of its own for each`);
  const place = ({ name }: Detector<object>) => {
    const at = (detectorNames as readonly string[]).indexOf(name);
    return at < 0 ? detectorNames.length : at;
  };
  return all.toSorted((a, b) => place(a) - place(b));
}
