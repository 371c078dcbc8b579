// A detector of your own, beside one of ours: the distance to the nearest row of the fit set, in log squared gradient
// norms.
//
//     npx tsx examples/node/own-detector.ts MODEL sample/fashion-mnist sample/mnist

import {
  defineDetector,
  evaluate,
  type FeatureTable,
  fitDetectors,
  loadModel,
  openData,
  openExtractor,
  readDetector,
  take,
  writeDetector,
} from 'fisher-ood';
import { z } from 'zod';

/** [n][L] log squared norms; a norm of zero counts as the smallest number of float32. */
function logNorms({ nll, names, sqNorms }: FeatureTable): number[][] {
  const logs = Array.from(sqNorms, (f) => Math.log(Math.max(f, 2 ** -149)));
  return Array.from(nll, (_, i) => logs.slice(i * names.length, (i + 1) * names.length));
}

const sqDistance = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, j) => sum + (v - b[j]!) ** 2, 0);

const nearest = defineDetector({
  name: 'nearest',
  about: 'distance to the nearest row of the fit set, in log squared gradient norms',
  // What a fit leaves is plain JSON; this checks it where it comes back from a file.
  params: z.strictObject({ rows: z.array(z.array(z.number())).min(1) }),
  fit: (table) => ({ rows: logNorms(table) }),
  // Higher = more out of distribution. Calibration, p-values and verdicts are the same for every detector.
  score: ({ rows }, table) =>
    Float64Array.from(logNorms(table), (row) => Math.sqrt(Math.min(...rows.map((fit) => sqDistance(row, fit))))),
});

const [path, ordinary, other, out = 'detector.json'] = process.argv.slice(2);
if (!path || !ordinary || !other) throw new Error('usage: own-detector.ts MODEL ORDINARY OTHER [DETECTOR.json]');
const extractor = await openExtractor(await loadModel(path), { group: 1, seed: 0 });
const tableOf = async (data: string, start: number, end: number) =>
  extractor.table(take(await openData(data), start, end));

await writeDetector(out, fitDetectors([await tableOf(ordinary, 0, 100)], { detectors: ['layer-norms', nearest] }));

const detector = await readDetector(out, [nearest]);
const tables = { inside: await tableOf(ordinary, 100, 200), outside: await tableOf(other, 0, 100) };
const rows = evaluate(detector, [tables.inside], [{ name: other, tables: [tables.outside] }], {
  seed: 0,
  detectors: ['layer-norms', nearest],
});
for (const row of rows) console.log(`${row.detector}: AUROC ${row.auroc.toFixed(3)}`);
await extractor.dispose();
