// A model and a set in; its feature tables out, from disk where they were computed before.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { describeExamples, type FeatureTable, notFinite, whatIsNotFinite } from '../features/index.ts';
import { openExtractor } from '../node/defaults.ts';
import { readTable, runFeatures } from '../node/index.ts';
import type { NamedData } from '../scoring/index.ts';
import type { Model } from '../store/index.ts';
import { keyOf, VERSION } from './stages.ts';

export interface FeaturesOptions {
  readonly seed: number;
  /** As `openExtractor` takes them. */
  readonly machine: { readonly threads?: number; readonly memory?: number };
  readonly progress: (what: string) => void;
}

/**
 * One table per group size, in their order, kept in `folder`; `id` is the model's name there. Throws a DataError for
 * rows that are not finite.
 */
export async function featuresIn(
  folder: string,
  {
    model,
    id,
    set: { name, data },
    groups,
  }: {
    readonly model: Model;
    readonly id: string;
    readonly set: NamedData;
    readonly groups: readonly number[];
  },
  { seed, machine, progress }: FeaturesOptions,
): Promise<readonly FeatureTable[]> {
  const tables: FeatureTable[] = [];
  for (const group of groups) {
    const key = keyOf({ model: model.hash, data: data.fingerprint, group, seed, version: VERSION });
    const path = join(folder, `${id}-B${group}-${key}.parquet`);
    // A table beside its unfinished rows: the run was killed between the two, and takes them away.
    if (!existsSync(path) || existsSync(`${path}.partial`)) {
      const noise = noiseSeed(seed, data.fingerprint);
      // By place: published results have it so, and a seed of every set's own makes up for what is wrong with it.
      const keys = { seed: noise, noise: 'place' } as const;
      const extractor = await openExtractor(model, { group, ...keys, ...machine });
      try {
        await runFeatures({
          extractor,
          data,
          out: path,
          onProgress: (p) =>
            progress(
              `features of ${name} under ${id}, B = ${group}: ${p.done} of ${p.of}, ${p.examplesPerSecond.toFixed(0)} examples/s`,
            ),
        });
      } finally {
        await extractor.dispose();
      }
    }
    const table = await readTable(path);
    const odd = notFinite(table);
    if (odd.length > 0) {
      const which = describeExamples(table, odd);
      throw new DataError(`${path}: ${name}: ${which}: not finite: ${whatIsNotFinite(table, odd[0]!)}`);
    }
    tables.push(table);
  }
  return tables;
}

/**
 * The seed of the noise of one set's examples. Noise depends on seed and index alone, so with one seed the k-th example
 * of every set would meet the same noise, and two halves of a set would not be independent.
 */
function noiseSeed(seed: number, fingerprint: string): number {
  return Number.parseInt(fingerprintOf(`${seed} ${fingerprint}`).slice(0, 8), 16);
}
