import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeIdx } from '../data/idx.ts';
import { openData } from './open.ts';

let dir: string;
const images = () => join(dir, 'train-images-idx3-ubyte');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'labels-'));
  await writeFile(images(), writeIdx({ data: Uint8Array.of(10, 11, 12, 13, 14), shape: [5, 1, 1] }));
  await writeFile(join(dir, 'train-labels-idx1-ubyte'), writeIdx({ data: Uint8Array.of(3, 0, 9, 3, 4), shape: [5] }));
  await writeFile(join(dir, 'bare-images-idx3-ubyte'), writeIdx({ data: Uint8Array.of(1, 2), shape: [2, 1, 1] }));
  await writeFile(join(dir, 'short-images-idx3-ubyte'), writeIdx({ data: Uint8Array.of(1, 2), shape: [2, 1, 1] }));
  await writeFile(join(dir, 'short-labels-idx1-ubyte'), writeIdx({ data: Uint8Array.of(1), shape: [1] }));
});

async function pixels(spec: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { arrays } of (await openData(spec)).batches(2)) found.push(...Array.from(arrays.x!.data, Number));
  return found;
}

describe('a data set with labels asked for', () => {
  it.each([
    ['{3}', [10, 13]],
    ['{0-3}', [10, 11, 13]],
    ['{9,4}', [12, 14]],
    ['{0-9}', [10, 11, 12, 13, 14]],
    ['{3,4}[1:3]', [13, 14]],
  ])('%s has the examples with these, in their order', async (asked, expected) => {
    expect(await pixels(images() + asked)).toEqual(expected);
  });

  it('can be picked from by index', async () => {
    const { arrays } = await (await openData(`${images()}{3,4}`)).gather([2, 0]);
    expect(Array.from(arrays.x!.data, Number)).toEqual([14, 10]);
  });

  it('has another fingerprint where the labels are others', async () => {
    const at = join(dir, 'other-images-idx3-ubyte');
    await writeFile(at, writeIdx({ data: Uint8Array.of(10, 11, 12), shape: [3, 1, 1] }));
    const open = async (asked: string, ...labels: number[]) => {
      await writeFile(join(dir, 'other-labels-idx1-ubyte'), writeIdx({ data: Uint8Array.from(labels), shape: [3] }));
      return (await openData(at + asked)).fingerprint;
    };
    const prints = [await open('{1}', 1, 2, 1), await open('{1}', 2, 1, 1), await open('{1-2}', 1, 2, 1)];
    expect(new Set(prints).size).toBe(3);
    expect(await open('{1}', 1, 2, 1)).toBe(prints[0]);
  });

  it.each([
    ['train', '{7}', 'holds no examples'],
    ['train', '{1-}', "'1-' is no label and no range of labels such as 0-4"],
    ['bare', '{1}', 'has no labels beside it, expected a file such as train-labels-idx1-ubyte.gz'],
    ['short', '{1}', 'short-labels-idx1-ubyte: has [1] labels, expected [2]'],
  ])('%s%s is refused', async (name, asked, message) => {
    await expect(openData(join(dir, `${name}-images-idx3-ubyte${asked}`))).rejects.toThrow(message);
  });
});
