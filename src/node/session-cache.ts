// Graphs as the runtime has optimised them, kept on disk: opening one again takes a fraction of the time. What others
// could have put there is not trusted: a folder that only we can write to, regular files of our own.

import { createHash, randomBytes } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { access, chmod, lstat, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { cpus, homedir, hostname } from 'node:os';
import { join } from 'node:path';

/** Beyond this many bytes the graphs that were not used for longest are deleted. */
const LIMIT = 512 * 2 ** 20;

/**
 * Of a graph of more bytes nothing is kept: while the runtime writes it, and while that is read again, its weights are
 * in memory several times more, and those of a few such graphs would push out all others.
 */
export const MOST_KEPT = LIMIT / 4;

/**
 * Where optimised graphs are kept: $FISHER_OOD_CACHE or ~/.cache/fisher-ood/sessions; undefined where the variable is
 * empty.
 */
export function sessionCache(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  return (env.FISHER_OOD_CACHE ?? join(homedir(), '.cache', 'fisher-ood', 'sessions')) || undefined;
}

export interface CacheEntry {
  /** The content; undefined where there is none, or what there is can not be trusted or is damaged: that is deleted. */
  read(): Promise<Uint8Array | undefined>;
  /** Deletes it: the runtime does not take it. */
  drop(): Promise<void>;
  /** Has `make` write it to a path, and keeps it if `make` says so. Throws nothing but what `make` throws. */
  fill(make: (path: string | undefined) => Promise<boolean>): Promise<void>;
  /** Keeps these bytes. Throws nothing. */
  put(bytes: Uint8Array): Promise<void>;
}

/**
 * The place of a graph, or of what was found out about one. It is told by the graph's bytes, the runtime's version and
 * the processor, for which the runtime lays out its weights.
 */
export function cacheEntry(
  dir: string,
  model: Uint8Array,
  runtime: string,
  kind: 'onnx' | 'json' = 'onnx',
): CacheEntry {
  const key = createHash('sha256').update(model).update(`${runtime} ${processor()}`).digest('hex');
  const prefix = `${key.slice(0, 32)}-`;
  const find = async () =>
    (await readdir(dir)).filter((entry) => entry.startsWith(prefix) && entry.endsWith(`.${kind}`) && OURS.test(entry));
  return {
    async drop() {
      for (const name of await find().catch(() => [])) await remove(join(dir, name));
    },

    async read() {
      try {
        if (!(await isPrivate(dir))) return undefined;
        for (const name of await find()) {
          const bytes = await readOwn(join(dir, name));
          if (bytes && name === nameOf(prefix, bytes, kind)) return bytes;
          await remove(join(dir, name));
        }
        return undefined;
      } catch {
        return undefined;
      }
    },

    async fill(make) {
      const temporary = join(dir, `.${randomBytes(8).toString('hex')}.tmp`);
      const ready = await mkdir(dir, { recursive: true, mode: 0o700 })
        .then(() => isPrivate(dir))
        .then((ours) => ours && access(dir, constants.W_OK).then(() => true))
        .catch(() => false);
      try {
        const worth = await make(ready ? temporary : undefined);
        if (ready && worth) await keep(dir, temporary, prefix, kind);
      } finally {
        await remove(temporary);
      }
    },

    async put(bytes) {
      const write = (path: string | undefined) =>
        path === undefined ? Promise.resolve(false) : writeFile(path, bytes, { flag: 'wx' }).then(() => true);
      await this.fill((path) => write(path).catch(() => false));
    },
  };
}

/** Permission to write for anybody but the owner. */
const OTHERS_WRITE = 0o022;

/** Whether files are somebody else's; where the system has no owners, none are. */
const isForeign = ({ uid }: { readonly uid: number }) => process.getuid !== undefined && uid !== process.getuid();

/** Whether only we can put files into a folder. One that holds nothing but ours is closed to others. */
async function isPrivate(dir: string): Promise<boolean> {
  const found = await stat(dir);
  if (!found.isDirectory() || isForeign(found)) return false;
  if (process.getuid === undefined || (found.mode & 0o077) === 0) return true;
  if ((await readdir(dir)).every((name) => OURS.test(name))) {
    await chmod(dir, 0o700).catch(() => undefined); // a file system for reading only keeps what it has
    return ((await stat(dir)).mode & OTHERS_WRITE) === 0;
  }
  return (found.mode & OTHERS_WRITE) === 0; // a folder with other things in it keeps its permissions
}

/** The bytes of a regular file that is ours, is not a link, and that nobody else may write to. */
async function readOwn(path: string): Promise<Uint8Array | undefined> {
  // Links are not followed, and a pipe is not waited for.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)).catch(
    () => undefined,
  );
  if (!handle) return undefined;
  try {
    const found = await handle.stat();
    const open = process.getuid !== undefined && (found.mode & OTHERS_WRITE) !== 0;
    if (!found.isFile() || isForeign(found) || open || found.size > LIMIT) return undefined;
    const bytes = await handle.readFile();
    const now = new Date();
    await handle.utimes(now, now).catch(() => undefined); // a folder that is only for reading serves as well
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Deletes what is at a path, whatever it is; links themselves, not what they lead to. */
const remove = (path: string) => rm(path, { force: true, recursive: true }).catch(() => undefined);

/** Gives the file its name among the others. A cache that cannot be written is none; what it was for has been done. */
async function keep(dir: string, temporary: string, prefix: string, kind: string): Promise<void> {
  try {
    await chmod(temporary, 0o600);
    const bytes = await readFile(temporary);
    if (bytes.length > LIMIT) return;
    await rename(temporary, join(dir, nameOf(prefix, bytes, kind)));
    await prune(dir);
  } catch {
    // as if it were not there
  }
}

/** The name carries the hash of the content: a damaged file is not what its name says. */
const nameOf = (prefix: string, bytes: Uint8Array, kind: string) =>
  `${prefix}${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}.${kind}`;

/** Graphs and what a killed process left of one. The folder may hold files of others. */
const OURS = /^([0-9a-f]{32}-[0-9a-f]{32}\.(onnx|json)|\.[0-9a-f]{16}\.tmp)$/;

/** What decides how the runtime lays out weights: the processor's instructions, where the system tells them. */
function processor(): string {
  try {
    const flags = /^(flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0];
    if (flags !== undefined) return `${process.arch} ${flags}`;
  } catch {
    // not Linux
  }
  return `${process.arch} ${cpus()[0]?.model} ${hostname()}`;
}

async function prune(dir: string): Promise<void> {
  const names = (await readdir(dir)).filter((name) => OURS.test(name));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(dir, name);
      const found = await lstat(path);
      return { path, size: found.size, mtimeMs: found.mtimeMs, file: found.isFile() };
    }),
  );
  let total = 0;
  for (const { path, size, mtimeMs, file } of files.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    total += file ? size : 0;
    const abandoned = path.endsWith('.tmp') && Date.now() - mtimeMs > 3_600_000; // of a process that was killed
    if (total > LIMIT || abandoned || !file) await remove(path);
  }
}
