// A metric in, the same as a detector file keeps it out, a byte or two for each number; and back.

import * as z from 'zod';
import { fromBase64, toBase64 } from '../base64.ts';
import type { Origin } from '../data/origin.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import { shapeText, sizeOf } from '../tensor/shape.ts';
import type { Factored, Metric } from './metric.ts';
import { factorName, metricName } from './metric-name.ts';
import { originSchema } from './table-head.ts';

/** Roots: 2^(most − (code − 1) · step) for the codes 1 to 255, and 0 for the code 0. */
export interface PackedRoots {
  readonly most: number;
  readonly step: number;
  /** Bytes in base64, row-major. */
  readonly codes: string;
}

/** The roots of a tensor's weights, each by itself. */
interface PackedTensor extends PackedRoots {
  readonly shape: readonly number[];
}

/** A lower triangular matrix of roots, row by row: element = code · the row's scale. */
interface PackedMatrix {
  /** Float32 of each row, in base64. */
  readonly scales: string;
  /** Int16 of each element up to the diagonal, in base64. */
  readonly codes: string;
}

/** The roots of a tensor's weights as products of one number, or one matrix, along each of some axes. */
interface PackedFactors {
  readonly shape: readonly number[];
  /** Ascending. */
  readonly axes: readonly number[];
  /** For each axis; a matrix along those that are mixed. */
  readonly factors: readonly (PackedRoots | PackedMatrix)[];
}

/**
 * A metric in plain JSON. A byte for each weight tells its logarithm, in 254 equal steps between the tensor's largest
 * and smallest: where these differ by a factor of a million, a weight to 3 %. The mean of squares it is made from is
 * known from 400 examples to 7 %. An element of a matrix has two, for 1 / 32,767 of the largest of its row: rows tell
 * neighbours that are nearly the same apart, by large numbers that nearly cancel.
 */
export interface PackedMetric {
  /** SHA-256 of what follows. Tables name their metric by it. */
  readonly hash: string;
  /** The examples that it was taken from, which are then not fitted on. */
  readonly origin?: Origin;
  /** By parameter. */
  readonly tensors: Readonly<Record<string, PackedTensor | PackedFactors>>;
}

const shape = z.array(z.int().min(1));
const axis = z.int().min(0);
const rootsShape = { most: z.number(), step: z.number().min(0), codes: z.base64() };
const rootsSchema = z.strictObject(rootsShape);
const tensorSchema = z.strictObject({ shape, ...rootsShape });
const matrixSchema = z.strictObject({ scales: z.base64(), codes: z.base64() });
const factorsSchema = z.strictObject({
  shape,
  axes: z.array(axis).min(1),
  factors: z.array(z.union([rootsSchema, matrixSchema])).min(1),
});

/** What a file's metric must look like; `unpacked` checks the rest. */
export const metricSchema = z.strictObject({
  hash: z.string().min(1),
  origin: originSchema.optional(),
  tensors: z.record(z.string(), z.union([tensorSchema, factorsSchema])),
});

const LAST = 255;

/**
 * `origin`: the examples that it was taken from. The metric that comes back (`unpacked`) is what tables are to be made
 * with, not the one given.
 */
export function packed({ roots, factored }: Metric, origin?: Origin): PackedMetric {
  const prefix = metricName('');
  const whole = Object.entries(roots).flatMap(([name, { shape: of, data }]) => {
    if (!name.startsWith(prefix)) return []; // a factor
    return [[name.slice(prefix.length), { shape: of, ...packedRoots(data, name) }] as const];
  });
  const factors = Object.entries(factored).map(([param, { shape: of, axes, mixed }]) => {
    const all = axes.map((axis) => {
      const name = factorName(param, axis);
      const { data } = roots[name]!;
      return mixed?.includes(axis) ? packedMatrix(data, of[axis]!, name) : packedRoots(data, name);
    });
    return [param, { shape: of, axes, factors: all }] as const;
  });
  const rest = { ...defined({ origin }), tensors: Object.fromEntries([...whole, ...factors]) };
  return { hash: hashOf(rest), ...rest };
}

function packedRoots(data: Float32Array, name: string): PackedRoots {
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
  return { most, step, codes: toBase64(codes) };
}

