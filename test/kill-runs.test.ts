// A small part of `npm run kill-runs`: commands that are killed, or started twice, end in the bytes of a run that
// nobody disturbed.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killRuns, makeTasks, pairRuns, type Task } from '../scripts/kill-runs.ts';
import { temporaryFolder } from './support/cli.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
let tasks: readonly Task[];
beforeAll(async () => {
  tasks = await makeTasks(folder.path);
}, 120_000);
const task = (name: string) => tasks.find((one) => one.name === name)!;

/** A sequence of numbers in [0, 1) without a pattern. */
function numbers(): () => number {
  let k = 0;
  return () => (++k * 0.6180339887) % 1;
}

describe('a command that is killed', () => {
  it.each(['features', 'train', 'fit'])(
    'ends in the right bytes: %s',
    async (name) => {
      const { kills, ends, findings } = await killRuns(task(name), 4, folder.path, numbers());
      expect(findings).toEqual([]);
      expect([kills >= 4, ends >= 1]).toEqual([true, true]);
    },
    300_000,
  );
});

describe('a command that is started twice', () => {
  it.each(['features', 'train'])(
    'is refused once, and ends in the right bytes: %s',
    async (name) => {
      const { refused, findings } = await pairRuns(task(name), 1, folder.path, numbers());
      expect(findings).toEqual([]);
      expect(refused).toBe(1);
    },
    300_000,
  );
});
