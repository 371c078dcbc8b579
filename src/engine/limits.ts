// What this machine has, and what of it may be asked for.

import { availableParallelism, totalmem } from 'node:os';
import { ModelError } from '../errors.ts';

/** More threads than this only wait for each other; many more than that cannot be made. */
export const mostThreads = (): number => Math.max(64, 4 * availableParallelism());

/** Bytes of memory that a process can have: the machine's, or what its container may take. */
export function machineMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0; // 0 or beyond all reason where there is none
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Throws a ModelError where `what` takes more bytes than the machine has; `remedy` says what would take less. */
export function checkFits(bytes: number, what: string, remedy: string): void {
  const most = machineMemory();
  if (bytes <= most) return;
  throw new ModelError(
    `${what}: takes ${bytes < 1e15 ? `about ${sizeText(bytes)}` : 'more memory than there is'}, the machine has ${sizeText(most)}; ${remedy}`,
  );
}

/** The size in GB, or in whatever is shorter. */
function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Whether an error says that memory was not to be had: from the runtime, a typed array, WebAssembly or the system's loader of libraries. */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /bad_alloc|bad allocation|(failed to|cannot) allocate|failed to map|allocation failed|out of memory|Invalid (typed )?array( buffer)? length/i.test(
    error.message,
  );
}
