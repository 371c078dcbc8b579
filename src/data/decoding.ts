// Why a file's content could not be decoded, in a user's words: the file's fault, or the memory's.

import { DataError } from '../errors.ts';

/** What engines and native libraries say where there is no memory left; sizes that no array can have are damage. */
const NO_MEMORY = /allocation failed|failed to allocate|bad_alloc|out of memory|cannot allocate memory|ENOMEM/i;

/**
 * The error to throw for `error`, met while decoding: `what` is said of `where`, with the first line of the reason; but
 * of memory that was not to be had, which is not the file's fault, that it was not. A DataError stays what it is.
 */
export function decodingError(error: unknown, where: string, what: string): DataError {
  if (error instanceof DataError) return error;
  const reason = error instanceof Error ? error.message.split('\n')[0]! : String(error);
  const text = NO_MEMORY.test(reason) ? `the memory does not suffice to read it (${reason})` : `${what}: ${reason}`;
  return new DataError(`${where}: ${text}`, { cause: error });
}
