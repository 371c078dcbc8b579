// Bytes of whatever kind of array in; the same memory as a plain Uint8Array out.

/**
 * The same bytes. A Node Buffer's `slice` is a view where everybody else's is a copy, so what comes in is made plain.
 */
export const plainBytes = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, length);
