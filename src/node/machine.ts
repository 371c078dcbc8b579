// What this machine has.

import { availableParallelism, totalmem } from 'node:os';

/** More threads than this only wait for each other; many more than that cannot be made. */
export const mostThreads = (): number => Math.max(64, 4 * availableParallelism());

/** Bytes of memory that a process can have: the machine's, or what its container may take. */
export function machineMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0; // 0 or beyond all reason where there is none
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
