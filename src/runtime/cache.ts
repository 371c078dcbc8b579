// Graphs as the runtime has optimised them, kept on disk: opening one again takes a fraction of the time.

import { createHash, randomBytes } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { cpus, homedir, hostname } from 'node:os';
import { join } from 'node:path';

/** Beyond this many bytes the graphs that were not used for longest are deleted. */
const LIMIT = 512 * 2 ** 20;

/** Where optimised graphs are kept: $FISHER_OOD_CACHE or ~/.cache/fisher-ood/sessions; undefined where the variable is empty. */
export function sessionCache(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  return (env.FISHER_OOD_CACHE ?? join(homedir(), '.cache', 'fisher-ood', 'sessions')) || undefined;
}

export interface CacheEntry {
  /** The optimised graph; undefined where there is none, or it is damaged. */
  read(): Promise<Uint8Array | undefined>;
  /** Deletes it: the runtime does not take it. */
  drop(): Promise<void>;
  /** Has `make` write it to a path, and keeps it if `make` says so. Throws nothing but what `make` throws. */
  fill(make: (path: string | undefined) => Promise<boolean>): Promise<void>;
}

/** The place of a graph. It is told by the graph's bytes, the runtime's version and the processor, for which the runtime lays out its weights. */
export function cacheEntry(dir: string, model: Uint8Array, runtime: string): CacheEntry {
  const key = createHash('sha256').update(model).update(`${runtime} ${processor()}`).digest('hex');
  const prefix = `${key.slice(0, 32)}-`;
  const find = async () => (await readdir(dir)).find((entry) => entry.startsWith(prefix) && OURS.test(entry));
  return {
    async drop() {
      const name = await find().catch(() => undefined);
      if (name !== undefined) await rm(join(dir, name), { force: true }).catch(() => undefined);
    },

    async read() {
      try {
        const name = await find();
        if (name === undefined) return undefined;
        const path = join(dir, name);
        const bytes = await readFile(path);
        if (name !== nameOf(prefix, bytes)) {
          await rm(path, { force: true });
          return undefined;
        }
        const now = new Date();
        await utimes(path, now, now).catch(() => undefined); // a folder that is only for reading serves as well
        return bytes;
      } catch {
        return undefined;
      }
    },

    async fill(make) {
      const temporary = join(dir, `.${randomBytes(8).toString('hex')}.tmp`);
      const ready = await mkdir(dir, { recursive: true })
        .then(() => access(dir, constants.W_OK))
        .then(
          () => true,
          () => false,
        );
      try {
        const worth = await make(ready ? temporary : undefined);
        if (ready && worth) await keep(dir, temporary, prefix);
      } finally {
        await rm(temporary, { force: true }).catch(() => undefined);
      }
    },
  };
}

/** Gives the file its name among the others. A cache that cannot be written is none; what it was for has been done. */
async function keep(dir: string, temporary: string, prefix: string): Promise<void> {
  try {
    const bytes = await readFile(temporary);
    if (bytes.length > LIMIT) return;
    await rename(temporary, join(dir, nameOf(prefix, bytes)));
    await prune(dir);
  } catch {
    // as if it were not there
  }
}

/** The name carries the hash of the content: a damaged file is not what its name says. */
const nameOf = (prefix: string, bytes: Uint8Array) =>
  `${prefix}${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}.onnx`;

/** Graphs and what a killed process left of one. The folder may hold files of others. */
const OURS = /^([0-9a-f]{32}-[0-9a-f]{32}\.onnx|\.[0-9a-f]{16}\.tmp)$/;

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
      const { size, mtimeMs } = await stat(path);
      return { path, size, mtimeMs };
    }),
  );
  let total = 0;
  for (const { path, size, mtimeMs } of files.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    total += size;
    const abandoned = path.endsWith('.tmp') && Date.now() - mtimeMs > 3_600_000; // of a process that was killed
    if (total > LIMIT || abandoned) await rm(path, { force: true });
  }
}
