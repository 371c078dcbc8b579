// The directions along which activations are measured, as a detector file keeps them, in; the same as a graph takes
// them out.

import * as z from 'zod';
import { fromBase64 } from '../base64.ts';
import { unpacked } from '../densities/packed.ts';
import { DataError } from '../errors.ts';
import { host } from '../host.ts';
import type { Weights } from '../tensor/weights.ts';

/** What the view `activations` measures by. */
export interface ActivationBasis {
  /** SHA-256 of its numbers. */
  readonly hash: string;
  /** Directions, the columns of the view. */
  readonly count: number;
  /** By the names that the graph of the norms takes them by. */
  readonly weights: Weights;
}

/** A basis in plain JSON; matrices are base64. */
export interface PackedBasis {
  readonly hash: string;
  /** Channels, C. */
  readonly channels: number;
  /** Directions, r. */
  readonly count: number;
  /** [C] float32 the means of the channels over the examples. */
  readonly mean: string;
  /** [C] float32 one over their standard deviations; 0 for a channel that does not vary. */
  readonly scale: string;
  /** [C, r] int8, each direction to a scale of its own. */
  readonly directions: string;
}

/** What a file's basis must look like; `openBasis` checks the rest. */
export const basisSchema = z.strictObject({
  hash: z.string().min(1),
  channels: z.int().min(1),
  count: z.int().min(1),
  mean: z.base64(),
  scale: z.base64(),
  directions: z.base64(),
});

/** The parameters by which a graph takes them: [C], [C] and [C, r]. */
export const basisNames = {
  mean: 'mean of the activations',
  scale: 'scale of the activations',
  directions: 'directions of the activations',
} as const;

/** What the columns of the view are called. */
export const directionsOf = ({ count }: Pick<ActivationBasis, 'count'>): string[] =>
  Array.from({ length: count }, (_, k) => `direction ${k + 1}`);

/** The basis to measure by. Throws a DataError that begins with `where` for one that is damaged. */
export function openBasis(basis: PackedBasis, where: string): ActivationBasis {
  const at = `${where}: the basis of the activations`;
  if (basisHash(basis) !== basis.hash) throw new DataError(`${at} is damaged: its hash is another`);
  const { channels, count } = basis;
  const bytes = fromBase64(basis.directions);
  if (bytes.length !== channels * count) {
    throw new DataError(`${at} has ${bytes.length} numbers, expected ${channels} × ${count}`);
  }
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const vector = (text: string) => ({ shape: [channels], data: Float32Array.from(unpacked(text, channels, at)) });
  return {
    hash: basis.hash,
    count,
    weights: {
      [basisNames.mean]: vector(basis.mean),
      [basisNames.scale]: vector(basis.scale),
      [basisNames.directions]: { shape: [channels, count], data: Float32Array.from(codes, (code) => code / 127) },
    },
  };
}

/** Of its numbers. */
export function basisHash({ channels, count, mean, scale, directions }: Omit<PackedBasis, 'hash'>): string {
  const hash = host().sha256();
  hash.update(`${channels} ${count}\n`);
  for (const text of [mean, scale, directions]) hash.update(`${text}\n`);
  return hash.digest();
}
