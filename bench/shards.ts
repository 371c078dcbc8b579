// npm run bench:shards: `features` of the same pictures in many Parquet files and in one: the same table, and how much
// more time and memory.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { encodePng } from '../src/data/png.ts';
import { alignColumns } from '../src/eval/index.ts';
import { readTable } from '../src/node/index.ts';
import { median } from './cases.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '100000' },
    shards: { type: 'string', default: '20' },
    pairs: { type: 'string', default: '3' },
    config: { type: 'string', default: '{"hidden": 4, "latent": 4}' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const [images, shards, pairs] = [values.images, values.shards, values.pairs].map(Number) as [number, number, number];
const folder = mkdtempSync(join(tmpdir(), 'shards-'));
const at = (name: string) => join(folder, name);
const GROUP = 1000; // rows, as programs write them by default or nearly so

/** A picture that is neither noise, which no PNG packs, nor flat. */
function picture(index: number): Uint8Array {
  const data = Uint8Array.from({ length: 784 }, (_, i) => {
    const [row, column] = [Math.floor(i / 28), i % 28];
    return (row - 14) ** 2 + (column - (index % 28)) ** 2 < 20 + (index % 90) ? 255 - ((index * 7 + i) % 64) : 0;
  });
  return encodePng({ data, shape: [1, 28, 28] });
}

function write(path: string, rows: readonly Uint8Array[]): void {
  const data = rows.map((bytes, k) => ({ bytes, path: `${k}.png` }));
  const schema = [
    { name: 'schema', num_children: 1 },
    { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' as const },
    { name: 'bytes', type: 'BYTE_ARRAY' as const, repetition_type: 'OPTIONAL' as const },
    {
      name: 'path',
      type: 'BYTE_ARRAY' as const,
      converted_type: 'UTF8' as const,
      repetition_type: 'OPTIONAL' as const,
    },
  ];
  const buffer = parquetWriteBuffer({ schema, columnData: [{ name: 'image', data }], rowGroupSize: GROUP });
  writeFileSync(path, new Uint8Array(buffer));
}

interface Run {
  readonly seconds: number;
  /** Of all threads, user and system. */
  readonly processor: number;
  readonly peakMiB: number;
  /** Of the numbers in the table. */
  readonly hash: string;
}

function fisher(...args: string[]): string {
  const run = spawnSync('/usr/bin/time', ['-f', '%e %U %S %M', process.execPath, 'bin/fisher-ood.js', ...args], {
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`${args.join(' ')}: ${run.stderr}`);
  return run.stderr.trim().split('\n').at(-1)!;
}

async function features(data: string): Promise<Run> {
  const out = at('features.parquet');
  const spent = fisher('features', at('model'), '--data', data, '--out', out, '--threads', values.threads, '--json');
  const [seconds, user, system, kib] = spent.split(' ').map(Number) as [number, number, number, number];
  const { nll, sqNorms } = await readTable(out);
  const hash = createHash('sha256').update(nll).update(sqNorms).digest('hex');
  rmSync(out);
  return { seconds, processor: user + system, peakMiB: kib / 1024, hash };
}

try {
  mkdirSync(at('many'));
  const rows = Array.from({ length: images }, (_, k) => picture(k));
  write(at('one.parquet'), rows);
  const place = (k: number) => Math.floor((k * images) / shards);
  for (let k = 0; k < shards; k++) {
    const name = `train-${String(k).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.parquet`;
    write(at(`many/${name}`), rows.slice(place(k), place(k + 1)));
  }
  fisher(
    'train',
    'vae',
    '--data',
    `${at('one.parquet')}[:64]`,
    '--config',
    values.config,
    '--batch',
    '8',
    '--pad',
    '32',
    '--steps',
    '1',
    '--out',
    at('model'),
  );
  const found: Record<'one' | 'many', Run[]> = { one: [], many: [] };
  for (let k = 0; k < pairs; k++) {
    for (const which of k % 2 === 0 ? (['one', 'many'] as const) : (['many', 'one'] as const)) {
      const run = await features(which === 'one' ? at('one.parquet') : at('many'));
      found[which].push(run);
      process.stderr.write(
        `${which}: ${run.seconds} s, ${run.processor.toFixed(1)} s of processor, ${run.peakMiB.toFixed(0)} MiB\n`,
      );
    }
  }
  const { one, many } = found;
  if (new Set([...one, ...many].map(({ hash }) => hash)).size !== 1) throw new Error('the tables differ');
  const measures = ['seconds', 'processor', 'peakMiB'] as const;
  const summary = measures.map((measure) => {
    const of = (runs: readonly Run[]) => runs.map((run) => run[measure]);
    const least = { one: Math.min(...of(one)), many: Math.min(...of(many)) };
    const middle = { one: median(of(one)), many: median(of(many)) };
    return { measure, least, middle };
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ images, shards, pairs, summary })}\n`);
  else {
    const names = { seconds: 'seconds', processor: 'seconds of processor', peakMiB: 'peak MiB' };
    const lines = summary.flatMap(({ measure, least, middle }) =>
      [['least', least] as const, ['median', middle] as const].map(([what, { one: a, many: b }]) => [
        `${names[measure]}, ${what}`,
        a.toFixed(1),
        b.toFixed(1),
        (b / a).toFixed(3),
      ]),
    );
    const head = [`${images} pictures, ${pairs} pairs`, 'one file', `${shards} files`, 'ratio'];
    process.stdout.write(`${alignColumns([head, ...lines])}\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
