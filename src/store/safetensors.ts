// Named tensors to and from the bytes of a safetensors file: eight bytes of header length, a JSON header, the data. In
// memory they are float32; on disk they may be in half precision.

import { Float16Array } from '@petamoriken/float16';
import * as z from 'zod';
import { ModelError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { plainBytes } from '../plain-bytes.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)).max(64),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

type DType = 'F32' | 'F16';

const bytesOf = { F32: 4, F16: 2 } as const satisfies Record<DType, number>;

/**
 * Weights in the order given; the header is padded with spaces so that the data start at a multiple of 8 bytes. 'F16'
 * keeps 11 bits of each number; throws ModelError for one beyond its range (65,504).
 */
export function writeSafetensors(tensors: Weights, dtype: DType = 'F32'): Uint8Array {
  let at = 0;
  const header = Object.entries(tensors).map(([name, { shape, data }]): [string, z.infer<typeof entrySchema>] => {
    const from = at;
    at += bytesOf[dtype] * data.length;
    return [name, { dtype, shape: [...shape], data_offsets: [from, at] }];
  });
  const json = JSON.stringify(Object.fromEntries(header)); // not by assignment: a tensor may be named __proto__
  const text = new TextEncoder().encode(json + ' '.repeat((8 - (new TextEncoder().encode(json).length % 8)) % 8));
  const bytes = new Uint8Array(8 + text.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let offset = 8 + text.length;
  for (const [name, { data }] of Object.entries(tensors)) {
    const stored = dtype === 'F32' ? data : half(data, name);
    bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), offset);
    offset += stored.byteLength;
  }
  return bytes;
}

function half(data: Float32Array, name: string): Float16Array {
  const out = new Float16Array(data);
  const odd = out.findIndex((v) => !Number.isFinite(v));
  if (odd >= 0) throw new ModelError(`tensor '${name}' holds ${data[odd]}, which half precision cannot`);
  return out;
}

/**
 * Throws ModelError, naming the file, where the bytes are not finite tensors of single or half precision that cover the
 * file exactly.
 */
export function readSafetensors(bytes: Uint8Array, name: string): Weights {
  const plain = plainBytes(bytes);
  if (bytes.length < 8) throw new ModelError(`${name}: ${bytes.length} bytes, a safetensors file has at least 8`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(bytes.length - 8)) {
    throw new ModelError(
      `${name}: the header claims ${length} bytes, the file has ${bytes.length - 8} behind its length`,
    );
  }
  const start = 8 + Number(length);
  const header = parseHeader(bytes.subarray(8, start), name);
  const out: [string, { shape: Shape; data: Float32Array }][] = [];
  let expected = 0;
  for (const [tensor, entry] of Object.entries(header)) {
    const [from, to] = entry.data_offsets;
    if (!Object.hasOwn(bytesOf, entry.dtype)) {
      throw new ModelError(`${name}: tensor '${tensor}' is ${entry.dtype.slice(0, 20)}, expected F32 or F16`);
    }
    const size = bytesOf[entry.dtype as DType] * sizeOf(entry.shape);
    if (from !== expected || to - from !== size || start + to > bytes.length) {
      throw new ModelError(
        `${name}: tensor '${tensor}' ${shapeText(entry.shape)} lies at bytes ${from} to ${to}, expected ${expected} to ${expected + size} of ${bytes.length - start}`,
      );
    }
    const { buffer } = plain.slice(start + from, start + to);
    const data = entry.dtype === 'F32' ? new Float32Array(buffer) : Float32Array.from(new Float16Array(buffer));
    const odd = data.findIndex((v) => !Number.isFinite(v));
    if (odd >= 0) throw new ModelError(`${name}: tensor '${tensor}' holds ${data[odd]} at ${odd}, expected numbers`);
    out.push([tensor, { shape: entry.shape, data }]);
    expected = to;
  }
  if (start + expected !== bytes.length) {
    throw new ModelError(`${name}: ${bytes.length - start} bytes of data, the header describes ${expected}`);
  }
  return Object.fromEntries(out); // not by assignment: a tensor may be named __proto__
}

function parseHeader(text: Uint8Array, name: string): Record<string, z.infer<typeof entrySchema>> {
  const json = parseJson(text, `${name}: the header`, ModelError);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ModelError(`${name}: the header is not an object`);
  }
  return Object.fromEntries(
    Object.entries(json).flatMap(([tensor, value]) => {
      if (tensor === '__metadata__') return [];
      const entry = entrySchema.safeParse(value);
      if (!entry.success) throw new ModelError(`${name}: tensor '${tensor}' has no dtype, shape and data_offsets`);
      return [[tensor, entry.data]];
    }),
  );
}
