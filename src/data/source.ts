// Where a reader's bytes come from, whatever holds them: a file, memory, a Blob, a server that answers requests for
// ranges.

import { plainBytes } from '../plain-bytes.ts';

/** Bytes that can be read piece by piece. */
export interface ByteSource {
  /** For messages: the path, or what the user calls it. Readers tell formats by how it ends. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * `length` bytes from `offset` on, which are ours to keep; fewer where the source has become shorter. Throws a
   * DataError that names the source.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A whole file, such as a picture; `where` names it in messages. */
export interface EncodedFile {
  readonly bytes: Uint8Array;
  readonly where: string;
}

/** Bytes in memory. What is read of them shares memory with them. */
export function bytesSource(bytes: Uint8Array, name: string): ByteSource {
  const plain = plainBytes(bytes);
  return { name, size: plain.length, read: async (offset, length) => plain.subarray(offset, offset + length) };
}

/** All `source.size` bytes of a source, in memory. Throws a DataError that names the source where it cannot be read. */
export const readAll = (source: ByteSource): Promise<Uint8Array> => source.read(0, source.size);
