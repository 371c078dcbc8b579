// npm run calibration -- MODEL --data DATA [--fit N] [--fresh N] [--splits S] [--apart N]: a model and in-distribution
// data in; how often the combined detector calls inputs of the same data out, over random halves that it is fitted on
// and judges, out.

import { parseArgs } from 'node:util';
import { openModel } from '../src/cli/models.ts';
import { take } from '../src/data/index.ts';
import { defined } from '../src/defined.ts';
import { combinedPValues, fitCombined, inputsForGroups, scoreCombined } from '../src/detectors/index.ts';
import { UsageError } from '../src/errors.ts';
import { alignColumns } from '../src/eval/index.ts';
import { asModelTakes, type FeatureTable, openBasis, unpacked } from '../src/features/index.ts';
import { pickRows } from '../src/features/table.ts';
import { openData } from '../src/node/index.ts';
import { nodeRuntime } from '../src/node/runtime.ts';
import { aspectsOf, basesFrom, DRAWS, metricsFrom, openAspects, recombinedSets } from '../src/scoring/index.ts';
import { RandomStream } from '../src/tensor/random.ts';
import { runMain, wholeOf } from './main.ts';

const GROUPS = [1, 5, 20];
const RATES = [0.05, 0.01, 0.001];
const USAGE =
  'usage: npm run calibration -- MODEL --data DATA [--fit N] [--fresh N] [--splits S] [--apart N] [--seed S] [--threads N]';

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      fit: { type: 'string', default: '1000' },
      fresh: { type: 'string', default: '1000' },
      // for the metric and for what is recombined, which no split has
      apart: { type: 'string', default: '400' },
      splits: { type: 'string', default: '10' },
      seed: { type: 'string', default: '0' },
      threads: { type: 'string' },
    },
  });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0 || !values.data) {
    throw new UsageError(USAGE);
  }
  const whole = (name: 'fit' | 'fresh' | 'splits' | 'apart' | 'seed' | 'threads', least: number) =>
    wholeOf(values, name, least);
  const [fit, fresh, splits, seed] = [whole('fit', 20)!, whole('fresh', 20)!, whole('splits', 1)!, whole('seed', 0)!];
  const apart = whole('apart', 5)!;
  const sizes = GROUPS.filter((B) => fit >= inputsForGroups(B));
  const model = await openModel(path);
  const [like] = Object.values(model.inputs);
  const data = asModelTakes(model, await openData(values.data, { like: like!, seed }));
  if (data.length < apart + fit + fresh) {
    throw new UsageError(
      `${data.name}: has ${data.length} inputs, expected ${apart} for the metric, ${fit} to fit on and ${fresh} to judge`,
    );
  }
  const { pool, others, aspects } = await featuresOf(take(data, 0, apart + fit + fresh));
  const counts = new Map<string, number[]>();
  for (let split = 0; split < splits; split++) {
    const order = new RandomStream(seed, 'splits').permutation(split, fit + fresh);
    const detector = fitCombined(pickRows(pool, order.subarray(0, fit)), others, {
      groups: sizes,
      seed: split,
      aspects,
    });
    const judged = pickRows(pool, order.subarray(fit));
    for (const B of sizes) {
      const p = combinedPValues(detector, scoreCombined(detector, judged, B, 'combined'), B, 'combined');
      for (const rate of RATES) {
        const key = `${B} ${rate}`;
        counts.set(key, [...(counts.get(key) ?? []), p.filter((value) => value <= rate).length]);
      }
    }
    process.stderr.write(`split ${split + 1} of ${splits}\n`);
  }
  const lines = sizes.flatMap((B) =>
    RATES.map((rate) => {
      const found = counts.get(`${B} ${rate}`)!;
      const n = Math.floor(fresh / B);
      const [low, high] = binomialInterval(n, rate);
      const mean = found.reduce((sum, k) => sum + k, 0) / splits / n;
      const inside = found.filter((k) => k >= low && k <= high).length;
      const span = `${Math.min(...found)} to ${Math.max(...found)}`;
      return [
        String(B),
        String(rate),
        mean.toFixed(4),
        `${span} of ${n}`,
        `${low} to ${high}`,
        `${inside} of ${splits}`,
      ];
    }),
  );
  const head = ['B', 'asked for', 'mean rate', 'found in a split', '95 % of the binomial', 'inside it'];
  process.stdout.write(
    `${model.about}, ${data.name}: ${splits} random splits, ${fit} inputs to fit on, ${fresh} judged\n\n`,
  );
  process.stdout.write(`${alignColumns([head, ...lines])}\n`);

  /** Features of single inputs that splits are made of, and of recombined ones, all by the same metric. */
  async function featuresOf(all: typeof data) {
    const runtime = nodeRuntime();
    const how = { runtime, seed, ...defined({ threads: whole('threads', 1) }) };
    const first = take(all, 0, apart);
    const metrics = (await metricsFrom(model, first, how)).map((metric) => unpacked(metric, all.name));
    const bases = (await basesFrom(model, first, how)).bases.map((basis) => openBasis(basis, all.name));
    const extractor = await openAspects(model, { ...how, noiseSamples: DRAWS }, metrics, bases);
    try {
      const others: FeatureTable[] = [];
      for (const { data: made } of await recombinedSets(first, seed)) others.push(await extractor.table(made));
      const pool = await extractor.table(take(all, apart, all.length), {}, (done, of) => {
        if (done % 320 === 0) process.stderr.write(`features ${done} of ${of}\n`);
      });
      return { pool, others, aspects: aspectsOf(model) };
    } finally {
      await extractor.dispose();
    }
  }
}

/**
 * The counts between which a binomial of n trials lies with 95 %: at most 2.5 % below the first, and above the last.
 */
function binomialInterval(n: number, rate: number): [number, number] {
  let [below, chance, low, k] = [0, (1 - rate) ** n, 0, 0];
  for (;;) {
    if (below + chance <= 0.025) low = k + 1;
    below += chance;
    if (below >= 0.975) return [low, k];
    chance *= ((n - k) / (k + 1)) * (rate / (1 - rate));
    k++;
  }
}

await runMain(main, USAGE);
