// The detectors of this package, as the comparison of rivals asks for them: the combined ones, the paper's, and
// typicality.

import { defined } from '../../src/defined.ts';
import { columnMeans } from '../../src/densities/rows.ts';
import { combinedKinds, combinedOf, fitDetectors, scoreCombined, scoreTable } from '../../src/detectors/index.ts';
import { ModelError } from '../../src/errors.ts';
import {
  type Extractor,
  type FeatureTable,
  normGraph,
  notFinite,
  openBasis,
  openExtractor,
  splitLoss,
  unpacked,
} from '../../src/features/index.ts';
import { openAspects } from '../../src/scoring/aspects.ts';
import { fitCombinedWherePossible } from '../../src/scoring/combined.ts';
import { openForward } from './forward.ts';
import { type Context, groupMeans, type Method } from './method.ts';

/** All views of one backward pass, calibrated; and the same without the likelihood. */
export const combined: Method = {
  names: combinedKinds,
  source: 'ours',
  async fit({ model, runtime, fit, groups, seed, threads }) {
    const how = { runtime, seed, ...defined({ threads }) };
    const found = await fitCombinedWherePossible(model, { name: fit.name, data: fit }, { ...how, groups });
    if (!found.combined) throw new ModelError(found.lacking);
    const file = found.combined;
    const { metrics, bases, noiseSamples } = file;
    const extractor = await openAspects(
      model,
      { ...how, ...defined({ noiseSamples }) },
      metrics.map((metric) => unpacked(metric, fit.name)),
      bases?.map((basis) => openBasis(basis, fit.name)),
    );
    const open = combinedOf({ combined: file, names: normGraph(model.loss()).names });
    return {
      measure: async (data) => {
        const table = finite(await extractor.table(data));
        return (B) => Object.fromEntries(combinedKinds.map((kind) => [kind, scoreCombined(open, table, B, kind)]));
      },
      dispose: () => extractor.dispose(),
    };
  },
};

/** Independent normals on the logarithms of the layers' squared norms, of the summed gradient for groups. */
export const layerNorms: Method = {
  names: ['layer-norms'],
  source: 'Dauncey et al. 2024',
  async fit({ model, runtime, fit, groups, seed, threads }) {
    const extractors = new Map<number, Extractor>();
    for (const group of groups) {
      extractors.set(group, await openExtractor(model, { runtime, seed, group, ...defined({ threads }) }));
    }
    const tables: FeatureTable[] = [];
    for (const extractor of extractors.values()) tables.push(finite(await extractor.table(fit)));
    const file = fitDetectors(tables, { detectors: ['layer-norms'] });
    return {
      measure: async (data) => {
        const singles = finite(await extractors.get(1)!.table(data));
        return async (B) => {
          const table = B === 1 ? singles : finite(await extractors.get(B)!.table(data));
          return { 'layer-norms': scoreTable(file, table, ['layer-norms'])[0]!.scores };
        };
      },
      dispose: async () => {
        for (const extractor of extractors.values()) await extractor.dispose();
      },
    };
  },
};

/** |mean nll of the group − mean nll of the fit set|. */
export const typicality: Method = {
  names: ['typicality'],
  source: 'Nalisnick et al. 2019',
  async fit(context) {
    const { forward, nll } = openNll(context);
    const [entropy] = columnMeans(await forward.rows(context.fit));
    return {
      measure: async (data) => {
        const singles = await nll(data);
        return (B) => ({ typicality: groupMeans(singles, B).map((mean) => Math.abs(mean - entropy!)) });
      },
      dispose: () => forward.dispose(),
    };
  },
};

/** The model's loss alone, in nats. */
export function openNll(context: Context) {
  const { nll } = splitLoss(context.model);
  const forward = openForward(context, nll, [nll]);
  return { forward, nll: async (data: Context['fit']) => (await forward.rows(data)).data };
}

/**
 * Throws a ModelError where an input's features are not numbers: figures of the others alone would be of another set.
 */
function finite(table: FeatureTable): FeatureTable {
  const [odd] = notFinite(table);
  if (odd === undefined) return table;
  throw new ModelError(`${table.meta.data}: the norms of input ${odd} are not finite`);
}
