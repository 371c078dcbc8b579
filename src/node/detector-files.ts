// A path in, a detector file's content out, and back.

import { type DetectorFile, formatDetector, parseDetector } from '../detectors/file.ts';
import { readFileBytes, writeFileAtomic } from './files.ts';

/** Reads a detector. Throws a DataError for a missing or malformed file or an unknown version. */
export async function readDetector(path: string): Promise<DetectorFile> {
  return parseDetector(new TextDecoder().decode(await readFileBytes(path)), path);
}

/** Writes a detector; the file appears whole or not at all. Throws a DataError when it cannot. */
export async function writeDetector(path: string, file: DetectorFile): Promise<void> {
  await writeFileAtomic(path, formatDetector(file));
}
