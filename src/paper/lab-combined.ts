// A model and what a detector is fitted on in; what the combined detector is made of, and its features of other sets,
// out: from disk where they were computed before.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Dataset, take } from '../data/index.ts';
import { type FeatureTable, openBasis, type PackedBasis, type PackedMetric, unpacked } from '../features/index.ts';
import { readTable, writeTable } from '../node/index.ts';
import { nodeRuntime } from '../node/runtime.ts';
import {
  type AspectsExtractor,
  aspectsOf,
  basesFrom,
  COMBINED_FORM,
  DRAWS,
  metricExamples,
  metricsFrom,
  type NamedData,
  openAspects,
  recombinedSets,
} from '../scoring/index.ts';
import type { Model } from '../store/index.ts';
import type { FeaturesOptions } from './lab-features.ts';
import { keyOf, stageIn, VERSION } from './stages.ts';

/** The parts that `fitCombinedOn` makes one after the other, each kept. */
export interface CombinedFeatures {
  /** Names of the model's aspects, of which tables have the columns; none where it has one. */
  readonly aspects: readonly string[];
  readonly noiseSamples: number;
  /** The inputs that remain for everything else once metric and directions are taken. */
  readonly rest: NamedData;
  /** Tells everything that features depend on but the set. */
  readonly key: string;
  /** Features of what the detector is fitted on. */
  fit(): Promise<FeatureTable>;
  /** Features of inputs made of these, a table for each way. */
  recombined(most?: number): Promise<readonly FeatureTable[]>;
  table(set: NamedData): Promise<FeatureTable>;
  dispose(): Promise<void>;
}

export interface Folders {
  readonly features: string;
  readonly stages: string;
}

/** `id`: the model's name in the folders. */
export async function combinedIn(
  folders: Folders,
  { model, id, fit }: { readonly model: Model; readonly id: string; readonly fit: NamedData },
  { seed, machine, progress }: FeaturesOptions,
): Promise<CombinedFeatures> {
  const count = metricExamples(fit.data.length);
  const first = take(fit.data, 0, count);
  const rest = { name: fit.name, data: take(fit.data, count, fit.data.length) };
  const how = { runtime: nodeRuntime(), seed, ...machine };
  const metrics = await stageIn<readonly PackedMetric[]>(
    folders.stages,
    { name: `metric-${id}`, key: { model: model.hash, data: first.fingerprint, seed, form: COMBINED_FORM }, progress },
    () => metricsFrom(model, first, how),
  );
  const bases = await stageIn<readonly PackedBasis[]>(
    folders.stages,
    { name: `basis-${id}`, key: { model: model.hash, data: first.fingerprint, seed }, progress },
    async () => (await basesFrom(model, first, how)).bases,
  );
  const measures = [...metrics, ...bases].map(({ hash }) => hash);
  const key = keyOf({ model: model.hash, measures, seed, draws: DRAWS });

  let opened: Promise<AspectsExtractor> | undefined;
  const open = () => {
    const roots = metrics.map((metric) => unpacked(metric, id));
    const directions = bases.map((basis) => openBasis(basis, id));
    opened ??= openAspects(model, { ...how, noiseSamples: DRAWS }, roots, directions);
    return opened;
  };
  /** Whole or not at all: a table takes minutes at most. */
  const table = async ({ name, data }: NamedData): Promise<FeatureTable> => {
    const path = join(folders.features, `${id}-views-${keyOf([key, data.fingerprint, VERSION])}.parquet`);
    if (!existsSync(path)) {
      const extractor = await open();
      await writeTable(path, await timed(extractor, data, `views of ${name} under ${id}`));
    }
    return readTable(path);
  };
  const timed = (extractor: AspectsExtractor, data: Dataset, what: string) => {
    const began = performance.now();
    return extractor.table(data, {}, (done, of) => {
      const speed = ((1000 * done) / (performance.now() - began)).toFixed(0);
      progress(`${what}: ${done} of ${of}, ${speed} examples/s`);
    });
  };
  return {
    aspects: aspectsOf(model),
    noiseSamples: DRAWS,
    rest,
    key,
    fit: () => table(rest),
    recombined: async (most) => {
      const tables: FeatureTable[] = [];
      for (const { name, data } of await recombinedSets(rest.data, seed, most)) {
        tables.push(await table({ name: `${rest.name}, ${name}`, data }));
      }
      return tables;
    },
    table,
    dispose: async () => (await opened)?.dispose(),
  };
}
