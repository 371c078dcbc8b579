// The files beside an .onnx file that hold its large tensors: hashed once, piece by piece; a tensor's bytes read when
// they are wanted.

import { createHash } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { ModelError } from '../errors.ts';
import type { ExternalStore } from '../store/index.ts';

/** Bytes at a time: while one piece is hashed the next one is read. */
const PIECE = 2 ** 20;

interface ExternalFile {
  readonly where: string;
  readonly full: string;
  /** As it was when it was first looked at: what is read later must still be that. */
  readonly stats: Stats;
  /** What was read, by its place: tensors that lie in the same place share it. */
  readonly ranges: Map<string, Uint8Array>;
  /** Bytes in these ranges. */
  taken: number;
}

/** The external data of one model. */
export class ExternalFiles implements ExternalStore {
  readonly #path: string;
  readonly #files = new Map<string, ExternalFile>();
  /** The files of all tensors, in order: a file again for every tensor in it. */
  readonly #tensors: ExternalFile[] = [];

  /** `path`: the .onnx file; through a link, the folder is that of the file itself, then that of the link. */
  constructor(path: string) {
    this.#path = path;
  }

  get any(): boolean {
    return this.#files.size > 0;
  }

  size(location: string): number {
    const file = this.#file(location);
    this.#tensors.push(file);
    return file.stats.size;
  }

  read(location: string, offset: number, length: number): Uint8Array {
    const file = this.#file(location);
    const known = file.ranges.get(`${offset} ${length}`);
    if (known) return known;
    // Ranges that overlap could ask for a multiple of the file.
    file.taken += length;
    if (file.taken > file.stats.size) {
      throw new ModelError(`${file.where} has ${file.stats.size} bytes, its tensors overlap and take more`);
    }
    const bytes = bytesAt(file, offset, length);
    file.ranges.set(`${offset} ${length}`, bytes);
    return bytes;
  }

  peek(location: string, offset: number, length: number): Uint8Array {
    return bytesAt(this.#file(location), offset, length);
  }

  async hashes(): Promise<{ readonly location: string; readonly sha256: string }[]> {
    const out: { location: string; sha256: string }[] = [];
    for (const [location, file] of this.#files) out.push({ location, sha256: await hashOf(file) });
    return out;
  }

  get bytesAsOften(): number {
    return this.#tensors.reduce((sum, file) => sum + file.stats.size, 0);
  }

  eachAsOften(use: (bytes: Uint8Array) => void): void {
    const piece = new Uint8Array(PIECE);
    for (const file of this.#tensors) {
      reading(file, (fd) => {
        for (let n = readSync(fd, piece); n > 0; n = readSync(fd, piece)) use(piece.subarray(0, n));
      });
    }
  }

  #file(location: string): ExternalFile {
    let file = this.#files.get(location);
    if (!file) {
      const where = `${this.#path}: external data '${location}'`;
      const full = placeOf(this.#path, location, where);
      file = { where, full, stats: statsOf(full, where), ranges: new Map(), taken: 0 };
      this.#files.set(location, file);
    }
    return file;
  }
}

function bytesAt(file: ExternalFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  reading(file, (fd) => {
    for (let at = 0; at < length; ) {
      const n = readSync(fd, bytes, at, Math.min(2 ** 30, length - at), offset + at);
      if (n === 0) throw changed(file);
      at += n;
    }
  });
  return bytes;
}

/** Where a file beside the model lies. Throws ModelError where it may not be read. */
function placeOf(path: string, location: string, where: string): string {
  if (isAbsolute(location) || location.split(/[\\/]/).includes('..')) {
    throw new ModelError(`${where} leaves the model's folder`);
  }
  const folders = [...new Set([dirname(realpathSync(path)), dirname(path)])];
  // A model written on Windows may name its folders with backslashes.
  const names = [...new Set([location, location.replaceAll('\\', '/')])];
  const places = folders.flatMap((folder) => names.map((name) => ({ folder, full: join(folder, name) })));
  const there = places.find(({ full }) => trying(where, () => lstatSync(full, { throwIfNoEntry: false })));
  if (!there) throw new ModelError(`${where} cannot be read: no such file in ${folders.join(' or ')}`);
  const inside = trying(where, () => relative(realpathSync(there.folder), realpathSync(there.full)));
  const leaves = inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside);
  if (leaves || lstatSync(there.full).isSymbolicLink()) {
    throw new ModelError(`${where} is a link, expected a file in the model's folder`);
  }
  return there.full;
}

/** Looked at before it is opened: to open a pipe would be to wait. */
function statsOf(full: string, where: string): Stats {
  const stats = trying(where, () => statSync(full));
  if (!stats.isFile()) throw new ModelError(`${where} is not a file`);
  return stats;
}

async function hashOf(file: ExternalFile): Promise<string> {
  const hash = createHash('sha256');
  let handle: FileHandle | undefined;
  try {
    handle = await open(file.full, 'r');
    if (!same(await handle.stat(), file.stats)) throw changed(file);
    const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)] as const;
    let [at, k] = [0, 0];
    let next = handle.read(buffers[0], 0, PIECE, 0);
    for (let { bytesRead: n } = await next; n > 0; { bytesRead: n } = await next) {
      const piece = buffers[k % 2]!.subarray(0, n);
      at += n;
      next = handle.read(buffers[++k % 2]!, 0, PIECE, at);
      hash.update(piece);
    }
    if (at !== file.stats.size) throw changed(file);
    return hash.digest('hex');
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw unreadable(file.where, error);
  } finally {
    await handle?.close();
  }
}

/** Opens a file, for as long as `use` takes, that is still what it was. */
function reading(file: ExternalFile, use: (fd: number) => void): void {
  let fd: number | undefined;
  try {
    fd = openSync(file.full, 'r');
    if (!same(fstatSync(fd), file.stats)) throw changed(file);
    use(fd);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw unreadable(file.where, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

const same = (a: Stats, b: Stats) =>
  a.isFile() && a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs;

const changed = (file: ExternalFile) => new ModelError(`${file.where} has changed since the model was opened`);

function trying<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw unreadable(where, error);
  }
}

const unreadable = (where: string, error: unknown) =>
  new ModelError(`${where} cannot be read: ${error instanceof Error ? error.message : error}`);
