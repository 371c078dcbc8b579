import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openCifar10 } from '../../test/support/readers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cifar-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Records of a label and pixels (seed · p + 11 · i) mod 256. */
async function put(name: string, n: number, seed: number, label = 3): Promise<string> {
  const record = (i: number) => [label, ...Array.from({ length: 3072 }, (_, p) => (seed * p + 11 * i) % 256)];
  const path = join(folder, name);
  await writeFile(path, Uint8Array.from(Array.from({ length: n }, (_, i) => record(i)).flat()));
  return path;
}

it('reads records, and files one after the other', async () => {
  const data = await openCifar10([await put('one.bin', 2, 1), await put('two.bin', 3, 7)], 'cifar10:train');
  expect([data.name, data.length, data.shapes]).toEqual(['cifar10:train', 5, { x: [3, 32, 32] }]);
  const { x } = (await data.gather([4, 1])).arrays;
  expect(x!.shape).toEqual([2, 3, 32, 32]);
  expect(Array.from(x!.data as Float32Array)).toEqual([
    ...Array.from({ length: 3072 }, (_, p) => (7 * p + 22) % 256),
    ...Array.from({ length: 3072 }, (_, p) => (p + 11) % 256),
  ]);
});

it('gives the same examples in batches of every size', async () => {
  const data = await openCifar10([await put('batches.bin', 5, 5)], 'set');
  const all = (await data.gather([0, 1, 2, 3, 4])).arrays.x!.data;
  for (const size of [1, 2, 3, 5, 9]) {
    const read = new Float32Array(all.length);
    for await (const { start, arrays } of data.batches(size)) read.set(arrays.x!.data as Float32Array, start * 3072);
    expect(read).toEqual(all);
  }
});

it('refuses half a record, an unknown label and an empty file', async () => {
  const half = join(folder, 'half.bin');
  await writeFile(half, new Uint8Array(3073 + 1536));
  await expect(openCifar10([half], 'set')).rejects.toThrow(/half\.bin: has 4609 bytes, expected a multiple of 3073/);
  const label = await put('label.bin', 2, 1, 10);
  await expect(openCifar10([label], 'set')).rejects.toThrow(/label\.bin: record 0 has label 10, expected 0\.\.9$/);
  const empty = await put('empty.bin', 0, 1);
  await expect(openCifar10([empty], 'set')).rejects.toThrow(/empty\.bin: has 0 bytes/);
});