function packedMatrix(data: Float32Array, d: number, name: string): PackedMatrix {
  const scales = new Float32Array(d);
  const codes = new Int16Array((d * (d + 1)) / 2);
  let at = 0;
  for (let i = 0; i < d; i++) {
    const row = data.subarray(i * d, i * d + i + 1);
    const most = row.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0);
    if (!(most < Infinity)) throw new DataError(`${name}: an element of a root is not finite`);
    scales[i] = most / MOST_CODE;
    for (const v of row) codes[at++] = scales[i] === 0 ? 0 : Math.round(v / scales[i]!);
  }
  return { scales: toBase64(bytesOf(scales)), codes: toBase64(bytesOf(codes)) };
}

const MOST_CODE = 2 ** 15 - 1;

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Int16Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The metric to measure by. Throws a DataError that begins with `where` for one that is damaged. */
export function unpacked(metric: PackedMetric, where: string): Metric {
  if (hashOf(metric) !== metric.hash) throw new DataError(`${where}: the metric is damaged: its hash is another`);
  const factored: Record<string, Factored> = {};
  const roots = Object.entries(metric.tensors).flatMap(([name, tensor]) => {
    const at = `${where}: the metric of '${name}'`;
    const { shape: of } = tensor;
    if (!('axes' in tensor)) return [[metricName(name), { shape: of, data: rootsIn(tensor, sizeOf(of), at) }] as const];
    const { axes, factors } = tensor;
    const isAscending = axes.every((a, k) => k === 0 || axes[k - 1]! < a);
    if (!isAscending || axes.at(-1)! >= of.length || axes.length !== factors.length) {
      throw new DataError(`${at} has ${factors.length} factors along the axes ${axes.join(', ')} of ${shapeText(of)}`);
    }
    const mixed = axes.filter((_, k) => 'scales' in factors[k]!);
    factored[name] = { shape: of, axes, ...(mixed.length > 0 ? { mixed } : {}) };
    return axes.map((a, k) => {
      const [d, factor] = [of[a]!, factors[k]!];
      if ('scales' in factor) return [factorName(name, a), { shape: [d, d], data: matrixIn(factor, d, at) }] as const;
      return [factorName(name, a), { shape: [d], data: rootsIn(factor, d, at) }] as const;
    });
  });
  return { hash: metric.hash, roots: Object.fromEntries(roots), factored };
}

function rootsIn({ most, step, codes }: PackedRoots, size: number, where: string): Float32Array {
  const bytes = fromBase64(codes);
  if (bytes.length !== size) throw new DataError(`${where} has ${bytes.length} weights, expected ${size}`);
  const table = Float32Array.from({ length: LAST + 1 }, (_, code) =>
    code === 0 ? 0 : 2 ** (most - (code - 1) * step),
  );
  return Float32Array.from(bytes, (code) => table[code]!);
}

function matrixIn({ scales, codes }: PackedMatrix, d: number, where: string): Float32Array {
  const [rowBytes, bytes] = [fromBase64(scales), fromBase64(codes)];
  const expected = [4 * d, d * (d + 1)];
  if (rowBytes.length !== expected[0] || bytes.length !== expected[1]) {
    const found = `${rowBytes.length} and ${bytes.length} bytes`;
    throw new DataError(`${where} has ${found} for a matrix of ${d} rows, expected ${expected.join(' and ')}`);
  }
  const [rows, elements] = [
    new DataView(rowBytes.buffer, rowBytes.byteOffset),
    new DataView(bytes.buffer, bytes.byteOffset),
  ];
  const data = new Float32Array(d * d);
  let at = 0;
  for (let i = 0; i < d; i++) {
    const scale = rows.getFloat32(4 * i, true);
    if (!Number.isFinite(scale)) throw new DataError(`${where} has a row of a matrix that is not finite`);
    for (let j = 0; j <= i; j++) data[i * d + j] = elements.getInt16(2 * at++, true) * scale;
  }
  return data;
}

function hashOf({ origin, tensors }: Omit<PackedMetric, 'hash'>): string {
  const hash = host().sha256();
  hash.update(JSON.stringify(origin ?? null));
  for (const [name, tensor] of Object.entries(tensors)) {
    const [head, parts] =
      'axes' in tensor ? [[name, tensor.shape, tensor.axes], tensor.factors] : [[name, tensor.shape], [tensor]];
    const numbers = parts.flatMap((part): unknown[] => ('scales' in part ? [part.scales] : [part.most, part.step]));
    // One line, as of before there were factors, for a tensor that has none.
    hash.update(`\n${JSON.stringify([...head, ...numbers])}`);
    for (const { codes } of parts) hash.update(codes);
  }
  return hash.digest();
}
