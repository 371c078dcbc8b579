// A model and in-distribution data in; the directions in which what flows through the model varies most, out, as a
// detector file keeps them.

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { toBase64 } from '../base64.ts';
import type { Dataset } from '../data/index.ts';
import { packed } from '../densities/packed.ts';
import { inRuns, openProgram } from '../engine/index.ts';
import { rewrite } from '../ops/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { channelsOf } from './activations.ts';
import { asModelTakes, modelAt } from './inputs.ts';
import type { DiagonalOptions } from './metric.ts';
import { oddExamplesOf } from './odd-examples.ts';
import { basisHash, type PackedBasis } from './packed-basis.ts';
import { withRanges } from './ranges.ts';

/** Directions at most. */
export const MOST_DIRECTIONS = 64;
/** Of an eigenvalue to the largest: less is rounding. */
const NEGLIGIBLE = 1e-6;
/** Of a channel's standard deviation to its largest number: less is rounding in float32. */
const STILL = 1e-5;

/** The directions, or why there are none. */
export type BasisOrReason =
  | { readonly basis: PackedBasis; readonly lacking?: undefined }
  | { readonly basis?: undefined; readonly lacking: string };

/**
 * Principal directions of what flows into the model's products with learned weights, averaged over places
 * (`meanActivations`), each channel in units of its standard deviation over the examples: min(64, n − 1) of them, the
 * one with the largest variance first; one along which nothing varies is 0. Or why there is none. Throws a DataError
 * where a number is not finite and nobody hears of it (`onNotFinite`).
 */
export async function activationBasis(
  model: ScoringModel,
  given: Dataset,
  options: DiagonalOptions,
): Promise<BasisOrReason> {
  const data = asModelTakes(model, given, options);
  const { runtime, memory, threads, seed = 0 } = options;
  await model.batchLoss?.({ runtime, threads });
  const written = modelAt(model, data.shapes).loss();
  const channels = channelsOf(rewrite(written));
  if (!channels) return { lacking: 'no value of the input meets learned weights in a product' };
  const [width] = channels.shape as [number];
  const { graph, check } = withRanges({ arena: written.arena, outputs: { channels } }, written);
  const program = openProgram(graph, { runtime, weights: model.weights, memory, threads });
  const rows: Float64Array[] = [];
  const size = program.sizeFor(data.length);
  const odd = oddExamplesOf(data, options.onNotFinite);
  try {
    for await (const { batch, count } of inRuns(data, size)) {
      const results = await program.run(program.feeds(batch, { group: 1 }, seed), size);
      check(results, count, data.name, batch.start);
      const values = results.channels!.data as Float32Array;
      const each = values.length === width ? 0 : width; // what no example changes comes once
      const finite = odd.finite(batch.start, count, [{ what: 'what flows through the model', values, width }]);
      for (const i of finite) rows.push(Float64Array.from(values.subarray(i * each, i * each + width)));
      options.onProgress?.(batch.start + count, data.length);
    }
  } finally {
    await program.dispose();
  }
  if (rows.length === 0) return { lacking: 'what flows through the model is not finite for any input' };
  const n = await odd.left();
  if (n < 2) return { lacking: 'one input does not tell directions' };
  return { basis: packedBasis(new Matrix(rows)) };
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
  const count = Math.min(MOST_DIRECTIONS, n - 1);
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
  return { hash: basisHash(rest), ...rest };
}
