// A path in, a detector file's content out, and back.

import { checkArguments, detector, text } from '../arguments.ts';
import type { Detector } from '../detectors/detector.ts';
import type { DetectorFile } from '../detectors/fitted.ts';
import { formatDetector, parseDetector } from '../detectors/format.ts';
import { readFileBytes, writeFileAtomic } from './files.ts';

/**
 * Reads a detector; `others` are detectors of your own that it may hold. Throws a DataError for a missing or malformed
 * file or an unknown version.
 */
export async function readDetector(path: string, others: readonly Detector<object>[] = []): Promise<DetectorFile> {
  checkArguments('readDetector', { path }, { path: text });
  return parseDetector(new TextDecoder().decode(await readFileBytes(path)), path, others);
}

/** Writes a detector; the file appears whole or not at all. Throws a DataError when it cannot. */
export async function writeDetector(path: string, file: DetectorFile): Promise<void> {
  checkArguments('writeDetector', { path, file }, { path: text, file: detector });
  await writeFileAtomic(path, formatDetector(file));
}
