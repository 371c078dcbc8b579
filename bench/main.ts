// npm run bench: examples/s of the forward pass, of squared norms and of training steps, interleaved in one run, and
// what share of the machine's own peak they reach.

import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/eval/index.ts';
import { type Case, measure, median, type Prepared, prepare, trainingPart } from './cases.ts';
import { openPeak } from './peak.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    models: { type: 'string', default: 'glow,vae,ddpm' },
    batches: { type: 'string', default: '1,8,64' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string' }, // left out: as many as the runtime takes by itself
  },
});

/** The time of norms with every view over that of norms alone; of the fastest runs, as a busy machine makes others. */
const views: { model: string; batch: number; ratio: number }[] = [];
const results: (Case & {
  examplesPerSecond: number;
  gflops: number;
  peakBytes: number;
  compileSeconds: number;
  openSeconds: number;
})[] = [];
const threads = values.threads === undefined ? undefined : Number(values.threads);
const peak = await openPeak(threads);
for (const model of values.models.split(',')) {
  for (const n of values.batches.split(',').map(Number)) {
    const cases: Case[] = [
      { model, what: 'forward', batch: n, group: 1 },
      { model, what: 'norms', batch: n, group: 1 },
    ];
    cases.push({ model, what: 'views', batch: n, group: 1 });
    if (!model.endsWith('.onnx')) cases.push({ model, what: 'train', batch: n, group: trainingPart(model, n) });
    if (n >= 5) cases.push({ model, what: 'norms', batch: n - (n % 5), group: 5 });
    const prepared: Prepared[] = [];
    for (const c of cases) prepared.push(await prepare(c, threads));
    await measure(prepared, Number(values.rounds), () => peak.run());
    const fastest = (what: Case['what']) => Math.min(...prepared.find((p) => p.what === what)!.milliseconds);
    views.push({ model, batch: n, ratio: fastest('views') / fastest('norms') });
    for (const { run: _run, dispose, milliseconds, ...rest } of prepared) {
      await dispose();
      if (rest.what === 'views') continue; // a ratio
      const seconds = median(milliseconds) / 1000;
      results.push({ ...rest, examplesPerSecond: rest.batch / seconds, gflops: rest.flops / seconds / 1e9 });
    }
    process.stderr.write(`${model}, batches of ${n}: done\n`);
  }
}

await peak.dispose();
if (values.json) {
  process.stdout.write(`${JSON.stringify({ cases: results, views, peakGflops: peak.gflops() })}\n`);
} else {
  const forwardOf = (r: Case) =>
    results.find((f) => f.model === r.model && f.what === 'forward' && f.batch >= r.batch && f.batch - r.batch < 5)!;
  const lines = results.map((r) => [
    basename(r.model),
    r.what,
    String(r.batch),
    String(r.group),
    r.examplesPerSecond.toFixed(0),
    (forwardOf(r).examplesPerSecond / r.examplesPerSecond).toFixed(2),
    r.gflops.toFixed(1),
    ((100 * r.gflops) / peak.gflops()).toFixed(0),
    (r.peakBytes / 2 ** 20).toFixed(0),
    r.compileSeconds.toFixed(2),
    r.openSeconds.toFixed(2),
  ]);
  const head = [
    'model',
    'what',
    'batch',
    'B',
    'examples/s',
    '× forward',
    'GFLOP/s',
    '% of peak',
    'MiB more',
    'compile s',
    'open s',
  ];
  process.stdout.write(`${alignColumns([head, ...lines])}\n\n`);
  process.stdout.write(`peak: ${peak.gflops().toFixed(1)} GFLOP/s, the best large matrix product of this run\n\n`);
  const ratios = views.map(({ model, batch, ratio }) => [basename(model), String(batch), ratio.toFixed(2)]);
  process.stdout.write(`${alignColumns([['model', 'batch', 'all views × norms'], ...ratios])}\n`);
}
