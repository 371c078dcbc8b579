import { describe, expect, it } from 'vitest';
import { machineMemory, mostThreads } from '../node/machine.ts';
import { checkFits, isOutOfMemory } from './limits.ts';

/** What `work` throws. */
function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('limits of the machine', () => {
  it('are those that a user can act on', () => {
    expect(mostThreads()).toBeGreaterThanOrEqual(64);
    checkFits(machineMemory() / 2, machineMemory(), 'half', '');
    expect(() => checkFits(2 * machineMemory(), machineMemory(), 'a batch of 7', 'take less')).toThrow(
      /^a batch of 7: takes about [\d.]+ [MG]B, the machine has [\d.]+ [MG]B; take less$/,
    );
    expect(() => checkFits(Infinity, machineMemory(), 'it', 'take less')).toThrow(
      /^it: takes more memory than there is, the machine has/,
    );
  });

  it('are told from faults of the program', () => {
    expect(isOutOfMemory(thrown(() => new Float64Array(2 ** 52)))).toBe(true);
    expect(isOutOfMemory(thrown(() => new ArrayBuffer(2 ** 46)))).toBe(true);
    expect(isOutOfMemory(new Error('bfc_arena.cc: Failed to allocate memory for requested buffer of size 4'))).toBe(
      true,
    );
    const library = 'Could not load it\nERR_DLOPEN_FAILED: libvips-cpp.so: failed to map segment from shared object\n';
    expect(isOutOfMemory(new Error(library))).toBe(true);
    expect(isOutOfMemory(new Error('libx.so: cannot allocate memory in static TLS block'))).toBe(true);
    expect(isOutOfMemory(thrown(() => (undefined as unknown as string).length))).toBe(false);
    expect(isOutOfMemory('out of memory')).toBe(false);
  });
});
