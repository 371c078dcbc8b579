// npm run bench:scale: whether time follows the arithmetic. Measured against counted cost for deeper and wider models;
// cost per example and memory of longer sequences, and of data sets of 1,000 to 100,000 examples.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/eval/index.ts';
import { type Case, measure, median, type Prepared, prepare } from './cases.ts';

const { values } = parseArgs({
  options: {
    lengths: { type: 'string', default: '1000,10000,100000' },
    sequences: { type: 'string', default: '512,1024,2048' },
    rounds: { type: 'string', default: '9' },
    skip: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});

async function sizes() {
  const configs = [
    ...[2, 4, 8, 16].map((steps) => ({ model: 'glow', config: { steps } })),
    ...[32, 64, 128, 256].map((hidden) => ({ model: 'glow', config: { hidden } })),
    ...[16, 32, 64, 128].map((hidden) => ({ model: 'vae', config: { hidden } })),
  ];
  const out = [];
  for (const { model, config } of configs) {
    const cases: Case[] = (['forward', 'norms'] as const).map((what) => ({ model, what, batch: 64, group: 1, config }));
    const prepared: Prepared[] = [];
    for (const c of cases) prepared.push(await prepare(c, 2));
    await measure(prepared, Number(values.rounds));
    const [forward, norms] = prepared.map((p) => ({ flops: p.flops / p.batch, ms: median(p.milliseconds) / p.batch }));
    for (const p of prepared) await p.dispose();
    out.push({ model, ...config, forward: forward!, norms: norms! });
    process.stderr.write(`${model} ${JSON.stringify(config)}: done\n`);
  }
  return out;
}

/** One sequence of so many bytes under a transformer of four layers of width 512. */
async function sequence(bytes: number) {
  const config = { layers: 4, width: 512, heads: 8 };
  const cases = (['forward', 'norms'] as const).map(
    (what): Case => ({ model: 'transformer', what, batch: 1, group: 1, config, length: bytes }),
  );
  const prepared: Prepared[] = [];
  for (const c of cases) prepared.push(await prepare(c, 2));
  await measure(prepared, Number(values.rounds));
  const [forward, norms] = prepared.map((p) => ({
    flops: p.flops,
    ms: median(p.milliseconds),
    openSeconds: p.openSeconds,
    peakMiB: p.peakBytes / 2 ** 20,
  }));
  for (const p of prepared) await p.dispose();
  process.stderr.write(`sequences of ${bytes}: done\n`);
  return { bytes, forward: forward!, norms: norms! };
}

/** `fisher-ood features` of that many noise images under the shipped Glow, in a process of its own. */
function length(n: number) {
  const folder = mkdtempSync(join(tmpdir(), 'scale-'));
  const out = join(folder, 'features.parquet');
  const args = [
    'bin/fisher-ood.js',
    'features',
    'models/glow-fashion-mnist',
    '--data',
    `noise:${n}`,
    '--out',
    out,
    '--json',
  ];
  const began = performance.now();
  const run = spawnSync('/usr/bin/time', ['-f', '%M', process.execPath, ...args], { encoding: 'utf8' });
  const seconds = (performance.now() - began) / 1000;
  if (run.status !== 0) throw new Error(`features of noise:${n}: ${run.stderr}`);
  const peakMiB = Number(run.stderr.trim().split('\n').at(-1)) / 1024;
  const { examplesPerSecond } = JSON.parse(run.stdout) as { examplesPerSecond: number };
  const fileMiB = statSync(out).size / 2 ** 20;
  rmSync(folder, { recursive: true });
  return { n, examplesPerSecond, seconds, peakMiB, fileMiB };
}

const bySize = values.skip.includes('sizes') ? [] : await sizes();
const bySequence: Awaited<ReturnType<typeof sequence>>[] = [];
if (!values.skip.includes('sequences')) {
  for (const bytes of values.sequences.split(',').map(Number)) bySequence.push(await sequence(bytes));
}
const byLength = values.skip.includes('lengths') ? [] : values.lengths.split(',').map(Number).map(length);
if (values.json) {
  process.stdout.write(`${JSON.stringify({ sizes: bySize, sequences: bySequence, lengths: byLength })}\n`);
} else {
  const rows = bySize.map(({ model, forward, norms, ...config }) => [
    `${model} ${Object.entries(config).map(([key, value]) => `${key} ${value}`)}`,
    (forward.flops / 1e6).toFixed(1),
    (norms.flops / 1e6).toFixed(1),
    forward.ms.toFixed(2),
    norms.ms.toFixed(2),
    (norms.flops / forward.flops).toFixed(2),
    (norms.ms / forward.ms).toFixed(2),
    (norms.flops / norms.ms / 1e6).toFixed(1),
  ]);
  const head = [
    'per example',
    'forward MFLOP',
    'norms MFLOP',
    'forward ms',
    'norms ms',
    'counted ratio',
    'measured ratio',
    'norms GFLOP/s',
  ];
  if (rows.length > 0) process.stdout.write(`${alignColumns([head, ...rows])}\n\n`);
  const sequences = bySequence.map(({ bytes, forward, norms }) => [
    String(bytes),
    (norms.flops / 1e9).toFixed(1),
    forward.ms.toFixed(0),
    norms.ms.toFixed(0),
    (norms.ms / forward.ms).toFixed(2),
    norms.peakMiB.toFixed(0),
    norms.openSeconds.toFixed(1),
  ]);
  const labels = ['sequence', 'norms GFLOP', 'forward ms', 'norms ms', 'measured ratio', 'norms MiB more', 'open s'];
  if (sequences.length > 0) process.stdout.write(`${alignColumns([labels, ...sequences])}\n\n`);
  const lines = byLength.map((r) => [
    String(r.n),
    r.examplesPerSecond.toFixed(0),
    r.seconds.toFixed(1),
    r.peakMiB.toFixed(0),
    r.fileMiB.toFixed(1),
  ]);
  if (lines.length > 0) {
    process.stdout.write(
      `${alignColumns([['examples', 'examples/s', 'seconds', 'peak MiB', 'file MiB'], ...lines])}\n`,
    );
  }
}
