// One process at a time on an output: a lock that ends with its process, however that ends, and that tells others who
// has it.

import { createHash, randomUUID } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { DataError } from '../errors.ts';
import { codeOf, reasonOf } from './files.ts';
import { type SystemLock, systemLock } from './system-lock.ts';

// The lock is the operating system's, on an open file: it is gone when the process is, also after kill -9 or when the
// machine lost its power, and it does not depend on our having time to renew it. What the file says is for messages,
// and for file systems that lock nothing, or only within one machine: there a process of this machine is looked for by
// its number, and one of another machine by whether it still touches its file.

const ownerSchema = z.object({
  pid: z.int().min(1),
  host: z.string(),
  /** Of the running system: the same in all containers on one machine, another after a restart. */
  boot: z.string(),
  /** When the process started, in the system's own count: a process number may have been given anew. */
  started: z.string(),
  since: z.string(),
  command: z.string(),
  token: z.string(),
});

type Owner = z.infer<typeof ownerSchema>;

export interface Lock {
  /** Lets others have it, and takes the lock's file away. */
  release(): Promise<void>;
}

export interface LockOptions {
  /** In place of the operating system's, for file systems that have none. */
  readonly system?: SystemLock;
  /** How long another machine's lock is watched for a sign of life, and how often a holder gives one; ms. */
  readonly watch?: number;
  readonly beat?: number;
}

/**
 * The lock's file of a folder, and that of a file in a folder: its name is hashed, so that it does not grow with the
 * file's.
 */
export const folderLock = (folder: string): string => join(folder, '.fisher-ood.lock');
export const fileLock = (path: string): string => {
  const name = createHash('sha256').update(basename(path)).digest('hex').slice(0, 16);
  return join(dirname(path), `.fisher-ood-${name}.lock`);
};
const LOCK = /^\.fisher-ood(-[0-9a-f]{16})?\.lock$/;

/** Held here: an open file that nobody refers to would be closed, and its lock lost. */
const held = new Set<FileHandle>();

/**
 * Takes the lock whose file is `path`, for `what` (a file or folder, for messages). The folder must exist. Throws a
 * DataError that says who has it and since when, or that the file cannot be made.
 */
export async function lock(path: string, what: string, options: LockOptions = {}): Promise<Lock> {
  const { system = systemLock, watch = 30_000, beat = 5_000 } = options;
  for (;;) {
    const handle = await openLock(path, what);
    let taken = false;
    try {
      let granted = system(handle.fd);
      // One who looks for abandoned locks has it for a moment.
      for (let tries = 0; granted === false && tries < 4; tries++) {
        await sleep(25);
        granted = system(handle.fd);
      }
      if (granted === false) throw heldBy(what, await ownerOf(handle, 500));
      const before = await ownerOf(handle, 0);
      if (before && (await lives(before, path, granted === undefined, watch))) throw heldBy(what, before);
      if (!(await isAt(handle, path))) continue; // its holder took it away between our opening and our locking it
      const owner = thisProcess();
      await write(handle, owner);
      if (granted === undefined) {
        await sleep(200); // for whoever found it free at the same time: the last to write has it
        const last = await ownerOf(handle, 0);
        if (last?.token !== owner.token || !(await isAt(handle, path))) throw heldBy(what, last);
      }
      taken = true;
    } catch (error) {
      if (error instanceof DataError) throw error;
      throw new DataError(`${what}: cannot be locked with ${path}: ${reasonOf(error, dirname(path))}`, {
        cause: error,
      });
    } finally {
      if (!taken) await handle.close();
    }
    held.add(handle);
    const timer = setInterval(() => void touch(handle), beat).unref();
    return {
      async release() {
        if (!held.delete(handle)) return;
        clearInterval(timer);
        // Before it is closed: afterwards it could be another's.
        if (await isAt(handle, path)) await unlink(path).catch(() => undefined);
        await handle.close();
      },
    };
  }
}

/** Takes away the files of locks in a folder whose processes ended without doing so, on this machine. */
export async function removeAbandonedLocks(folder: string, system: SystemLock = systemLock): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((entry) => LOCK.test(entry))) {
    const path = join(folder, name);
    const handle = await open(path, 'r+').catch(() => undefined);
    if (!handle) continue;
    try {
      const owner = await ownerOf(handle, 0);
      const ours = owner === undefined || owner.boot === thisProcess().boot;
      if (ours && system(handle.fd) === true && (await isAt(handle, path))) await unlink(path);
    } catch {
      // it is only in the way
    } finally {
      await handle.close();
    }
  }
}

