// Paths in, the right answers that lie there out.

import type { Answers } from '../features/index.ts';
import { encodedFile } from './files.ts';

/** See `parseAnswers`. Throws a DataError also where a file cannot be read. */
export async function readAnswers(path: string, inputsPath?: string): Promise<Answers> {
  const { parseAnswers } = await import('../features/index.ts');
  return parseAnswers(await encodedFile(path), inputsPath === undefined ? undefined : await encodedFile(inputsPath));
}
