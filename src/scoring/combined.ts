// A model and data in; the combined detector of both, and the features of single inputs that it judges, out.

import { type Dataset, take } from '../data/index.ts';
import { recombinationsFor, recombined } from '../data/recombine.ts';
import { defined, filled } from '../defined.ts';
import {
  basesOf,
  type CombinedFile,
  type DetectorFile,
  fitCombined,
  metricsOf,
  storeCombined,
} from '../detectors/index.ts';
import { DataError, FisherError, UsageError } from '../errors.ts';
import {
  asModelTakes,
  concatTables,
  describeExamples,
  type ExtractorOptions,
  type FeatureTable,
  finiteRows,
  notFinite,
  notFiniteCure,
  openBasis,
  rowsOf,
  sliceTable,
  unpacked,
  whatIsNotFinite,
} from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { type AspectsExtractor, openAspects } from './aspects.ts';
import { broughtTo, openSize } from './sizes.ts';
import { checkFeatureArguments, type FittingOptions, type NamedData, timed } from './tables.ts';
import { basesFrom, metricExamples, metricsFrom, oddInputs, withoutExamples } from './to-fit.ts';

/** Draws of a model's noise that the combined detector's features are means over, where it has any. */
export const DRAWS = 2;
/** Recombined inputs of each kind. */
const RECOMBINED = 120;
/** Fewest inputs to fit on, those for the metric included. */
const LEAST_COMBINED = 30;

/** Whether there are inputs enough; else the reason, as a message has it. */
const combinedLacks = ({ name, length }: Pick<Dataset, 'name' | 'length'>): string | undefined =>
  length < LEAST_COMBINED ? `${name} has ${length} inputs, and at least ${LEAST_COMBINED} are needed` : undefined;

/**
 * Fits the combined detector: the metric and the basis of the activations on the first quarter of the data, 400 inputs
 * at most, everything else on the rest and on recombined inputs made of it. Throws a DataError for fewer than thirty
 * inputs, and for one whose features are not finite unless it may be left out.
 */
export async function fitCombinedOn(
  model: ScoringModel,
  set: NamedData,
  options: FittingOptions,
): Promise<CombinedFile> {
  checkFeatureArguments('fitCombinedOn', model, { set }, options);
  const { runtime, seed, memory, threads, batch, noise, prepared } = options;
  const data = asModelTakes(model, set.data, options);
  const lacking = combinedLacks({ name: set.name, length: data.length });
  if (lacking !== undefined) throw new DataError(`the combined detector: ${lacking}`);
  const count = metricExamples(data.length);
  const first = take(data, 0, count);
  const odd = oddInputs(options);
  const how = { runtime, seed, ...defined({ memory, threads, prepared }) };
  const show = (name: string, of: number) => {
    const began = performance.now();
    return (done: number) => {
      const examplesPerSecond = (done / (performance.now() - began)) * 1000;
      options.onProgress?.({ name, group: 1, done, of, examplesPerSecond });
    };
  };
  const { onNotFinite } = odd;
  const metrics = await metricsFrom(model, first, { ...how, onNotFinite, form: options.metricForm }, (aspect) =>
    show(`${set.name}, metric${aspect === '' ? '' : ` of ${aspect}`}`, count),
  );
  const finite = withoutExamples(first, odd.all());
  const { bases, lacking: noActivations } = await basesFrom(model, finite.data, {
    ...how,
    onNotFinite: onNotFinite && ((example) => onNotFinite(finite.indices[example]!)),
  });
  const extractor = await openAspects(
    model,
    { ...how, ...defined({ batch, noise }), noiseSamples: options.noiseSamples ?? DRAWS },
    metrics.map((metric) => unpacked(metric, set.name)),
    bases.map((basis) => openBasis(basis, set.name)),
  );
  try {
    const rest = take(data, count, data.length);
    const table = await timed(extractor, { name: set.name, data: rest }, options);
    const marked = notFinite(table);
    if (marked.length > 0 && !onNotFinite) throw notFiniteError(set.name, table, marked, count);
    for (const i of marked) onNotFinite?.(count + i);
    const made = await recombinedFeatures(extractor, set.name, withoutExamples(rest, marked).data, options);
    const none = made.length === 0 ? 'such inputs cannot be recombined' : undefined;
    const detector = fitCombined(
      finiteRows(table),
      made.map(({ table: one }) => one),
      {
        groups: options.groups,
        seed,
        aspects: aspectsOf(model),
        reasons: { contrast: none, activations: noActivations },
      },
    );
    const size = openSize(model, data, { prepared: true });
    const leftOutRecombined = countsOf(made);
    const found = {
      ...(bases.length > 0 ? { bases } : {}),
      ...(extractor.noiseSamples > 1 ? { noiseSamples: extractor.noiseSamples } : {}),
      ...defined({ size, leftOutRecombined }),
      ...filled({ leftOut: odd.all() }),
    };
    return { metrics, ...found, detector: storeCombined(detector) };
  } finally {
    await extractor.dispose();
  }
}