async function openLock(path: string, what: string): Promise<FileHandle> {
  try {
    const handle = await openOrMake(path);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    const reason = codeOf(error) === 'ELOOP' ? 'a link is in the way' : reasonOf(error, dirname(path));
    throw new DataError(`${what}: cannot write there: ${reason} (${basename(path)})`, { cause: error });
  }
  throw new DataError(`${what}: cannot write there: ${path} is no regular file`);
}

/**
 * Open for everybody who may write to the folder, so that nobody is kept out by what the crashed process of another
 * user left.
 */
async function openOrMake(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants; // no link: it would be written to
  for (;;) {
    // Not made and opened in one: systems refuse that for a file of another user in a folder such as /tmp.
    const there = await open(path, O_RDWR | O_NOFOLLOW).catch(ignoring('ENOENT'));
    if (there) return there;
    const made = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666).catch(ignoring('EEXIST'));
    if (!made) continue;
    await made.chmod(0o666).catch(() => undefined);
    return made;
  }
}

const ignoring = (code: string) => (error: unknown) => {
  if (codeOf(error) === code) return undefined;
  throw error;
};

/** Whether the process that the file names still has it, where the system's lock does not tell. */
async function lives(owner: Owner, path: string, noLocks: boolean, watch: number): Promise<boolean> {
  const here = thisProcess();
  if (owner.boot === here.boot && !noLocks) return false; // one kernel: its lock would have been in our way
  if (owner.boot === here.boot && owner.host === here.host) return isAlive(owner);
  const first = await touched(path);
  if (Date.now() - first > 600_000) return false; // clocks do not differ by so much
  for (let waited = 0; waited < watch; waited += 250) {
    await sleep(250);
    if ((await touched(path)) !== first) return true;
  }
  return false;
}

/** When its holder last gave a sign of life. Opened each time, since network file systems ask the server only then. */
async function touched(path: string): Promise<number> {
  const handle = await open(path, 'r');
  return handle
    .stat()
    .then(({ mtimeMs }) => mtimeMs)
    .finally(() => handle.close());
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0); // only asks
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  return startOf(pid) === started;
}

/** Who the file says has it. A holder that has only just got it may not have written yet: waits so long. */
async function ownerOf(handle: FileHandle, patience: number): Promise<Owner | undefined> {
  for (let waited = 0; ; waited += 50) {
    const bytes = Buffer.alloc(4096);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    const parsed = ownerSchema.safeParse(jsonOf(bytes.toString('utf8', 0, bytesRead)));
    if (parsed.success) return parsed.data;
    if (waited >= patience) return undefined;
    await sleep(50);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function write(handle: FileHandle, owner: Owner): Promise<void> {
  await handle.truncate(0);
  await handle.write(`${JSON.stringify(owner)}\n`, 0);
}

/** A sign of life: the first character again, since the times of another user's file are not ours to set. */
async function touch(handle: FileHandle): Promise<void> {
  await handle.write('{', 0).catch(() => undefined);
}

async function isAt(handle: FileHandle, path: string): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  const here = await handle.stat();
  return there?.ino === here.ino && there.dev === here.dev;
}

function heldBy(what: string, owner: Owner | undefined): DataError {
  const who = owner
    ? `process ${owner.pid} on ${owner.host} (${owner.command}) has been writing to it since ${owner.since}`
    : 'another process is writing to it';
  return new DataError(`${what}: ${who}; wait for it, stop it, or write elsewhere`);
}

function thisProcess(): Owner {
  return {
    pid: process.pid,
    host: hostname(),
    boot: read('/proc/sys/kernel/random/boot_id') ?? hostname(),
    started: startOf(process.pid),
    since: new Date().toISOString(),
    command: ['fisher-ood', ...process.argv.slice(2)].join(' ').slice(0, 200),
    token: randomUUID(),
  };
}

/**
 * Field 22 of the process's line, counted behind its name, which may hold spaces; nothing where the system has no such
 * file.
 */
const startOf = (pid: number): string =>
  read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')[19] ?? '';

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
