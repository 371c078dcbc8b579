// A model and in-distribution data in; the directions in which what flows through the model varies most, out, as a
// detector file keeps them.

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import * as z from 'zod';
import { fromBase64, toBase64 } from '../base64.ts';
import type { Dataset } from '../data/index.ts';
import { packed, unpacked } from '../densities/packed.ts';
import { inRuns, openProgram } from '../engine/index.ts';
import { DataError, ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import { host } from '../host.ts';
import { add, concat, matmul, mul, neg, reshape, rewrite } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import type { Weights } from '../tensor/weights.ts';
import { meanActivations } from './activations.ts';
import { asModelTakes, modelAt } from './inputs.ts';
import type { DiagonalOptions } from './metric.ts';
import { withRanges } from './ranges.ts';

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

const MEAN = 'mean of the activations';
const SCALE = 'scale of the activations';
const DIRECTIONS = 'directions of the activations';

/** Directions at most. */
const MOST = 64;
/** Of an eigenvalue to the largest: less is rounding. */
const NEGLIGIBLE = 1e-6;
/** Of a channel's standard deviation to its largest number: less is rounding in float32. */
const STILL = 1e-5;

/** What the columns of the view are called. */
export const directionsOf = ({ count }: Pick<ActivationBasis, 'count'>): string[] =>
  Array.from({ length: count }, (_, k) => `direction ${k + 1}`);

/**
 * What flows through the graph of a loss, all channels side by side, [C]. Throws a ModelError where there is nothing.
 */
const channelsOf = (loss: Value): Value =>
  concat(
    meanActivations(loss).map((v) => reshape(v, [-1])),
    0,
  );

/** [r] what flows through the graph of a loss, along the directions of a basis, whose numbers become parameters. */
export function alongBasis(loss: Value, { count, weights }: Pick<ActivationBasis, 'count' | 'weights'>): Value {
  const channels = channelsOf(loss);
  const [width] = channels.shape as [number];
  const [expected] = weights[MEAN]!.shape as [number];
  if (width !== expected) {
    throw new ModelError(
      `what flows through the model has ${width} channels, the detector's basis ${expected}: inputs of another size; say the sizes with \`dims\``,
    );
  }
  const param = (name: string, shape: readonly number[]) => loss.arena.param(name, shape, { trainable: false });
  const u = mul(add(channels, neg(param(MEAN, [width]))), param(SCALE, [width]));
  return reshape(matmul(reshape(u, [1, width]), param(DIRECTIONS, [width, count])), [count]);
}

/**
 * Principal directions of what flows into the model's products with learned weights, averaged over places
 * (`meanActivations`), each channel in units of its standard deviation over the examples: min(64, n − 1) of them, the
 * one with the largest variance first; one along which nothing varies is 0. Undefined for a model without such
 * products. Throws a DataError where a number is not finite.
 */
export async function activationBasis(
  model: ScoringModel,
  given: Dataset,
  options: DiagonalOptions,
): Promise<PackedBasis | undefined> {
  const data = asModelTakes(model, given, options);
  const { runtime, memory, threads, seed = 0 } = options;
  await model.batchLoss?.({ runtime, threads });
  const written = modelAt(model, data.shapes).loss();
  const channels = channelsIfAny(rewrite(written));
  if (!channels || data.length < 2) return undefined;
  const [width] = channels.shape as [number];
  const { graph, check } = withRanges({ arena: written.arena, outputs: { channels } }, written);
  const program = openProgram(graph, { runtime, weights: model.weights, memory, threads });
  const rows = new Matrix(data.length, width);
  const size = program.sizeFor(data.length);
  try {
    for await (const { batch, count } of inRuns(data, size)) {
      const results = await program.run(program.feeds(batch, { group: 1 }, seed), size);
      check(results, count, data.name, batch.start);
      const found = results.channels!.data;
      const each = found.length === width ? 0 : width; // what no example changes comes once
      for (let i = 0; i < count; i++) {
        for (let c = 0; c < width; c++) {
          const value = Number(found[i * each + c]);
          if (!Number.isFinite(value)) {
            throw new DataError(`${data.name}: what flows through the model is not finite for some example`);
          }
          rows.set(batch.start + i, c, value);
        }
      }
      options.onProgress?.(batch.start + count, data.length);
    }
  } finally {
    await program.dispose();
  }
  return packedBasis(rows);
}

function channelsIfAny(loss: Value): Value | undefined {
  try {
    return channelsOf(loss);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}

/** Of rows [n, C], n >= 2. */
export function packedBasis(rows: Matrix): PackedBasis {
  const [n, channels] = [rows.rows, rows.columns];
  const mean = new Float32Array(rows.mean('column'));
  const scale = Float32Array.from(mean, (m, c) => {
    let [square, largest] = [0, 0];
    for (let i = 0; i < n; i++) {
      square += (rows.get(i, c) - m) ** 2;
      largest = Math.max(largest, Math.abs(rows.get(i, c)));
    }
    const sd = Math.sqrt(square / (n - 1));
    return sd > STILL * largest && 1 / sd < 3e38 ? 1 / sd : 0;
  });
  const u = new Matrix(n, channels);
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) u.set(i, c, (rows.get(i, c) - mean[c]!) * scale[c]!);
  }
  const transposed = u.transpose();
  // The eigenvectors of U Uᵀ, of which there are fewer, times Uᵀ are those of Uᵀ U.
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(u.mmul(transposed), {
    assumeSymmetric: true,
  });
  const count = Math.min(MOST, n - 1);
  const order = realEigenvalues.map((_, k) => k).sort((a, b) => realEigenvalues[b]! - realEigenvalues[a]!);
  const most = Math.max(0, realEigenvalues[order[0]!]!);
  const directions = new Int8Array(channels * count);
  for (const [k, from] of order.slice(0, count).entries()) {
    if (!(realEigenvalues[from]! > NEGLIGIBLE * most)) continue;
    const v = transposed.mmul(eigenvectorMatrix.getColumnVector(from)).getColumn(0);
    const largest = v.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    // Which end is up is nobody's choice: the channel that matters most has a positive sign.
    const sign = Math.sign(v.find((x) => Math.abs(x) === largest)!);
    for (const [c, x] of v.entries()) directions[c * count + k] = Math.round((127 * sign * x) / largest);
  }
  const rest = {
    channels,
    count,
    mean: packed(mean),
    scale: packed(scale),
    directions: toBase64(new Uint8Array(directions.buffer)),
  };
  return { hash: hashOf(rest), ...rest };
}

/** The basis to measure by. Throws a DataError that begins with `where` for one that is damaged. */
export function openBasis(basis: PackedBasis, where: string): ActivationBasis {
  const at = `${where}: the basis of the activations`;
  if (hashOf(basis) !== basis.hash) throw new DataError(`${at} is damaged: its hash is another`);
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
      [MEAN]: vector(basis.mean),
      [SCALE]: vector(basis.scale),
      [DIRECTIONS]: { shape: [channels, count], data: Float32Array.from(codes, (code) => code / 127) },
    },
  };
}

function hashOf({ channels, count, mean, scale, directions }: Omit<PackedBasis, 'hash'>): string {
  const hash = host().sha256();
  hash.update(`${channels} ${count}\n`);
  for (const text of [mean, scale, directions]) hash.update(`${text}\n`);
  return hash.digest();
}
