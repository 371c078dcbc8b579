// Where a reader's bytes come from, whatever holds them: a file, memory, a Blob, a server that answers requests for
// ranges.

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
  const { buffer, byteOffset, length: size } = bytes;
  // a Node Buffer's slice is a view where everybody else's is a copy
  const plain = new Uint8Array(buffer, byteOffset, size);
  return { name, size, read: async (offset, length) => plain.subarray(offset, offset + length) };
}

/** All `source.size` bytes of a source, in memory. Throws a DataError that names the source where it cannot be read. */
export const readAll = (source: ByteSource): Promise<Uint8Array> => source.read(0, source.size);
