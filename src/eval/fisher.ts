// Gradients of a model's samples in; the normalised Fisher information matrix of chosen weights and its average entries
// out.

import gammaln from '@stdlib/math-base-special-gammaln';
import { DataError } from '../errors.ts';
import type { RandomStream } from '../tensor/random.ts';

/**
 * The Fisher information matrix F = E[s sᵀ] of d weights, estimated from samples of a model and normalised; see
 * `fisherMatrix`.
 */
export interface FisherMatrix {
  /** Columns of the gradients that are in the matrix: all but those that are zero in every sample. */
  readonly weights: readonly number[];
  /** [d] layer of each of these weights. */
  readonly layers: readonly string[];
  /** [d, d] F_ab / √(F_aa F_bb); 1 on the diagonal. */
  readonly matrix: Float64Array;
  /** [d] F_aa */
  readonly diagonal: Float64Array;
  /**
   * Average of |F_ab| / √(F_aa F_bb) over all pairs a ≠ b, those of one layer, those of two; undefined where there is
   * none.
   */
  readonly meanAbs: {
    readonly all: number | undefined;
    readonly within: number | undefined;
    readonly between: number | undefined;
  };
  /**
   * What these averages would be for independent normal gradients: `meanAbsCosine(n)`, about 0.8/√n. An average near it
   * says "no correlation that n samples could show". Heavier tails, or samples whose whole gradient is long, raise it:
   * `randomSigns`.
   */
  readonly noiseFloor: number;
}

/**
 * Gradients of the weights that any sample has one in, each scaled to length 1 over the samples: F_ab / √(F_aa F_bb) is
 * a dot product of two.
 */
export interface UnitGradients {
  readonly weights: readonly number[];
  readonly layers: readonly string[];
  /** [d][n] */
  readonly units: readonly Float64Array[];
  /** [d] F_aa */
  readonly diagonal: Float64Array;
}

/** Of `gradients` [n, d] row-major. Throws a DataError as `fisherMatrix` does. */
export function unitGradients(gradients: ArrayLike<number>, layers: readonly string[]): UnitGradients {
  const columns = layers.length;
  const n = gradients.length / columns;
  if (!(columns > 0 && n >= 1 && Number.isInteger(n))) {
    throw new DataError(`Fisher matrix: has ${gradients.length} gradient entries, expected some rows of ${columns}`);
  }
  const weights: number[] = [];
  const units: Float64Array[] = [];
  const diagonal: number[] = [];
  for (let a = 0; a < columns; a++) {
    const column = Float64Array.from({ length: n }, (_, i) => gradients[i * columns + a]!);
    const odd = column.findIndex((v) => !Number.isFinite(v));
    if (odd >= 0) {
      throw new DataError(`Fisher matrix: sample ${odd}, weight ${a} of '${layers[a]}': gradient is ${column[odd]}`);
    }
    const norm = Math.hypot(...chunkNorms(column));
    if (norm === 0) continue;
    weights.push(a);
    units.push(column.map((v) => v / norm));
    diagonal.push(norm ** 2 / n);
  }
  if (weights.length === 0) {
    throw new DataError(`Fisher matrix: all ${columns} weights have gradient 0 in all of ${n} samples`);
  }
  return { weights, layers: weights.map((a) => layers[a]!), units, diagonal: Float64Array.from(diagonal) };
}

/**
 * F = (1/n) Σ_i s(x_i) s(x_i)ᵀ over model samples x_i, normalised to F_ab / √(F_aa F_bb) (Dauncey et al. 2024, the
 * figure on the Fisher matrix). Not centred: at the model's own samples the gradient of the log-likelihood has mean
 * zero. `gradients` is [n, d] row-major, `layers` [d] names each weight's layer. Costs n d² / 2 multiplications and 8
 * d² bytes; `fisherAverages` has the averages of many weights sooner.
 *
 * Throws a DataError for sizes that do not agree, a value that is not finite, or weights that are all zero in every
 * sample.
 */
export function fisherMatrix(gradients: ArrayLike<number>, layers: readonly string[]): FisherMatrix {
  const { weights, layers: kept, units, diagonal } = unitGradients(gradients, layers);
  const d = weights.length;
  const matrix = new Float64Array(d * d);
  const within = { sum: 0, count: 0 };
  const between = { sum: 0, count: 0 };
  for (let a = 0; a < d; a++) {
    matrix[a * d + a] = 1;
    for (let b = 0; b < a; b++) {
      const value = dot(units[a]!, units[b]!);
      matrix[a * d + b] = value;
      matrix[b * d + a] = value;
      const part = kept[a] === kept[b] ? within : between;
      part.sum += Math.abs(value);
      part.count++;
    }
  }
  const mean = ({ sum, count }: { sum: number; count: number }) => (count > 0 ? sum / count : undefined);
  return {
    weights,
    layers: kept,
    matrix,
    diagonal,
    meanAbs: {
      all: mean({ sum: within.sum + between.sum, count: within.count + between.count }),
      within: mean(within),
      between: mean(between),
    },
    noiseFloor: meanAbsCosine(units[0]!.length),
  };
}

/**
 * E |cos| of the angle between two independent uniformly random directions in n dimensions, Γ(n/2) / (√π Γ((n+1)/2)) ≈
 * √(2/(πn)): the average absolute correlation of n samples of two uncorrelated normal variables of mean zero (for a
 * correlation about the sample means: n − 1).
 */
export function meanAbsCosine(n: number): number {
  return Math.exp(gammaln(n / 2) - gammaln((n + 1) / 2)) / Math.sqrt(Math.PI);
}

/**
 * The gradients with a random sign for each entry: magnitudes, and whatever they share, stay, every correlation is
 * gone. The Fisher matrix of these is the noise floor without the assumption of normal gradients. Draw i of the stream
 * signs row i.
 */
export function randomSigns(gradients: ArrayLike<number>, columns: number, stream: RandomStream): Float64Array {
  const out = Float64Array.from(gradients);
  const draws = new Float64Array(columns);
  for (let i = 0; i * columns < out.length; i++) {
    stream.uniform(i, draws);
    for (let a = 0; a < columns; a++) if (draws[a]! < 0.5) out[i * columns + a]! *= -1;
  }
  return out;
}

/**
 * Norms of pieces, so that neither the arguments of hypot become too many nor small gradients underflow when squared.
 */
function chunkNorms(values: Float64Array): number[] {
  const out: number[] = [];
  for (let i = 0; i < values.length; i += 1024) out.push(Math.hypot(...values.subarray(i, i + 1024)));
  return out;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
