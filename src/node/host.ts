// Node's own hashes and decompression, in place of those in JavaScript. Loading this file is enough.

import { createHash } from 'node:crypto';
import { brotliDecompressSync, constants, unzipSync } from 'node:zlib';
import { type Hash, type Host, setHost } from '../host.ts';

export const nodeHost: Host = {
  sha256() {
    const hash = createHash('sha256');
    const own: Hash = {
      update(piece) {
        hash.update(piece);
        return own;
      },
      digest: () => hash.digest('hex'),
    };
    return own;
  },
  inflate(packed, { most, cut = false }) {
    const flush = cut ? { finishFlush: constants.Z_SYNC_FLUSH } : {};
    // `info` adds how much was read: bytes behind the stream are ignored otherwise. The type declarations do not know
    // of it.
    const result: unknown = limited(most, () =>
      unzipSync(packed, { maxOutputLength: Math.max(1, most), info: true, ...flush }),
    );
    const { buffer, engine } = result as { buffer: Uint8Array; engine: { bytesWritten: number } };
    return { bytes: plain(buffer, most), read: engine.bytesWritten };
  },
  unbrotli(packed, { most }) {
    return plain(
      limited(most, () => brotliDecompressSync(packed, { maxOutputLength: Math.max(1, most) })),
      most,
    );
  },
};

function limited<T>(most: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError) || !('code' in error) || error.code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new RangeError(`holds more than ${most} bytes`, { cause: error });
  }
}

/** No Buffer, whose slice is a view where everybody else's is a copy. */
function plain({ buffer, byteOffset, length }: Uint8Array, most: number): Uint8Array {
  if (length > most) throw new RangeError(`holds more than ${most} bytes`);
  return new Uint8Array(buffer, byteOffset, length);
}

setHost(nodeHost);
