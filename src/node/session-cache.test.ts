import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheEntry, sessionCache } from './session-cache.ts';

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

  it('is closed to others, as is the folder, also one that an older version made', async () => {
    await chmod(dir, 0o777);
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7)));
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    const [name] = await readdir(dir);
    expect((await stat(join(dir, name!))).mode & 0o777).toBe(0o600);
    const inner = join(dir, 'new', 'folder');
    await cacheEntry(inner, bytes(1), 'a').fill(made(bytes(7)));
    expect((await stat(inner)).mode & 0o777).toBe(0o700);
  });

  it.each<[string, (path: string) => Promise<unknown>]>([
    ['that others may write to', (path) => chmod(path, 0o666)],
    ['that is a link', (path) => rename(path, join(dir, 'kept')).then(() => symlink(join(dir, 'kept'), path))],
    ['that is a link to a device', (path) => rm(path).then(() => symlink('/dev/zero', path))],
    ['that is a pipe', (path) => rm(path).then(() => promisify(execFile)('mkfifo', [path]))],
    ['that is a folder', (path) => rm(path).then(() => mkdir(path))],
    ['that is a link to nothing', (path) => rm(path).then(() => symlink(join(dir, 'none'), path))],
    ['that is empty', (path) => writeFile(path, '')],
    ['that is huge', (path) => truncate(path, 2 ** 40)],
  ])('%s is dropped and made again', async (_, spoil) => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    const path = join(dir, (await readdir(dir))[0]!);
    await spoil(path);
    expect(await read(bytes(1))).toBeUndefined();
    expect(existsSync(path)).toBe(false);
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    expect(await read(bytes(1))).toEqual([7, 8]);
  });

  it.runIf(process.getuid?.() === 0)('of another owner, or in a folder of another, is not taken', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    const path = join(dir, (await readdir(dir))[0]!);
    await chown(path, 65534, 65534);
    expect(await read(bytes(1))).toBeUndefined();
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    await chown(dir, 65534, 65534);
    expect(await read(bytes(1))).toBeUndefined();
  });

  it('in a folder with other things in it is taken only if others may not write there', async () => {
    await writeFile(join(dir, 'other'), '');
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    await chmod(dir, 0o755);
    expect(await read(bytes(1))).toEqual([7, 8]);
    await chmod(dir, 0o777);
    expect(await read(bytes(1))).toBeUndefined();
    expect((await stat(dir)).mode & 0o777).toBe(0o777);
  });

  it('beside a bad one of the same graph is found', async () => {
    await cacheEntry(dir, bytes(1), 'a').fill(made(bytes(7, 8)));
    const [name] = await readdir(dir);
    await writeFile(join(dir, `${name!.slice(0, 33)}${'0'.repeat(32)}.onnx`), 'bad');
    expect(await read(bytes(1))).toEqual([7, 8]);
    expect(await readdir(dir)).toEqual([name]);
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
