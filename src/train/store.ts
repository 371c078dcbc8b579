// Where a training run keeps what it has done: four files, whatever holds them.

import type { EncodedFile } from '../data/index.ts';

/** What a folder of a trained model holds; a run writes no others. */
export const modelFiles = ['model.json', 'weights.safetensors', 'checkpoint.safetensors', 'train.log.jsonl'] as const;

type ModelFile = (typeof modelFiles)[number];

export const [infoFile, weightsFile, checkpointFile, logFile] = modelFiles;

/** All of it is one run's. What does not go is thrown, with the file's name. */
export interface Store {
  /** What messages call it: the path of a folder. */
  readonly name: string;
  /** The content and the full name of a file; undefined where there is none. */
  read(file: ModelFile): Promise<EncodedFile | undefined>;
  has(file: ModelFile): Promise<boolean>;
  /** Replaces a file: whoever reads it, also after a crash, finds all of the old or all of the new. */
  write(file: ModelFile, bytes: Uint8Array | string): Promise<void>;
  /** Adds to the end of a file; of a crash a part of it may be left. */
  append(file: ModelFile, text: string): Promise<void>;
  /** Takes a file away, if it is there. */
  remove(file: ModelFile): Promise<void>;
}

/** A store that is gone with the program. */
export function memoryStore(name = 'memory'): Store {
  const files = new Map<ModelFile, Uint8Array>();
  const bytesOf = (content: Uint8Array | string) =>
    typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return {
    name,
    read: async (file) => {
      const bytes = files.get(file);
      return bytes && { bytes, where: `${name}/${file}` };
    },
    has: async (file) => files.has(file),
    write: async (file, content) => {
      files.set(file, bytesOf(content));
    },
    append: async (file, text) => {
      files.set(file, Uint8Array.from([...(files.get(file) ?? []), ...bytesOf(text)]));
    },
    remove: async (file) => {
      files.delete(file);
    },
  };
}

/**
 * Whether a run came to its end. Weights beside a checkpoint: stopped after the last step, before the checkpoint was
 * taken away.
 */
export const isTrained = async (store: Store): Promise<boolean> =>
  (await store.has(weightsFile)) && !(await store.has(checkpointFile));
