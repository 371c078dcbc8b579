// What a machine does many times faster than JavaScript: hashes and decompression. In JavaScript unless a host brings
// its own, as Node does (node/host.ts); the results are the same to the byte.

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { Inflate } from 'pako';

/** SHA-256 of what it is given piece by piece; text as UTF-8. */
export interface Hash {
  update(piece: Uint8Array | string): Hash;
  /** Hexadecimal; nothing can be added afterwards. */
  digest(): string;
}

/** What came out of compressed data, and how many bytes of those were used. */
interface Inflated {
  readonly bytes: Uint8Array;
  readonly read: number;
}

export interface Host {
  sha256(): Hash;
  /**
   * The content of data in zlib's or gzip's format, checksum verified. Throws a RangeError where there is more than
   * `most` bytes, and an Error with zlib's message where the data are damaged. `cut`: they are the beginning of longer
   * ones, and so is the result.
   */
  inflate(packed: Uint8Array, options: { readonly most: number; readonly cut?: boolean }): Inflated;
  /** As `inflate`, for Brotli. Left out: there is none that can be had at once. */
  unbrotli?(packed: Uint8Array, options: { readonly most: number }): Uint8Array;
}

/** In JavaScript alone. */
export const portable: Host = {
  sha256() {
    const hash = sha256.create();
    const own: Hash = {
      update(piece) {
        hash.update(typeof piece === 'string' ? utf8ToBytes(piece) : piece);
        return own;
      },
      digest: () => bytesToHex(hash.digest()),
    };
    return own;
  },
  inflate(packed, { most, cut = false }) {
    const inflater = new Inflate();
    const pieces: Uint8Array[] = [];
    let length = 0;
    let status: number = 0;
    inflater.onData = (piece) => {
      length += piece.length;
      if (length > most) throw new RangeError(`holds more than ${most} bytes`);
      pieces.push(piece);
    };
    inflater.onEnd = (code) => {
      status = code;
    };
    const [SYNC_FLUSH, FINISH, END_OF_DATA] = [2, 4, -5] as const; // as zlib.h has them
    inflater.push(packed, cut ? SYNC_FLUSH : FINISH);
    if (status === END_OF_DATA && !cut) throw new Error('unexpected end of file');
    if (status !== 0 && status !== END_OF_DATA) throw new Error(inflater.msg);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return { bytes, read: packed.length - (inflater as unknown as { strm: { avail_in: number } }).strm.avail_in };
  },
};

let current = portable;

/** The host in use. */
export const host = (): Host => current;

/** From now on everything is done by this one. */
export function setHost(own: Host): void {
  current = own;
}
