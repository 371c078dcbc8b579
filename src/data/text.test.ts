import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openText } from '../../test/support/readers.ts';
import { openData } from '../node/open.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'text-'));
  await writeFile(join(dir, 'a.txt'), 'abcdé\nfghij');
});

const windows = async (length: number) => {
  const data = await openText(join(dir, 'a.txt'), 'a', length);
  const { arrays } = await data.gather(Array.from({ length: data.length }, (_, i) => i));
  return { shape: arrays.x!.shape, bytes: Buffer.from(Array.from(arrays.x!.data, Number)) };
};

describe('a text file', () => {
  it('is windows of its bytes, without the rest', async () => {
    const { shape, bytes } = await windows(5);
    expect(shape).toEqual([2, 5]);
    expect(bytes).toEqual(Buffer.from('abcdé\nfghij').subarray(0, 10));
  });

  it('has the length of a window in its fingerprint', async () => {
    const prints = await Promise.all(
      [4, 5, 6].map(async (n) => (await openText(join(dir, 'a.txt'), 'a', n)).fingerprint),
    );
    expect(new Set(prints).size).toBe(3);
  });

  it('is opened by its ending, in windows as long as the model takes', async () => {
    expect((await openData(join(dir, 'a.txt'), { like: [3] })).shapes).toEqual({ x: [3] });
  });

  it('is refused where it is shorter than one window', async () => {
    await expect(openData(join(dir, 'a.txt'))).rejects.toThrow(
      'a.txt: has 12 bytes, expected at least one window of 128',
    );
  });
});
