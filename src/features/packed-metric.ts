// A metric in, the same as a detector file keeps it out, a byte for each weight; and back.

import * as z from 'zod';
import { fromBase64, toBase64 } from '../base64.ts';
import type { Origin } from '../data/origin.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Metric } from './metric.ts';
import { metricName } from './metric-name.ts';
import { originSchema } from './table-head.ts';

/** The roots of a tensor's weights: 2^(most − (code − 1) · step) for the codes 1 to 255, and 0 for the code 0. */
interface PackedTensor {
  readonly shape: readonly number[];
  readonly most: number;
  readonly step: number;
  /** Bytes in base64, row-major. */
  readonly codes: string;
}

/**
 * A metric in plain JSON. A byte for each weight tells its logarithm, in 254 equal steps between the tensor's largest
 * and smallest: where these differ by a factor of a million, a weight to 3 %. The mean of squares it is made from is
 * known from 400 examples to 7 %.
 */
export interface PackedMetric {
  /** SHA-256 of what follows. Tables name their metric by it. */
  readonly hash: string;
  /** The examples that it was taken from, which are then not fitted on. */
  readonly origin?: Origin;
  /** By parameter. */
  readonly tensors: Readonly<Record<string, PackedTensor>>;
}

const tensorSchema = z.strictObject({
  shape: z.array(z.int().min(1)),
  most: z.number(),
  step: z.number().min(0),
  codes: z.base64(),
});

/** What a file's metric must look like; `unpacked` checks the rest. */
export const metricSchema = z.strictObject({
  hash: z.string().min(1),
  origin: originSchema.optional(),
  tensors: z.record(z.string(), tensorSchema),
});

const LAST = 255;

/**
 * `origin`: the examples that it was taken from. The metric that comes back (`unpacked`) is what tables are to be made
 * with, not the one given.
 */
export function packed(metric: Metric, origin?: Origin): PackedMetric {
  const prefix = metricName('');
  const tensors = Object.fromEntries(
    Object.entries(metric.roots).map(([name, { shape, data }]) => {
      let [least, most] = [Infinity, -Infinity];
      for (const root of data) {
        if (!(root >= 0 && root < Infinity)) throw new DataError(`${name}: a weight's root is ${root}`);
        if (root === 0) continue;
        least = Math.min(least, Math.log2(root));
        most = Math.max(most, Math.log2(root));
      }
      if (most < least) [least, most] = [0, 0];
      const step = (most - least) / (LAST - 1);
      const codeOf = (root: number) => (step === 0 ? 1 : 1 + Math.round((most - Math.log2(root)) / step));
      const codes = Uint8Array.from(data, (root) => (root === 0 ? 0 : codeOf(root)));
      return [name.slice(prefix.length), { shape, most, step, codes: toBase64(codes) }] as const;
    }),
  );
  const rest = { ...defined({ origin }), tensors };
  return { hash: hashOf(rest), ...rest };
}

/** The metric to measure by. Throws a DataError that begins with `where` for one that is damaged. */
export function unpacked(metric: PackedMetric, where: string): Metric {
  if (hashOf(metric) !== metric.hash) throw new DataError(`${where}: the metric is damaged: its hash is another`);
  const roots = Object.entries(metric.tensors).map(([name, { shape, most, step, codes }]) => {
    const bytes = fromBase64(codes);
    if (bytes.length !== sizeOf(shape)) {
      throw new DataError(`${where}: the metric of '${name}' has ${bytes.length} weights, expected ${sizeOf(shape)}`);
    }
    const table = Float32Array.from({ length: LAST + 1 }, (_, code) =>
      code === 0 ? 0 : 2 ** (most - (code - 1) * step),
    );
    return [metricName(name), { shape, data: Float32Array.from(bytes, (code) => table[code]!) }] as const;
  });
  return { hash: metric.hash, roots: Object.fromEntries(roots) };
}

function hashOf({ origin, tensors }: Omit<PackedMetric, 'hash'>): string {
  const hash = host().sha256();
  hash.update(JSON.stringify(origin ?? null));
  for (const [name, { shape, most, step, codes }] of Object.entries(tensors)) {
    hash.update(`\n${JSON.stringify([name, shape, most, step])}`);
    hash.update(codes);
  }
  return hash.digest();
}
