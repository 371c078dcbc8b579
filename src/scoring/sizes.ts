// Features of inputs of any size, of a model that leaves it open, in; the same as of inputs of one size out.

import type { Dataset } from '../data/index.ts';
import { asModelTakes, type FeatureTable, type InputOptions } from '../features/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { AspectsExtractor } from './aspects.ts';

/** Numbers in the largest input of an example; undefined for a model whose inputs have one size. */
export function openSize(model: ScoringModel, data: Dataset, options: InputOptions): number | undefined {
  if (!model.at) return undefined;
  const { shapes } = asModelTakes(model, data, options);
  return Math.max(...Object.keys(model.inputs).map((name) => sizeOf(shapes[name]!)));
}

/**
 * Tables as of inputs with `size` numbers. A loss is a sum over tokens or places and grows with their number, and so do
 * ⟨θ, ∇ℓ⟩ and, since what is left of the gradient after training are contributions that point anywhere, its squared
 * norm: all of them are multiplied by the ratio of the sizes. Activations are means over places already.
 */
export function broughtTo(
  size: number,
  extractor: AspectsExtractor,
  model: ScoringModel,
  options: InputOptions,
): AspectsExtractor {
  const scaled = (data: Dataset) => {
    const ratio = size / openSize(model, data, options)!;
    if (ratio === 1) return (table: FeatureTable) => table;
    const times = (values: Float64Array) => values.map((v) => ratio * v);
    return (table: FeatureTable): FeatureTable => ({
      ...table,
      nll: times(table.nll),
      sqNorms: times(table.sqNorms),
      views: Object.fromEntries(
        Object.entries(table.views ?? {}).map(([view, values]) => [
          view,
          view === 'activations' ? values : times(values),
        ]),
      ),
    });
  };
  return {
    ...extractor,
    async *tables(data, rows) {
      const of = scaled(data);
      for await (const table of extractor.tables(data, rows)) yield of(table);
    },
    table: async (data, rows, onProgress) => scaled(data)(await extractor.table(data, rows, onProgress)),
  };
}
