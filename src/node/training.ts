// A training run in a folder: the folder is claimed, and its files are the run's store.

import { existsSync } from 'node:fs';
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkOptions, text } from '../arguments.ts';
import type { Runtime } from '../engine/index.ts';
import { DataError } from '../errors.ts';
import type * as training from '../train/index.ts';
import { encodedFile, reasonOf, writeFileAtomic } from './files.ts';
import { type Claim, claimFolder, during } from './output.ts';
import { nodeRuntime } from './runtime.ts';

/** The files of a folder, each written whole or not at all. Throws a DataError where that does not go. */
export function folderStore(dir: string): training.Store {
  const at = (file: string) => join(dir, file);
  return {
    name: dir,
    read: async (file) => (existsSync(at(file)) ? encodedFile(at(file)) : undefined),
    has: async (file) => existsSync(at(file)),
    write: async (file, bytes) => {
      await mkdir(dir, { recursive: true });
      await writeFileAtomic(at(file), bytes);
    },
    append: (file, text) =>
      appendFile(at(file), text).catch((error: unknown) => {
        throw new DataError(`${at(file)}: cannot add a line: ${reasonOf(error, dir)}`, { cause: error });
      }),
    remove: (file) => rm(at(file), { force: true }),
  };
}

/** As in `train/`, with a folder for the store, and a runtime that may be left out. */
export interface TrainOptions extends Omit<training.TrainOptions, 'store' | 'runtime'> {
  readonly dir: string;
  /** Of `dir`, where it was claimed before, see `claimFolder`. Left out: it is claimed here. */
  readonly claim?: Claim;
  /** Default: `nodeRuntime()`. */
  readonly runtime?: Runtime;
}

/**
 * Trains in a folder, see `train/`. Throws a ModelError where it holds something else, a DataError where it cannot be
 * written to or another process trains in it.
 */
export async function train(options: TrainOptions): Promise<training.Progress | undefined> {
  checkOptions('train', options, { dir: text });
  const { dir, claim, ...given } = options;
  const { train: run } = await import('../train/index.ts');
  const how = { runtime: nodeRuntime(), ...given, store: folderStore(dir) };
  return claim ? run(how) : during(await claimFolder(dir), () => run(how));
}

/** Whether a run in `dir` came to its end. */
export const isTrained = async (dir: string): Promise<boolean> =>
  (await import('../train/index.ts')).isTrained(folderStore(dir));
