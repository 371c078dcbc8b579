// `npm run calibration`, run for real on the shipped model and sample: its table of how often the combined detector is
// wrong, and what it refuses.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

const run = (...args: readonly string[]) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/calibration.ts', ...args], {
    cwd: root,
    env: { ...process.env, FISHER_OOD_CACHE: '' },
  });
const onSample = (...args: readonly string[]) =>
  run('models/glow-fashion-mnist', '--data', 'sample/fashion-mnist', '--threads', '1', ...args);

it('counts what is called out of random splits of the sample, with the interval of the binomial', async () => {
  const { stdout } = await onSample('--apart', '8', '--fit', '20', '--fresh', '20', '--splits', '1');
  const [title, , head, ...lines] = stdout.trimEnd().split('\n');
  expect(title).toContain('1 random splits, 20 inputs to fit on, 20 judged');
  expect(head).toMatch(/^B +asked for +mean rate +found in a split +95 % of the binomial +inside it$/);
  expect(lines).toHaveLength(3); // too few inputs for groups
  const rows = lines.map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
  expect(rows.map(([B, rate]) => [B, rate])).toEqual([
    ['1', '0.05'],
    ['1', '0.01'],
    ['1', '0.001'],
  ]);
  const counts = rows.map(([, , , found]) => Number(/^(\d+) to \1 of 20$/.exec(found!)![1]));
  for (const [k, [, , mean, , interval, inside]] of rows.entries()) {
    expect(Number(mean)).toBeCloseTo(counts[k]! / 20, 4);
    const [low, high] = interval!.split(' to ').map(Number) as [number, number];
    expect(inside).toBe(counts[k]! >= low && counts[k]! <= high ? '1 of 1' : '0 of 1');
  }
  expect(rows[0]![4]).toBe('0 to 3');
  // 20 inputs can count no less than 1 in 210.
  expect(counts[2]).toBe(0);
  expect(counts.toSorted((a, b) => b - a)).toEqual(counts);
}, 600_000);

it('refuses more inputs than there are', async () => {
  await expect(onSample('--fit', '3000')).rejects.toThrow(
    /has 2000 inputs, expected 400 for the metric, 3000 to fit on/,
  );
}, 120_000);
