// Files from the network: resumed where they stopped, checked, and in their place only when they are whole.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DataError } from '../errors.ts';
import { moveDurably, readFileBytes, reasonOf, writeFileAtomic } from './files.ts';
import { lock } from './lock.ts';

/** One file on a server and what becomes of it. */
export interface Download {
  readonly url: string;
  /** Hexadecimal, of the file as it is on the server. */
  readonly checksum: { readonly md5: string } | { readonly sha256: string };
  /** Paths within a data directory: the file itself, or what is made of it. */
  readonly files: readonly string[];
  /**
   * `tar`: the files lie, by their names, in a gzipped tar archive. `parts`: the file is cut into them, by `parts` of
   * its length.
   */
  readonly unpack?: 'tar' | 'parts';
  readonly parts?: readonly number[];
}

/** How far the download of one file is. */
export interface DownloadProgress {
  readonly url: string;
  /** Bytes so far, and of the whole where the server says so. */
  readonly done: number;
  readonly of?: number;
}

export interface DownloadOptions {
  /** Address of a folder with the same files, in place of the official one. */
  readonly from?: string;
  /** How long a server may send nothing; ms, default 30,000. */
  readonly silence?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Puts the files of the download into `dir`; nothing is done where all are there. A broken connection or a killed
 * program leaves a file `.part`, from which the next call goes on. Returns whether there was something to do.
 *
 * Throws a DataError, naming the address, where the server cannot be reached, does not have the file, or sends one
 * whose checksum is another, or nothing for too long; where the disk is full, naming the path; where another process is
 * at it. Nothing but a `.part` is left then.
 */
export async function download(task: Download, dir: string, options: DownloadOptions = {}): Promise<boolean> {
  const paths = task.files.map((file) => join(dir, file));
  if (paths.every((path) => existsSync(path))) return false;
  const folder = dirname(paths[0]!);
  const url = options.from === undefined ? task.url : `${options.from.replace(/\/$/, '')}/${basename(task.url)}`;
  if (!URL.canParse(url)) throw new DataError(`${url}: is no address, expected one such as https://example.org/files`);
  const part = join(folder, `${basename(new URL(url).pathname)}.part`);
  try {
    await mkdir(folder, { recursive: true });
    const held = await lock(`${part}.lock`, part);
    try {
      if (paths.every((path) => existsSync(path))) return false; // another process has just been at it
      await fetchFile(url, part, options);
      await verify(part, url, task.checksum);
      if (task.unpack === 'tar') await unpackTar(part, url, paths);
      else if (task.unpack === 'parts') await cut(part, paths, task.parts!);
      else await moveDurably(part, paths[0]!);
      await rm(part, { force: true });
    } finally {
      await held.release();
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${part}: cannot write what ${url} sends: ${reasonOf(error, folder)}`, { cause: error });
  }
  return true;
}

/** Fills `part` from the address, from where it ends on where the server can do that. */
async function fetchFile(url: string, part: string, { onProgress, silence = 30_000 }: DownloadOptions): Promise<void> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), silence);
  try {
    await fetchWhile(url, part, onProgress, stop.signal, () => timer.refresh());
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    throw new DataError(
      `${url}: the server has sent nothing for ${silence / 1000} s; the same command goes on from there`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `alive` whenever something arrives, and gives up when the signal says so. */
async function fetchWhile(
  url: string,
  part: string,
  onProgress: DownloadOptions['onProgress'],
  signal: AbortSignal,
  alive: () => void,
): Promise<void> {
  const had = await stat(part).then(
    (info) => info.size,
    () => 0,
  );
  const response = await get(url, had, signal);
  alive();
  if (response.status === 416) return; // nothing is missing: the checksum will tell whether it is right
  const resumed = response.status === 206;
  if (!response.ok || response.body === null) {
    throw new DataError(`${url}: the server answers ${response.status} ${response.statusText}, expected the file`);
  }
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  let done = resumed ? had : 0;
  // A server that compresses on the way tells the length of what it sends, not of what arrives.
  const of = Number.isFinite(length) && !response.headers.has('content-encoding') ? { of: done + length } : {};
  const source = Readable.fromWeb(response.body as import('node:stream/web').ReadableStream<Uint8Array>);
  let broken: unknown;
  source.on('error', (error) => {
    broken = error;
  });
  source.on('data', (chunk: Uint8Array) => {
    done += chunk.length;
    alive();
    onProgress?.({ url, done, ...of });
  });
  try {
    await pipeline(source, createWriteStream(part, { flags: resumed ? 'a' : 'w' }), { signal });
  } catch (error) {
    if (broken === undefined) throw error;
    throw new DataError(`${url}: the connection broke after ${done} bytes; the same command goes on from there`, {
      cause: error,
    });
  }
}

async function get(url: string, from: number, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, {
      signal,
      headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new DataError(`${url}: cannot be reached: ${cause}`, { cause: error });
  }
}

async function verify(part: string, url: string, checksum: Download['checksum']): Promise<void> {
  const [[algorithm, expected]] = Object.entries(checksum) as [[string, string]];
  const hash = createHash(algorithm);
  await pipeline(createReadStream(part), hash);
  const found = hash.digest('hex');
  if (found === expected) return;
  const { size } = await stat(part);
  await rm(part);
  throw new DataError(
    `${url}: ${algorithm} of the ${size} bytes is ${found}, expected ${expected}; they are thrown away`,
  );
}

async function unpackTar(archive: string, url: string, paths: readonly string[]): Promise<void> {
  const folder = dirname(paths[0]!);
  const prefix = '.fisher-ood-unpack-';
  for (const left of (await readdir(folder)).filter((name) => name.startsWith(prefix))) {
    await rm(join(folder, left), { recursive: true, force: true }); // by a process that was killed; we hold the lock
  }
  const temporary = await mkdtemp(join(folder, prefix));
  try {
    const wanted = new Set(paths.map((path) => basename(path)));
    const { extract } = await import('tar');
    // Strict: otherwise a full disk is a warning.
    await extract({
      file: archive,
      cwd: temporary,
      strip: 1,
      strict: true,
      filter: (path) => wanted.has(basename(path)),
    });
    const missing = paths.find((path) => !existsSync(join(temporary, basename(path))));
    if (missing !== undefined) throw new DataError(`${url}: holds no file ${basename(missing)}`);
    for (const path of paths) await moveDurably(join(temporary, basename(path)), path);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function cut(file: string, paths: readonly string[], parts: readonly number[]): Promise<void> {
  const bytes = await readFileBytes(file);
  let [start, sum] = [0, 0];
  for (const [i, path] of paths.entries()) {
    sum += parts[i]!;
    const end = Math.round(sum * bytes.length);
    await writeFileAtomic(path, bytes.subarray(start, end));
    start = end;
  }
}
