// Files as whole byte arrays: read with errors a user understands, written so that a file appears whole or not at all.

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ByteSource, EncodedFile } from '../data/source.ts';
import { DataError } from '../errors.ts';
import './host.ts';
import { systemLock } from './system-lock.ts';

/** What goes into a file: bytes, text as UTF-8, or a function that makes it piece by piece. */
export type Contents = Uint8Array | string | ((append: (bytes: Uint8Array) => Promise<void>) => Promise<void>);

/**
 * Writes `contents` to `path` so that a reader sees the old file or the new one, never a part: a temporary file in the
 * same folder is written, flushed to the disk and renamed. A symbolic link keeps pointing where it did; its target is
 * replaced. The folder must exist.
 *
 * Throws a DataError that names the path and the reason (full disk, no permission, no such folder, a folder is in the
 * way); then, and where `contents` throws, the old file, if any, is untouched and no temporary file is left.
 */
export async function writeFileAtomic(path: string, contents: Contents): Promise<void> {
  const target = await resolveTarget(path);
  let temporary: string | undefined;
  let handle: FileHandle | undefined;
  const bytes = typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
  let size = typeof bytes === 'function' ? 0 : bytes.length;
  try {
    const made = await openTemporary(dirname(target));
    ({ temporary, handle } = made);
    const opened = made.handle;
    if (typeof bytes === 'function') {
      await bytes(async (piece) => {
        size += piece.length;
        await opened.writeFile(piece);
      });
    } else {
      await opened.writeFile(bytes);
    }
    await handle.sync(); // before the rename: otherwise a power cut could leave the new name with an empty file
    await rename(temporary, target);
    temporary = undefined;
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: cannot write ${size} bytes: ${reasonOf(error, dirname(path))}`, { cause: error });
  } finally {
    await handle?.close().catch(() => undefined);
    if (temporary !== undefined) await unlink(temporary).catch(() => undefined);
  }
  await syncFolder(dirname(target));
}

/**
 * In the same folder as what it becomes, because a rename is atomic only within one file system; the name does not grow
 * with that of the target. It is locked while it is written: see `removeAbandoned`.
 */
async function openTemporary(folder: string): Promise<{ temporary: string; handle: FileHandle }> {
  for (;;) {
    const temporary = join(folder, `.fisher-ood-${randomBytes(6).toString('hex')}.tmp`);
    const handle = await open(temporary, 'wx');
    const kept = systemLock(handle.fd) !== false && (await pathKind(temporary)) === 'file';
    if (kept) return { temporary, handle };
    await handle.close(); // taken for abandoned before it was locked
  }
}

/** Deletes temporary files of `writeFileAtomic` whose process was killed, which are those that nobody has locked. */
export async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((entry) => /^\.fisher-ood-[0-9a-f]{12}\.tmp$/.test(entry))) {
    const handle = await open(join(folder, name), 'r+').catch(() => undefined);
    if (!handle) continue;
    try {
      if ((await handle.stat()).isFile() && systemLock(handle.fd) === true) await unlink(join(folder, name));
    } catch {
      // it is only in the way
    } finally {
      await handle.close();
    }
  }
}

/**
 * Renames a file, its content on the disk before its new name is: a power cut leaves the whole file or none. Throws
 * what the system does.
 */
export async function moveDurably(from: string, to: string): Promise<void> {
  const handle = await open(from, 'r+');
  await handle.sync().finally(() => handle.close());
  await rename(from, to);
  await syncFolder(dirname(to));
}

/**
 * The bytes of a regular file. Throws a DataError that names the path when there is no such file, it is a folder, it
 * may not be read, or it is larger than Node reads at once (2 GiB).
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  return cannotRead(path, async () => {
    await statFile(path);
    const { buffer, byteOffset, length } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, length); // a Buffer's slice is a view where everybody else's is a copy
  });
}

/** A whole file under its path. Throws as `readFileBytes`. */
export const encodedFile = async (path: string): Promise<EncodedFile> => ({
  where: path,
  bytes: await readFileBytes(path),
});

/**
 * A regular file to be read piece by piece. Throws a DataError as `readFileBytes` does, which also reads it where all
 * of it is asked for.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const { size } = await cannotRead(path, () => statFile(path));
  return {
    name: path,
    size,
    read: (offset, length) =>
      offset === 0 && length === size ? readFileBytes(path) : cannotRead(path, () => readPiece(path, offset, length)),
  };
}

async function readPiece(path: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

/** A pipe or a device may never end; reading one whole could hang or fill the memory. */
async function statFile(path: string): Promise<{ readonly size: number }> {
  const info = await stat(path);
  if (!info.isFile() && !info.isDirectory())
    throw new DataError(`${path}: expected a regular file, found a device or pipe`);
  if (info.isDirectory()) throw new DataError(`${path}: cannot read: ${reasons.EISDIR}`);
  return info;
}

async function cannotRead<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: cannot read: ${reasonOf(error, dirname(path))}`, { cause: error });
  }
}

/** What is at `path`: a file, a folder or nothing. Throws a DataError when that cannot be told (no permission). */
export async function pathKind(path: string): Promise<'file' | 'folder' | 'nothing'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 'nothing';
    throw new DataError(`${path}: cannot read: ${reasonOf(error, dirname(path))}`, { cause: error });
  }
}

/** A file-system error in a user's words. `folder` is the folder the path lies in. */
export function reasonOf(error: unknown, folder: string): string {
  const code = codeOf(error);
  const text = code === undefined ? undefined : reasons[code];
  if (text !== undefined) return text.replace('FOLDER', folder);
  return error instanceof Error ? error.message : String(error);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder (looked in FOLDER)',
  ENOTDIR: 'FOLDER is not a folder',
  EISDIR: 'it is a folder, expected a file',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than the file system or a limit allows',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the file name is too long',
  ELOOP: 'too many symbolic links',
  ERR_FS_FILE_TOO_LARGE: 'the file is larger than 2 GiB',
  ERR_INVALID_ARG_VALUE: 'the path is not a valid file name',
};

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * The path that the rename should replace: `path` with links followed. Refuses anything but a regular file or nothing.
 */
export async function resolveTarget(path: string): Promise<string> {
  let target: string;
  try {
    target = await realpath(path);
    const info = await stat(target);
    if (info.isFile()) return target;
    const found = info.isDirectory() ? 'it is a folder' : 'it is a device or pipe';
    throw new DataError(`${path}: cannot write: ${found}, expected a file name`);
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (codeOf(error) === 'ENOENT') return path;
    throw new DataError(`${path}: cannot write: ${reasonOf(error, dirname(path))}`, { cause: error });
  }
}

/** Makes a rename durable. Not every system can flush a folder; the rename itself has happened, so that is no error. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close().catch(() => undefined);
}
