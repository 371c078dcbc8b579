// Results of stages on disk, each computed once and found again by what it was made from.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { readFileBytes, writeFileAtomic } from '../node/index.ts';

/**
 * To be raised when the code makes something else of the same features or in the same stage: what older code left is
 * then not taken.
 */
export const VERSION = 3;

/** Short, and another for whatever is not the same JSON. */
export const keyOf = (key: unknown): string => fingerprintOf(JSON.stringify(key)).slice(0, 16);

/** What `compute` returns; from `folder`, where it was computed before for this name and key. */
export async function stageIn<T>(
  folder: string,
  { name, key, progress }: { readonly name: string; readonly key: unknown; readonly progress: (what: string) => void },
  compute: () => Promise<T>,
): Promise<T> {
  const path = join(folder, `${name}-${keyOf([key, VERSION])}.json`);
  if (existsSync(path))
    return parseJson(await readFileBytes(path), path, DataError, '; delete it to compute it again') as T;
  progress(name);
  const text = JSON.stringify(await compute());
  await writeFileAtomic(path, text);
  return JSON.parse(text) as T; // what a later run will read, so that both see the same
}