/** Of inputs recombined in one way. */
interface RecombinedFeatures {
  readonly kind: string;
  readonly table: FeatureTable;
}

async function recombinedFeatures(
  extractor: AspectsExtractor,
  name: string,
  data: Dataset,
  options: FittingOptions,
): Promise<readonly RecombinedFeatures[]> {
  const made: RecombinedFeatures[] = [];
  for (const { name: kind, data: set } of await recombinedSets(data, options.seed)) {
    made.push({ kind, table: await timed(extractor, { name: `${name}, ${kind}`, data: set }, options) });
  }
  return made;
}

/** How many of each kind are not finite; undefined where all are. */
function countsOf(made: readonly RecombinedFeatures[]): Readonly<Record<string, number>> | undefined {
  const counts = made.map(({ kind, table }) => [kind, notFinite(table).length] as const).filter(([, n]) => n > 0);
  return counts.length === 0 ? undefined : Object.fromEntries(counts);
}

/** `rows` of a table whose first example is example `start` of the fit data. */
function notFiniteError(name: string, table: FeatureTable, rows: readonly number[], start: number): DataError {
  const which = describeExamples({ ...table, meta: { ...table.meta, start } }, rows);
  const what = whatIsNotFinite(table, rows[0]!);
  return new DataError(`${name}: ${which}: not finite: ${what}; ${notFiniteCure}`);
}

/** The combined detector of a model and data, or why there is none. */
export type CombinedOrReason =
  | { readonly combined: CombinedFile; readonly lacking?: undefined }
  | { readonly combined?: undefined; readonly lacking: string };

/**
 * As `fitCombinedOn`; where that cannot be, the reason, as a message has it: other detectors do not need what it needs,
 * which is inputs enough, whole gradients that are finite, features that vary.
 */
export async function fitCombinedWherePossible(
  model: ScoringModel,
  set: NamedData,
  options: FittingOptions,
): Promise<CombinedOrReason> {
  checkFeatureArguments('fitCombinedWherePossible', model, { set }, options);
  const lacking = combinedLacks({ name: set.name, length: set.data.length });
  if (lacking !== undefined) return { lacking };
  try {
    return { combined: await fitCombinedOn(model, set, options) };
  } catch (error) {
    if (!(error instanceof FisherError) || error instanceof UsageError) throw error;
    return { lacking: error.message };
  }
}

/** What the combined detector's contrast is fitted against: inputs made of these, a set for each way. */
export async function recombinedSets(
  data: Dataset,
  seed: number,
  most: number = RECOMBINED,
): Promise<readonly NamedData[]> {
  const kinds = await recombinationsFor(data);
  const count = Math.min(most, data.length);
  return kinds.map(({ name }) => ({ name, data: recombined(data, name, { count, seed }) }));
}

/** As `fitCombined` takes the names of a model's aspects. */
export function aspectsOf(model: ScoringModel): readonly string[] {
  const names = Object.keys(model.aspects?.() ?? {});
  return names.length === 1 ? [] : names;
}

/** What gives the features that a file's combined detector judges. */
export async function combinedExtractor(
  model: ScoringModel,
  file: DetectorFile,
  options: Omit<ExtractorOptions, 'group' | 'views' | 'metric' | 'basis' | 'noiseSamples' | 'seed' | 'noise'>,
): Promise<AspectsExtractor> {
  const { combined, seed, noise = 'place' as const } = file;
  const metrics = metricsOf(file); // refuses a file without
  const { noiseSamples = 1, size } = combined!;
  const extractor = await openAspects(model, { ...options, seed, noise, noiseSamples }, metrics, basesOf(file));
  return size === undefined ? extractor : broughtTo(size, extractor, model, options);
}

/** The same rows in tables that each hold whole groups of B; what fills none at the end is left out. */
export async function* inWholeGroups(tables: AsyncIterable<FeatureTable>, B: number): AsyncIterable<FeatureTable> {
  let rest: FeatureTable | undefined;
  for await (const table of tables) {
    const all = rest ? concatTables([rest, table]) : table;
    const n = rowsOf(all);
    const whole = Math.floor(n / B) * B;
    if (whole > 0) yield sliceTable(all, 0, whole);
    rest = whole < n ? sliceTable(all, whole, n) : undefined;
  }
}
