// What an example's noise depends on: its content, its index in the source, or its place in the set, and nothing else.

import { describe, expect, it } from 'vitest';
import { type Dataset, memoryDataset, select, syntheticDataset, take } from '../../src/data/index.ts';
import type { FeatureTable } from '../../src/features/index.ts';
import { type ExtractorOptions, openExtractor } from '../../src/node/defaults.ts';
import { type SmallName, smallModel } from '../support/models.ts';

// Dequantised, sampled from a posterior, noised at a step.
const random: readonly SmallName[] = ['glow', 'vae', 'ddpm'];

async function tablesOf(name: SmallName, sets: readonly Dataset[], options: ExtractorOptions): Promise<FeatureTable[]> {
  const extractor = await openExtractor(smallModel(name), { seed: 3, threads: 1, ...options });
  try {
    const tables: FeatureTable[] = [];
    for (const data of sets) tables.push(await extractor.table(data));
    return tables;
  } finally {
    await extractor.dispose();
  }
}

const rowOf = ({ names, sqNorms }: FeatureTable, i: number) =>
  Array.from(sqNorms.subarray(i * names.length, (i + 1) * names.length));

/** To what batches of other examples may change in float32. */
function expectEqualRows(a: readonly number[], b: readonly number[], what = ''): void {
  for (const [j, f] of a.entries()) expect(Math.abs(f - b[j]!), what).toBeLessThanOrEqual(1e-3 * f + 1e-12);
}

const differ = (a: readonly number[], b: readonly number[]) =>
  a.some((f, j) => Math.abs(f - b[j]!) > 0.003 * Math.max(f, b[j]!));

describe.each(random)('noise of a %s', (name) => {
  const data = syntheticDataset('noise', { length: 12, shape: smallModel(name).info.data, seed: 1 });

  it('is that of the content: equal inputs have equal norms wherever they stand', async () => {
    const places = [0, 5, 9, 11];
    const mixed = Uint32Array.from({ length: 12 }, (_, i) => (places.includes(i) ? 4 : i === 4 ? 0 : i));
    for (const batch of [1, 5, 12]) {
      const [plain, moved, part] = await tablesOf(name, [data, select(data, mixed, 'm'), take(data, 3, 7)], { batch });
      for (const i of places) expectEqualRows(rowOf(moved!, i), rowOf(plain!, 4), `place ${i}, batches of ${batch}`);
      expectEqualRows(rowOf(part!, 1), rowOf(plain!, 4));
      expect(differ(rowOf(plain!, 4), rowOf(plain!, 5))).toBe(true);
      expect(plain!.meta.noise).toBe('content');
    }
    const [other] = await tablesOf(name, [data], { seed: 4 });
    const [first] = await tablesOf(name, [data], {});
    expect(differ(rowOf(other!, 4), rowOf(first!, 4))).toBe(true);
  });

  it('is that of the index in the source on request, whatever was cut from it', async () => {
    const sets = [data, take(data, 6, 10), take(take(data, 2, 12), 4, 6), select(data, Uint32Array.of(9, 7), 'two')];
    const [whole, slice, sliced, two] = await tablesOf(name, sets, { noise: 'index' });
    for (const k of [0, 1, 2, 3]) expectEqualRows(rowOf(slice!, k), rowOf(whole!, 6 + k));
    for (const k of [0, 1]) expectEqualRows(rowOf(sliced!, k), rowOf(whole!, 6 + k));
    expectEqualRows(rowOf(two!, 0), rowOf(whole!, 9));
    expectEqualRows(rowOf(two!, 1), rowOf(whole!, 7));
    expect(slice!.meta.noise).toBe('index');
  });

  it('is that of the place in the set where a table or detector of before is to be met', async () => {
    const sets = [data, take(data, 6, 10)];
    const [whole, slice] = await tablesOf(name, sets, { noise: 'place' });
    const [byIndex] = await tablesOf(name, sets, { noise: 'index' });
    expect(whole!.sqNorms).toEqual(byIndex!.sqNorms);
    expect([0, 1, 2, 3].some((k) => differ(rowOf(slice!, k), rowOf(whole!, 6 + k)))).toBe(true);
    expect(slice!.meta.noise).toBeUndefined();
  });

  it('of a group does not depend on the order of its members, equal ones among them', async () => {
    const orders = [
      [1, 2, 2],
      [2, 1, 2],
      [2, 2, 1],
    ]; // prettier-ignore
    const sets = orders.map((order) => select(data, Uint32Array.from(order), order.join()));
    const groups = await tablesOf(name, sets, { group: 3 });
    for (const group of groups) expectEqualRows(rowOf(group, 0), rowOf(groups[0]!, 0));
    // Equal members have noise of their own: with noise in common, two would have four times the squared norm of one.
    const [pair, one] = [
      (await tablesOf(name, [select(data, Uint32Array.of(2, 2), 'pair')], { group: 2 }))[0]!,
      (await tablesOf(name, [take(data, 2, 3)], {}))[0]!,
    ];
    const four = rowOf(one, 0).map((f) => 4 * f);
    expect(differ(rowOf(pair, 0), four)).toBe(true);
  });
});

it('of numbers that are the same is the same, however they are spelt', async () => {
  const model = smallModel('vae');
  const pixels = Float32Array.from({ length: 2 * 64 }, (_, i) => (i % 64) * 3);
  pixels[64] = -0;
  const data = memoryDataset('zeros', 2, 'zeros', { x: { data: pixels, shape: model.info.data } });
  const bytes = memoryDataset('bytes', 2, 'bytes', { x: { data: Uint8Array.from(pixels), shape: model.info.data } });
  const [floats, ints] = await tablesOf('vae', [data, bytes], {});
  expectEqualRows(rowOf(floats!, 0), rowOf(floats!, 1));
  expectEqualRows(rowOf(floats!, 0), rowOf(ints!, 1));
});
