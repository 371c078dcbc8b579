// What a command will write and what it reads, so that the first destroys nothing of the second: claimed before its
// work begins.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { defined } from '../defined.ts';
import { inOrder } from '../in-order.ts';
import { type Claim, claimFiles, claimFolder, pathsOf } from '../node/index.ts';
import type { RunOptions } from './options.ts';

export interface Outputs {
  /** Files that will be written, or a folder that will be filled; those left out by the user are undefined. */
  readonly files?: readonly (string | undefined)[];
  readonly folder?: string;
  /** Files beside each of the files that will be written too, by what is added to its name. */
  readonly beside?: readonly string[];
  /** Models, detectors and other files that are read. */
  readonly reads?: readonly (string | undefined)[];
  /** DATA arguments. */
  readonly data?: readonly (string | undefined)[];
}

const given = (value: string | undefined): value is string => value !== undefined;

/**
 * Throws where an output cannot be written, another process is at it, or something that is read would be overwritten.
 */
export async function claimOutputs(outputs: Outputs, options: RunOptions): Promise<Claim> {
  const files = outputs.files?.filter(given) ?? [];
  const named = outputs.reads?.filter(given) ?? [];
  const { dataDir } = options;
  const data = await inOrder((outputs.data ?? []).filter(given).map((spec) => pathsOf(spec, defined({ dataDir }))));
  const external = await inOrder(named.flatMap((model) => files.map((file) => externalOf(model, file))));
  const reads = [...named, ...data.flat(), ...external.flat()];
  return outputs.folder === undefined ? claimFiles(files, reads, outputs.beside) : claimFolder(outputs.folder, reads);
}

/**
 * The file, where it is external data of an ONNX model: there its location stands in the model's file, behind its
 * length.
 */
async function externalOf(model: string, file: string): Promise<readonly string[]> {
  const location = Buffer.from(relative(dirname(resolve(model)), resolve(file)).replaceAll('\\', '/'));
  if (!/\.onnx$/i.test(model) || location.length > 127 || String(location).startsWith('..') || !existsSync(file)) {
    return [];
  }
  const bytes = await readFile(model).catch(() => Buffer.alloc(0));
  return bytes.includes(Buffer.concat([Buffer.of(location.length), location])) ? [file] : [];
}
