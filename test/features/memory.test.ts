// The memory estimate against what processes really take.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { chooseBatch, estimateMemory } from '../../src/lower/index.ts';
import { defaultModel } from '../support/models.ts';

const child = fileURLToPath(new URL('memory-child.ts', import.meta.url));

/** Most bytes of a process that runs one batch. */
async function peak(name: string, batch: number, group: number, length?: number): Promise<number> {
  const sizes = [batch, group, ...(length === undefined ? [] : [length])];
  const args = ['--import', 'tsx', child, name, ...sizes.map(String)];
  return Number((await promisify(execFile)(process.execPath, args)).stdout);
}

// Two processes each, which take a minute and more where others want the processor too.
describe('the memory estimate', { timeout: 400_000 }, () => {
  it.each([
    ['glow', 1],
    ['vae', 1],
    ['vae', 5],
    ['ddpm', 5],
    ['pixelcnn', 1],
    ['pixelvae', 1],
    ['transformer', 1],
  ] as const)('of a %s at B = %d is right within a factor of 1.5', async (name, group) => {
    const { perExample } = estimateMemory(normGraph(defaultModel(name).loss()).graph, group);
    const [few, many] = [10, 100];
    const measured = ((await peak(name, many, group)) - (await peak(name, few, group))) / (many - few);
    expect(perExample / measured).toBeGreaterThan(1 / 1.5);
    expect(perExample / measured).toBeLessThan(1.5);
  });

  it('of long sequences, whose attention is cut in blocks, is right within a factor of 1.5', async () => {
    const length = 2048;
    const { perExample } = estimateMemory(normGraph(defaultModel('transformer', length).loss()).graph, 1);
    const measured = ((await peak('transformer', 5, 1, length)) - (await peak('transformer', 1, 1, length))) / 4;
    expect(perExample / measured).toBeGreaterThan(1 / 1.5);
    expect(perExample / measured).toBeLessThan(1.5);
  });

  it('sets the batch, in whole groups, or says what is too little', () => {
    const estimate = { perExample: 1e6, fixed: 5e6 };
    expect(chooseBatch(estimate, 1, 30e6)).toBe(25);
    expect(chooseBatch(estimate, 10, 30e6)).toBe(20);
    expect(chooseBatch(estimate, 1)).toBe(64);
    expect(chooseBatch({ perExample: 2 ** 31, fixed: 0 }, 1)).toBe(1);
    expect(() => chooseBatch(estimate, 10, 14e6)).toThrow('a batch of 10 takes about 15 MB, the limit is 14 MB');
  });
});
