// A model that can be scored in several ways in; one extractor of the features of all of them, column by column, out.

import type { Dataset } from '../data/index.ts';
import { defined } from '../defined.ts';
import { namesOf } from '../detectors/index.ts';
import { ModelError } from '../errors.ts';
import {
  type ActivationBasis,
  concatTables,
  type Extractor,
  type ExtractorOptions,
  type FeatureTable,
  type Metric,
  openExtractor,
  type Rows,
  rowsOf,
  sliceTable,
} from '../features/index.ts';
import { host } from '../host.ts';
import type { ScoringModel } from '../store/index.ts';

/** What gives tables of single inputs with the views of the combined detector. */
export type AspectsExtractor = Pick<Extractor, 'group' | 'noiseSamples' | 'tables' | 'table' | 'dispose'>;

type Options = Omit<ExtractorOptions, 'group' | 'views' | 'metric' | 'basis'>;

/**
 * Opens the model, or each of its aspects, with the metric of each, and with the basis of each where the detector looks
 * at activations. The tables of several have the columns of one after
 * the other, and the loss of each as a part.
 */
export async function openAspects(
  model: ScoringModel,
  options: Options,
  metrics: readonly Metric[],
  bases: readonly ActivationBasis[] = [],
): Promise<AspectsExtractor> {
  const open = (one: ScoringModel, metric: Metric, basis: ActivationBasis | undefined) =>
    openExtractor(one, {
      ...options,
      group: 1,
      views: ['radial', 'fisher', ...(basis ? (['activations'] as const) : [])],
      metric,
      ...defined({ basis }),
    });
  const aspects = model.aspects?.();
  if (!aspects || metrics.length === 1) return open(model, metrics[0]!, bases[0]); // or of before it had aspects
  const names = Object.keys(aspects);
  if (names.length !== metrics.length) {
    throw new ModelError(`${model.about}: has ${names.length} aspects, the detector ${metrics.length}`);
  }
  const extractors: Extractor[] = [];
  for (const [k, name] of names.entries()) {
    extractors.push(await open(aspects[name]!, metrics[k]!, bases[k]));
  }
  async function* tables(data: Dataset, rows: Rows = {}): AsyncIterable<FeatureTable> {
    const all = extractors.map((one) => one.tables(data, rows)[Symbol.asyncIterator]());
    // What has come of each: runs of one aspect need not be as long as those of another.
    let waiting: (FeatureTable | undefined)[] = all.map(() => undefined);
    for (;;) {
      for (const [k, one] of all.entries()) waiting[k] ??= (await one.next()).value;
      const parts = waiting.flatMap((part) => part ?? []);
      if (parts.length < all.length) return;
      const n = Math.min(...parts.map(rowsOf));
      yield sideBySide(
        model,
        names,
        parts.map((part) => sliceTable(part, 0, n)),
      );
      waiting = parts.map((part) => (rowsOf(part) > n ? sliceTable(part, n, rowsOf(part)) : undefined));
    }
  }
  return {
    group: 1,
    noiseSamples: extractors[0]!.noiseSamples,
    tables,
    async table(data, rows = {}, onProgress) {
      const { start = 0, end = data.length } = rows;
      const parts: FeatureTable[] = [];
      for await (const part of tables(data, rows)) {
        parts.push(part);
        onProgress?.(part.meta.start + part.nll.length - start, end - start);
      }
      return concatTables(parts);
    },
    async dispose() {
      for (const one of extractors) await one.dispose();
    },
  };
}

/** The columns of tables of the same examples, one after the other. */
function sideBySide(model: ScoringModel, names: readonly string[], parts: readonly FeatureTable[]): FeatureTable {
  const [first] = parts as [FeatureTable];
  const n = first.nll.length;
  const odd = parts.find((part) => part.names.join() !== first.names.join());
  if (odd) throw new ModelError(`${model.about}: its aspects have other layers`);
  const joined = (of: (part: FeatureTable) => Float64Array) => {
    const all = parts.map(of);
    const width = all[0]!.length / n;
    const out = new Float64Array(n * width * all.length);
    for (let i = 0; i < n; i++) {
      for (const [k, values] of all.entries()) {
        out.set(values.subarray(i * width, (i + 1) * width), (i * all.length + k) * width);
      }
    }
    return out;
  };
  const { dims: _, ...head } = first;
  const hashOf = (hashes: readonly (string | undefined)[]) => host().sha256().update(hashes.join()).digest();
  const isActive = first.views?.activations !== undefined;
  const { columns: _own, ...meta } = first.meta;
  const directions = parts.flatMap((part, k) =>
    (part.meta.columns?.activations ?? []).map((direction) => `${names[k]} ${direction}`),
  );
  return {
    ...head,
    names: namesOf(names, first.names),
    meta: {
      ...meta,
      model: model.hash,
      views: ['radial', 'fisher', 'parts', ...(isActive ? (['activations'] as const) : [])],
      columns: { parts: names, ...(isActive ? { activations: directions } : {}) },
      metric: hashOf(parts.map((part) => part.meta.metric)),
      ...(isActive ? { basis: hashOf(parts.map((part) => part.meta.basis)) } : {}),
    },
    sqNorms: joined(({ sqNorms }) => sqNorms),
    views: {
      radial: joined(({ views }) => views!.radial!),
      fisher: joined(({ views }) => views!.fisher!),
      parts: joined(({ nll }) => nll),
      ...(isActive ? { activations: joined(({ views }) => views!.activations!) } : {}),
    },
  };
}
