// A comparison in, what the HTML report shows of it out.

import { defined } from '../defined.ts';
import { finiteRows } from '../features/index.ts';
import { mainDetector, scoresOf } from '../report/content.ts';
import type { ImageTile, ReportContent, ReportSet } from '../report/index.ts';
import type { Comparison, SetFeatures } from '../scoring/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** How many of the most and of the least surprising images of each set are shown. */
const TILES = 12;

/** What draws a report: hundreds of files, which a program that draws nothing need not open. */
export const figures = () => import('../report/index.ts');

export async function reportOf(
  model: ScoringModel,
  comparison: Comparison,
  title: string,
  command: string,
): Promise<ReportContent> {
  const { detector, rows, inSet, oodSets } = comparison;
  const numbers = inSet.tables[0]?.dims?.reduce((sum, d) => sum + d, 0) ?? 0;
  return {
    title,
    facts: [
      ['Model', model.about],
      ['Parameters', `${numbers.toLocaleString('en')} in ${inSet.tables[0]?.names.length} tensors`],
      ['Detectors fitted on', detector.groups.map((g) => `${g.n} groups of ${g.group}`).join(', ')],
      ['Seed', String(detector.seed)],
      ['Command', command],
    ],
    detector,
    rows,
    inSet: await reportSet(comparison, inSet),
    oodSets: await Promise.all(oodSets.map((set) => reportSet(comparison, set))),
  };
}

async function reportSet(comparison: Comparison, set: SetFeatures): Promise<ReportSet> {
  const { name, data } = set;
  const singles = defined({ singles: set.singles && finiteRows(set.singles) });
  const tables = set.tables.map(finiteRows);
  const table = set.tables.find((t) => t.group === 1);
  const { detector } = comparison;
  const scores = scoresOf(
    detector,
    { name, tables: set.tables, ...defined({ singles: set.singles }) },
    1,
    mainDetector(detector),
  );
  const [c, , w] = data.shapes.x ?? [];
  if (!table || !scores || !w || (c !== 1 && c !== 3)) return { name, tables, ...singles };
  const ranked = [...scores.keys()].filter((row) => !Number.isNaN(scores[row]));
  const order = ranked.sort((a, b) => scores[b]! - scores[a]!);
  const tiles = async (rows: readonly number[]): Promise<ImageTile[]> => {
    const { arrays } = await data.gather(rows.map((row) => table.meta.start + row));
    const { data: pixels, shape } = arrays.x!;
    const size = sizeOf(shape.slice(1));
    return rows.map((row, i) => ({
      data: pixels.subarray(i * size, (i + 1) * size) as Float32Array,
      shape: shape.slice(1),
      score: scores[row]!,
      note: `example ${table.meta.start + row}`,
    }));
  };
  const most = await tiles(order.slice(0, TILES));
  const least = await tiles(order.slice(-TILES).reverse());
  return { name, tables, ...singles, images: { most, least } };
}
