// What a process keeps of a model whose weights are most of its memory.

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { freeNow } from '../../src/engine/free.ts';

const child = fileURLToPath(new URL('large-child.ts', import.meta.url));

it('holds the weights of a large model once, beside what the runtime does, and writes no copy', async () => {
  const cache = await mkdtemp(join(tmpdir(), 'cache-'));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child, cache]);
    const { held, peak } = JSON.parse(stdout) as Record<string, number>;
    expect(held).toBeLessThan(1.2); // twice with the encoded graph
    expect(peak).toBeLessThan(4.7); // the weights, the encoded graph, the runtime's own two
    expect(await readdir(cache)).toEqual([]);
  } finally {
    await rm(cache, { recursive: true });
  }
}, 120_000);

it('frees large arrays without a collection, and leaves small ones as they are', async () => {
  const [large, small] = [new Uint8Array(2 ** 25).fill(1), new Uint8Array(8)];
  const before = process.memoryUsage().arrayBuffers;
  freeNow(large);
  freeNow(small);
  await setTimeout(50); // ports close in their own time
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(2 ** 25);
  expect([large.length, small.length]).toEqual([0, 8]);
});
