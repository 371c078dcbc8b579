import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { pathKind, readFileBytes, writeFileAtomic } from './files.ts';

const base = await mkdtemp(join(tmpdir(), 'files-'));
afterAll(() => rm(base, { recursive: true }));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(base, 't-'));
});

describe('writeFileAtomic', () => {
  it('writes bytes and text, replaces a file, and leaves nothing else behind', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, Uint8Array.of(1, 2));
    expect([...(await readFile(path))]).toEqual([1, 2]);
    await writeFileAtomic(path, 'räume');
    expect(await readFile(path, 'utf8')).toBe('räume');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('replaces the target of a link, not the link', async () => {
    await writeFile(join(folder, 'target'), 'old');
    await symlink('target', join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), 'new');
    expect(await readlink(join(folder, 'link'))).toBe('target');
    expect(await readFile(join(folder, 'target'), 'utf8')).toBe('new');
  });

  it('takes a name as long as the file system allows', async () => {
    const path = join(folder, 'n'.repeat(255));
    await writeFileAtomic(path, 'x');
    expect((await stat(path)).size).toBe(1);
  });

  it('refuses a folder, a missing folder and a file in the place of one, and leaves what was there', async () => {
    await mkdir(join(folder, 'dir'));
    await writeFile(join(folder, 'file'), 'old');
    await expect(writeFileAtomic(join(folder, 'dir'), 'x')).rejects.toThrow(/dir: cannot write: it is a folder/);
    await expect(writeFileAtomic(join(folder, 'no/a'), 'xyz')).rejects.toThrow(
      /no\/a: cannot write 3 bytes: no such file or folder \(looked in .*no\)$/,
    );
    await expect(writeFileAtomic(join(folder, 'file/a'), 'x')).rejects.toThrow(
      /file\/a: cannot write: .*file is not a folder$/,
    );
    await expect(writeFileAtomic('/dev/null', 'x')).rejects.toThrow('/dev/null: cannot write: it is a device or pipe');
    expect((await readdir(folder)).sort()).toEqual(['dir', 'file']);
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('old');
  });

  // Root may write anywhere.
  it.skipIf(process.getuid?.() === 0)('refuses a folder without permission', async () => {
    await chmod(folder, 0o500);
    await expect(writeFileAtomic(join(folder, 'a'), 'x')).rejects.toThrow(
      /a: cannot write 1 bytes: permission denied$/,
    );
  });
});

describe('readFileBytes', () => {
  it('gives plain bytes, whose slice is a copy', async () => {
    const path = join(folder, 'a');
    await writeFile(path, Uint8Array.of(1, 2, 3));
    const bytes = await readFileBytes(path);
    expect(bytes.constructor).toBe(Uint8Array);
    bytes.slice().fill(0);
    expect([...bytes]).toEqual([1, 2, 3]);
  });

  it('names the path and the reason', async () => {
    const missing = join(folder, 'no');
    await expect(readFileBytes(missing)).rejects.toThrow(
      new DataError(`${missing}: cannot read: no such file or folder (looked in ${folder})`),
    );
    await expect(readFileBytes(folder)).rejects.toThrow(
      new DataError(`${folder}: cannot read: it is a folder, expected a file`),
    );
    await expect(readFileBytes('a\0b')).rejects.toThrow(
      new DataError('a\0b: cannot read: the path is not a valid file name'),
    );
    const long = join(folder, 'n'.repeat(300));
    await expect(readFileBytes(long)).rejects.toThrow(new DataError(`${long}: cannot read: the file name is too long`));
    await symlink('loop', join(folder, 'loop'));
    await expect(readFileBytes(join(folder, 'loop'))).rejects.toThrow(/loop: cannot read: too many symbolic links$/);
  });

  it('refuses a pipe and a device instead of waiting for their end', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(readFileBytes(pipe)).rejects.toThrow(/pipe: expected a regular file, found a device or pipe$/);
    await expect(readFileBytes('/dev/zero')).rejects.toThrow('/dev/zero: expected a regular file');
  });
});

it('pathKind tells files, folders and nothing apart', async () => {
  await writeFile(join(folder, 'a'), '');
  await symlink('nowhere', join(folder, 'dangling'));
  const kinds = ['a', '.', 'no', 'a/b', 'dangling', 'n'.repeat(300)].map((name) => pathKind(join(folder, name)));
  expect(await Promise.all(kinds)).toEqual(['file', 'folder', 'nothing', 'nothing', 'nothing', 'nothing']);
  expect((await lstat(join(folder, 'dangling'))).isSymbolicLink()).toBe(true);
});
