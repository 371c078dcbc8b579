import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type LockOptions, lock } from './lock.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(dir, '.lock');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** As on a file system that has no locks. */
const without: LockOptions = { system: () => undefined };
const source = fileURLToPath(new URL('lock.ts', import.meta.url));

/** Another process that has the lock, until it is killed. */
async function holder(options = '{}'): Promise<ChildProcess> {
  const code = `const { lock } = await import(${JSON.stringify(source)});
    await lock(${JSON.stringify(path)}, 'out', ${options}); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await gone;
}

describe.each([
  ['with the locks of the system', {} as LockOptions, '{}'],
  ['where the file system has none', without, '{ system: () => undefined }'],
])('a lock, %s', (_, options, ofHolder) => {
  it('is had by one process, and by the next as soon as that is killed', async () => {
    const child = await holder(ofHolder);
    const said = await lock(path, 'x.npz', options).catch((error: Error) => error.message);
    expect(said).toMatch(
      new RegExp(
        `^x.npz: process ${child.pid} on \\S+ \\(.*\\) has been writing to it since \\d{4}-.*write elsewhere$`,
      ),
    );
    await kill(child);
    const mine = await lock(path, 'x.npz', options);
    await mine.release();
    expect(await readdir(dir)).toEqual([]);
  });

  it('keeps a second call of the same process out until it is released', async () => {
    const first = await lock(path, 'x', options);
    await expect(lock(path, 'x', options)).rejects.toThrow(`process ${process.pid} on`);
    await first.release();
    await first.release();
    await (await lock(path, 'x', options)).release();
  });

  it('is had by one of many who ask at the same time', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => lock(path, 'x', options)));
    expect(asked.filter((one) => one.status === 'fulfilled').length).toBe(1);
    for (const one of asked) if (one.status === 'fulfilled') await one.value.release();
  });

  it('takes over what another machine left when it crashed, and waits for its sign of life', async () => {
    const owner = { pid: 1, host: 'elsewhere', boot: 'other', started: '1', since: 'then', command: 'c', token: 't' };
    const left = () => writeFileSync(path, JSON.stringify(owner));
    left();
    const quick = { ...options, watch: 1000 };
    await (await lock(path, 'x', quick)).release();
    left();
    const beats = setInterval(() => utimesSync(path, new Date(), new Date()), 100);
    await expect(lock(path, 'x', quick)).rejects.toThrow(
      'x: process 1 on elsewhere (c) has been writing to it since then',
    );
    clearInterval(beats);
    expect(readFileSync(path, 'utf8')).toBe(JSON.stringify(owner));
    utimesSync(path, new Date(), new Date(Date.now() - 3_600_000)); // an hour of silence: nothing to wait for
    const began = performance.now();
    await (await lock(path, 'x', options)).release();
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it.each([
    ['nothing', ''],
    ['half a line', '{"pid": 1'],
    ['something else', '[1]'],
  ])('takes over a file that holds %s', async (_, text) => {
    writeFileSync(path, text);
    await (await lock(path, 'x', options)).release();
    expect(existsSync(path)).toBe(false);
  });
});

describe('a lock', () => {
  it('is not lost while its process is busy, or stopped', async () => {
    const child = await holder();
    child.kill('SIGSTOP');
    utimesSync(path, new Date(0), new Date(0));
    await expect(lock(path, 'x')).rejects.toThrow(`process ${child.pid} on`);
    await kill(child);
  });

  it('gives a sign of life, and can be taken by other users when it is left', async () => {
    const held = await lock(path, 'x', { beat: 20 });
    const first = statSync(path);
    expect(first.mode & 0o777).toBe(0o666);
    const content = readFileSync(path, 'utf8');
    await vi.waitFor(() => expect(statSync(path).mtimeMs).toBeGreaterThan(first.mtimeMs), 5000);
    expect(readFileSync(path, 'utf8')).toBe(content);
    await held.release();
  });

  it('is not written through a link, into a folder, or where there is no folder', async () => {
    writeFileSync(join(dir, 'precious'), 'mine');
    symlinkSync(join(dir, 'precious'), path);
    await expect(lock(path, 'x')).rejects.toThrow('x: cannot write there: a link is in the way (.lock)');
    expect(readFileSync(join(dir, 'precious'), 'utf8')).toBe('mine');
    mkdirSync(join(dir, 'folder'));
    await expect(lock(join(dir, 'folder'), 'x')).rejects.toThrow('x: cannot write there: it is a folder');
    await expect(lock(join(dir, 'none', '.lock'), 'x')).rejects.toThrow(
      `no such file or folder (looked in ${dir}/none)`,
    );
  });
});
