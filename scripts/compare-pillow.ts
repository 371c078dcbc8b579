// npm run compare:pillow -- --count N --seed S: N pictures of every format and mode that is read, each at six sizes,
// against Pillow (PYTHON says which Python has it); how many agree within 1 of 255, and what does not, out.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Kernel, prepare } from '../src/data/index.ts';
import { openData } from '../src/node/index.ts';

interface Case {
  readonly file: string;
  readonly mode: string;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly filter: Kernel;
  readonly channels: number;
  /** Where its pixels begin. */
  readonly at: number;
}

const { values } = parseArgs({
  options: { count: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' } },
});
const folder = mkdtempSync(join(tmpdir(), 'pillow-'));
try {
  const script = fileURLToPath(new URL('compare-pillow.py', import.meta.url));
  execFileSync(process.env.PYTHON ?? 'python3', [script, folder, values.count, values.seed], { stdio: 'inherit' });
  const { pillow, cases } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    readonly pillow: string;
    readonly cases: readonly Case[];
  };
  const resized = readFileSync(join(folder, 'resized.bin'));
  const worst = new Map<number, number>(); // how many images are off by how much at most
  for (const { file, mode, from, to, filter, channels, at } of cases) {
    const data = prepare(await openData(join(folder, file)), { resize: to, filter });
    const { x } = (await data.gather([0])).arrays;
    const expected = resized.subarray(at, at + channels * to[0] * to[1]);
    let most = x!.data.length === expected.length ? 0 : Infinity;
    for (const [i, value] of expected.entries()) most = Math.max(most, Math.abs(Number(x!.data[i]) - value));
    worst.set(most, (worst.get(most) ?? 0) + 1);
    if (!(most <= 1)) {
      process.stdout.write(`${file} (${mode}) ${from.join('×')} to ${to.join('×')} by ${filter}: off by ${most}\n`);
      process.exitCode = 1;
    }
  }
  const counts = [...worst].sort(([a], [b]) => a - b).map(([most, count]) => `${count} off by at most ${most}`);
  process.stdout.write(`Pillow ${pillow}: ${cases.length} pictures: ${counts.join(', ')}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
