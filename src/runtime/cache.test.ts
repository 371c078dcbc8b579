import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheEntry, sessionCache } from './cache.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(dir, { recursive: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);
const made = (content: Uint8Array) => async (path: string | undefined) => {
  await writeFile(path!, content);
  return true;
};
const read = async (model: Uint8Array, runtime = 'a') => {
  const found = await cacheEntry(dir, model, runtime).read();
  return found && Array.from(found);
};

describe('a cache entry', () => {
  it('gives what it was filled with, for the same graph and runtime only', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    expect(await read(bytes(1))).toEqual([7, 8]);
    expect(await read(bytes(2))).toBeUndefined();
    expect(await read(bytes(1), 'b')).toBeUndefined();
  });

  it('is gone once it is damaged', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    const [name] = await readdir(dir);
    await writeFile(join(dir, name!), bytes(7, 9));
    expect(await read(bytes(1))).toBeUndefined();
    expect(await readdir(dir)).toEqual([]);
  });

  it('can be dropped', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7)));
    await cacheEntry(dir, bytes(2), 'a').fill(made(bytes(8)));
    await cacheEntry(dir, bytes(1), 'a').drop();
    expect(await read(bytes(1))).toBeUndefined();
    expect(await read(bytes(2))).toEqual([8]);
  });

  it('cleans up what killed processes left, and touches no files of others', async () => {
    const old = new Date(Date.now() - 7_200_000);
    for (const name of ['.0123456789abcdef.tmp', 'other.tmp', 'model.onnx']) {
      await writeFile(join(dir, name), 'x');
      await utimes(join(dir, name), old, old);
    }
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7)));
    expect((await readdir(dir)).filter((name) => !/^[0-9a-f]{32}-/.test(name)).sort()).toEqual([
      'model.onnx',
      'other.tmp',
    ]);
  });

  it('keeps nothing that is not worth it, or was not made', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(async (path) => {
      await writeFile(path!, bytes(7));
      return false;
    });
    await expect(cacheEntry(dir, bytes(1), 'a').fill(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await readdir(dir)).toEqual([]);
  });

  it('does without a folder that cannot be made', async () => {
    await writeFile(join(dir, 'file'), '');
    const entry = cacheEntry(join(dir, 'file'), bytes(1), 'a');
    expect(await entry.read()).toBeUndefined();
    let asked: string | undefined = 'nothing';
    await entry.fill(async (path) => {
      asked = path;
      return true;
    });
    expect(asked).toBeUndefined();
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('');
  });
});

describe('sessionCache', () => {
  it('is where the variable says, or nowhere', () => {
    expect(sessionCache({ FISHER_OOD_CACHE: '/x' })).toBe('/x');
    expect(sessionCache({ FISHER_OOD_CACHE: '' })).toBeUndefined();
    expect(sessionCache({})).toMatch(/\.cache\/fisher-ood\/sessions$/);
  });
});
