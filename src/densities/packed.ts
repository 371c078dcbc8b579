// Many numbers in; the text that holds them in JSON, to float32 precision, out, and back.

import { fromBase64, toBase64 } from '../base64.ts';
import { DataError } from '../errors.ts';

/** Base64 of little-endian float32. */
export function packed(values: ArrayLike<number>): string {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return toBase64(new Uint8Array(view.buffer));
}

/** The numbers again. Throws a DataError that begins with `where` unless there are `count` finite ones. */
export function unpacked(text: string, count: number, where: string): Float64Array {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(text);
  } catch (error) {
    throw new DataError(`${where}: is not base64`, { cause: error });
  }
  if (bytes.length !== 4 * count) {
    throw new DataError(`${where}: has ${bytes.length} bytes, expected ${4 * count}: ${count} numbers of 4`);
  }
  const view = new DataView(bytes.buffer);
  const values = Float64Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
  const odd = values.find((v) => !Number.isFinite(v));
  if (odd !== undefined) throw new DataError(`${where}: has the number ${odd}, expected finite ones`);
  return values;
}
