// Density of states: how unusual several statistics of the model are, each by itself.
//
// Morningstar, Ham, Gallagher, Lakshminarayanan, Alemi & Dillon, "Density of states estimation for out-of-distribution
// detection", AISTATS 2021: −Σ_k ln p̂_k(T_k(x)), p̂_k a kernel density of statistic k over in-distribution inputs
// (their DoSE-KDE). Their statistics are those a family has: the likelihood and its terms. Ours are the loss, its
// parts, and the sums of parts that differ in place alone, such as a VAE's reconstruction.

import type { Dataset } from '../../src/data/index.ts';
import type { Rows } from '../../src/densities/rows.ts';
import { splitLoss } from '../../src/features/index.ts';
import type { Value } from '../../src/graph/index.ts';
import { add, reshape, slice } from '../../src/ops/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { openForward } from './forward.ts';
import { fitKde, logDensity } from './kde.ts';
import { bySingles, type Method } from './method.ts';

export const dose: Method = {
  names: ['dose'],
  source: 'Morningstar et al. 2021',
  async fit(context) {
    const { nll, values } = statisticsOf(context.model);
    const forward = openForward(context, nll, values);
    const kdes = columns(await forward.rows(context.fit)).map(fitKde);
    const score = async (data: Dataset) => {
      const found = columns(await forward.rows(data));
      const dose = new Float64Array(data.length);
      for (const [k, kde] of kdes.entries()) for (const [i, v] of found[k]!.entries()) dose[i]! -= logDensity(kde, v);
      return { dose };
    };
    return bySingles(score, () => forward.dispose());
  },
};

/** The loss, and statistics of one element each: sums over places by the name before the bracket, then every part. */
export function statisticsOf(model: ScoringModel): {
  readonly nll: Value;
  readonly names: readonly string[];
  readonly values: readonly Value[];
} {
  const { nll, parts } = splitLoss(model);
  const single = new Map<string, Value>();
  const totals = new Map<string, Value[]>();
  for (const { names, value } of parts()) {
    for (const [k, name] of names.entries()) {
      const one = reshape(slice(value, 0, k, k + 1), []);
      const stem = name.replace(/\[[^[\]]*\]$/, '');
      single.set(name, one);
      totals.set(stem, [...(totals.get(stem) ?? []), one]);
    }
  }
  // A total of everything is the loss; one of a single part is that part.
  const sums = [...totals].filter(([, ones]) => ones.length > 1 && totals.size > 1);
  const all: [string, Value][] = [
    ['loss', nll],
    ...sums.map(([stem, ones]): [string, Value] => [stem, ones.reduce((a, b) => add(a, b))]),
    ...single,
  ];
  return { nll, names: all.map(([name]) => name), values: all.map(([, value]) => value) };
}

const columns = ({ n, p, data }: Rows): Float64Array[] =>
  Array.from({ length: p }, (_, k) => Float64Array.from({ length: n }, (__, i) => data[i * p + k]!));
