// Outputs claimed before the work that makes them: they can be written, destroy nothing that is read, and nobody else
// is at them.

import type { Stats } from 'node:fs';
import { mkdir, readdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { PICTURES } from '../data/images.ts';
import { DataError, UsageError } from '../errors.ts';
import { inOrder } from '../in-order.ts';
import { modelFiles } from '../train/store.ts';
import { codeOf, pathKind, reasonOf, removeAbandoned, resolveTarget } from './files.ts';
import { fileLock, folderLock, type Lock, lock, removeAbandonedLocks } from './lock.ts';

/** An output that is ours until it is released, or this process ends in whatever way. */
export interface Claim {
  release(): Promise<void>;
}

/** Outputs that are no data of any kind. */
const OUTPUTS_ONLY = new Set(['.json', '.html', '.svg']);

/** Files that no reader of a folder takes for a part of its data: such an output may lie there. */
const OUTPUTS = new Set(['.json', '.npz', '.parquet', '.html', '.svg']);

/**
 * Claims a file that the work will write, and `beside` it those of the same name with these endings. `reads`: files and
 * folders that the work reads. Throws a UsageError where the output is one of these, by whatever name, or in place of a
 * file of theirs, and a DataError where it cannot be written or another process is about to.
 */
export async function claimFile(
  path: string,
  reads: readonly string[] = [],
  beside: readonly string[] = [],
): Promise<Claim> {
  if (path === '' || /[/\\]$/.test(path)) throw new UsageError(`'${path}': expected the name of a file to write`);
  const target = await resolveTarget(path);
  const folder = dirname(target);
  if ((await pathKind(folder)) !== 'folder') {
    throw new DataError(`${path}: cannot write: no such file or folder (looked in ${folder})`);
  }
  for (const written of [target, ...beside.map((ending) => target + ending)]) {
    for (const read of reads) await checkApart(path, written, read);
  }
  const held = await lock(fileLock(target), path);
  await removeLeftovers(folder);
  return held;
}

/** Claims several files as `claimFile`, all or none. Throws a UsageError also where two of them are one. */
export async function claimFiles(
  paths: readonly string[],
  reads: readonly string[] = [],
  beside: readonly string[] = [],
): Promise<Claim> {
  const claims: Claim[] = [];
  const release = async () => {
    for (const claim of claims) await claim.release();
  };
  try {
    const places = await inOrder(paths.map(async (path) => resolve(await resolveTarget(path))));
    const twice = places.findIndex((place, i) => places.indexOf(place) < i);
    if (twice >= 0) throw new UsageError(`${paths[twice]}: two outputs are to be written to this one file`);
    for (const path of paths) claims.push(await claimFile(path, reads, beside));
  } catch (error) {
    await release();
    throw error;
  }
  return { release };
}

/**
 * Claims a folder for a model, which is made where there is none, and goes again with the claim where nothing was put
 * into it. Throws a DataError where it cannot be made or written to, or another process has it.
 */
export async function claimFolder(path: string, reads: readonly string[] = []): Promise<Claim> {
  if (path === '') throw new UsageError(`'': expected the name of a folder to write to`);
  for (const name of modelFiles) for (const read of reads) await checkApart(path, join(path, name), read);
  let made: string | undefined;
  try {
    made = await mkdir(path, { recursive: true });
  } catch (error) {
    const reason = codeOf(error) === 'EEXIST' ? 'a file is in the way' : reasonOf(error, dirname(path));
    throw new DataError(`${path}: cannot be made a folder: ${reason}`, { cause: error });
  }
  const unmake = async () => {
    for (let folder = resolve(path); made !== undefined; folder = dirname(folder)) {
      const gone = await rmdir(folder).then(
        () => true,
        () => false, // something is in it
      );
      if (!gone || folder === resolve(made)) return;
    }
  };
  let held: Lock;
  try {
    held = await lock(folderLock(path), path);
  } catch (error) {
    await unmake();
    throw error;
  }
  await removeLeftovers(path);
  return {
    release: async () => {
      await held.release();
      await unmake();
    },
  };
}

/** Takes away what processes that were killed have left in a folder: temporary files and locks that nobody holds. */
export async function removeLeftovers(folder: string): Promise<void> {
  await removeAbandoned(folder);
  await removeAbandonedLocks(folder);
}

/** Runs `work` while it has the claim. */
export async function during<T>(claim: Claim, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await claim.release();
  }
}

/** Throws where writing `target` would destroy what is at `read`. */
async function checkApart(path: string, target: string, read: string): Promise<void> {
  const [there, input] = [await statOf(target), await statOf(read)];
  if (input === undefined) return;
  const elsewhere = 'it would be overwritten; write elsewhere';
  if (there !== undefined && same(there, input))
    throw new UsageError(`${path}: is ${read}, which is read: ${elsewhere}`);
  if (!input.isDirectory()) return;
  const parent = await statOf(dirname(target));
  if (parent === undefined || !same(parent, input)) return;
  if (there === undefined) return checkNoShard(path, target, read);
  const name = basename(await realpath(target));
  if (OUTPUTS.has(extname(name).toLowerCase()) && !modelFiles.some((own) => own === name)) return;
  throw new UsageError(`${path}: is a file of ${read}, which is read: ${elsewhere}`);
}

/** A new file beside files of its format would be taken for one more part of the set. */
async function checkNoShard(path: string, target: string, read: string): Promise<void> {
  const names = (await readdir(read)).filter((name) => !name.startsWith('.'));
  const ending = extname(target).toLowerCase();
  const isPart = names.some((name) => extname(name).toLowerCase() === ending && !OUTPUTS_ONLY.has(ending));
  const isLoose = names.some((name) => PICTURES.has(extname(name).toLowerCase()) || /\.wav$/i.test(name));
  if (!isPart || isLoose) return;
  throw new UsageError(`${path}: would be taken for a part of ${read}, which is read; write elsewhere`);
}

const same = (a: Stats, b: Stats) => a.dev === b.dev && a.ino === b.ino;

const statOf = (path: string): Promise<Stats | undefined> => stat(path).catch(() => undefined);
