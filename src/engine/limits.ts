// What of a machine may be asked for, and how it is told that it was too much.

import { ModelError } from '../errors.ts';

/** Throws a ModelError where `what` takes more bytes than there are, `memory`; `remedy` says what would take less. */
export function checkFits(bytes: number, memory: number, what: string, remedy: string): void {
  if (bytes <= memory) return;
  throw new ModelError(
    `${what}: takes ${bytes < 1e15 ? `about ${sizeText(bytes)}` : 'more memory than there is'}, the machine has ${sizeText(memory)}; ${remedy}`,
  );
}

/** The size in GB, or in whatever is shorter. */
function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * Whether an error says that memory was not to be had: from the runtime, a typed array, WebAssembly or the system's
 * loader of libraries.
 */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /bad_alloc|bad allocation|(failed to|cannot) allocate|failed to map|allocation failed|out of memory|Invalid (typed )?array( buffer)? length/i.test(
    error.message,
  );
}
