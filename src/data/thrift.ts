// Thrift's compact protocol, as far as the page headers of Parquet use it: bytes -> fields by number.
//
// thrift.apache.org, thrift-compact-protocol.md. Every length is compared with what is there before it is believed.

import { DataError } from '../errors.ts';

/** A place in some bytes; reading moves it. */
export interface Cursor {
  /** For messages. */
  readonly where: string;
  readonly bytes: Uint8Array;
  at: number;
}

type Thrift = number | boolean | undefined | Struct;
export type Struct = ReadonlyMap<number, Thrift>;

/** Headers nest three deep. */
const MAX_DEPTH = 8;

/** The fields of the struct at the cursor: numbers, booleans and structs; undefined for what else there is. */
export function readStruct(cursor: Cursor, depth = 0): Struct {
  const fields = new Map<number, Thrift>();
  let id = 0;
  while (true) {
    const byte = readByte(cursor);
    if (byte === 0) return fields;
    id = byte >> 4 === 0 ? zigzag(readVarint(cursor)) : id + (byte >> 4);
    fields.set(id, readElement(cursor, byte & 15, depth));
  }
}

/** Seven bits a byte, least significant first, at most 64 bits; beyond 2^53 not exact, which no length here can be. */
export function readVarint(cursor: Cursor): number {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = readByte(cursor);
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return value;
  }
  throw new DataError(`${cursor.where}: a number at byte ${cursor.at} has more than 64 bits`);
}

/** Statistics and the like are skipped. */
function readElement(cursor: Cursor, type: number, depth: number): Thrift {
  if (depth > MAX_DEPTH) throw new DataError(`${cursor.where}: a page header nests more than ${MAX_DEPTH} deep`);
  switch (type) {
    case 1:
      return true;
    case 2:
      return false;
    case 3:
      return readByte(cursor);
    case 4:
    case 5:
    case 6:
      return zigzag(readVarint(cursor));
    case 7:
      return skip(cursor, 8);
    case 8:
      return skip(cursor, readVarint(cursor));
    case 9:
    case 10: {
      const head = readByte(cursor);
      const size = head >> 4 === 15 ? readVarint(cursor) : head >> 4;
      const item = head & 15;
      // Every item takes at least a byte, a boolean exactly one, so this ends with the bytes at the latest.
      for (let i = 0; i < size; i++) {
        if (item === 1 || item === 2) readByte(cursor);
        else readElement(cursor, item, depth + 1);
      }
      return undefined;
    }
    case 12:
      return readStruct(cursor, depth + 1);
    default:
      throw new DataError(`${cursor.where}: a page header has a field of type ${type}, which Thrift does not have`);
  }
}

function skip(cursor: Cursor, length: number): undefined {
  if (length > cursor.bytes.length - cursor.at) throw endsEarly(cursor);
  cursor.at += length;
}

function readByte(cursor: Cursor): number {
  const byte = cursor.bytes[cursor.at];
  if (byte === undefined) throw endsEarly(cursor);
  cursor.at++;
  return byte;
}

function zigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function endsEarly(cursor: Cursor): DataError {
  return new DataError(`${cursor.where}: the data ends in the middle of a page header or of its levels`);
}
