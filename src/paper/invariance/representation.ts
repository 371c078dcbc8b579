// A model behind another representation of its data, y = T(x): the same gradients, another likelihood.

import type { Dataset } from '../../data/index.ts';
import { inRuns, openProgram, type Runtime } from '../../engine/index.ts';
import { DataError, ModelError } from '../../errors.ts';
import { asModelTakes, type FeatureTable, normGraph } from '../../features/index.ts';
import { inputsOf } from '../../graph/index.ts';
import type { ScoringModel } from '../../store/index.ts';
import { RandomStream } from '../../tensor/random.ts';
import { type Shape, sizeOf } from '../../tensor/shape.ts';
import { LAST_BIT } from './draw.ts';

/** An invertible map of dequantised images z in (0, 256), channels first, and back. */
export interface Representation {
  readonly name: string;
  /** T(z) into `to`; returns log |det ∂T/∂z|. */
  forward(z: Float64Array, to: Float64Array): number;
  /** T⁻¹(y) into `to`. */
  backward(y: Float64Array, to: Float64Array): void;
}

/** The identity, the logit of each pixel, a random affine map of blocks of four values, and HSV for RGB images. */
export function representations(shape: Shape, seed: number): readonly Representation[] {
  return [identity, logit, affine(seed), ...(shape[0] === 3 ? [hsv] : [])];
}

const identity: Representation = {
  name: 'as it is',
  forward(z, to) {
    to.set(z);
    return 0;
  },
  backward: (y, to) => to.set(y),
};

/**
 * The control, in which nothing takes back what was done: how much norms change with the smallest step that float32
 * knows.
 */
export const lastBitMoved: Representation = {
  ...identity,
  name: LAST_BIT,
  forward(z, to) {
    for (let k = 0; k < z.length; k++) to[k] = z[k]! * (1 + 2 ** -23);
    return 0;
  },
};

/** y = log(u / (1 − u)) with u = z / 256. */
const logit: Representation = {
  name: 'logit of each pixel',
  forward(z, to) {
    let logDet = 0;
    for (let k = 0; k < z.length; k++) {
      const u = z[k]! / 256;
      to[k] = Math.log(u) - Math.log1p(-u);
      logDet -= Math.log(u) + Math.log1p(-u) + Math.log(256);
    }
    return logDet;
  },
  backward(y, to) {
    for (let k = 0; k < y.length; k++) to[k] = 256 / (1 + Math.exp(-y[k]!));
  },
};

/**
 * y = A z + b for every four neighbouring values. A has a unit lower and an upper triangle, so it is invertible
 * whatever is drawn.
 */
function affine(seed: number): Representation {
  const draws = new Float64Array(20);
  new RandomStream(seed, 'affine').normal(0, draws);
  const at = (i: number, j: number) => draws[4 * i + j]!;
  const lower = (i: number, j: number) => (i === j ? 1 : i > j ? 0.5 * at(i, j) : 0);
  const upper = (i: number, j: number) => (i === j ? Math.exp(0.5 * at(i, i)) : i < j ? 0.5 * at(i, j) : 0);
  const logDetOfBlock = [0, 1, 2, 3].reduce((sum, i) => sum + 0.5 * at(i, i), 0);
  const apply = (m: typeof lower, from: readonly number[]) =>
    [0, 1, 2, 3].map((i) => from.reduce((sum, v, j) => sum + m(i, j) * v, 0));
  return {
    name: 'random affine map of four pixels',
    forward(z, to) {
      for (let k = 0; k < z.length; k += 4) {
        const y = apply(lower, apply(upper, Array.from(z.subarray(k, k + 4))));
        for (const [i, v] of y.entries()) to[k + i] = v + 10 * draws[16 + i]!;
      }
      return (z.length / 4) * logDetOfBlock;
    },
    backward(y, to) {
      for (let k = 0; k < y.length; k += 4) {
        const v = [0, 1, 2, 3].map((i) => y[k + i]! - 10 * draws[16 + i]!);
        for (let i = 0; i < 4; i++) for (let j = 0; j < i; j++) v[i]! -= lower(i, j) * v[j]!;
        for (let i = 3; i >= 0; i--) {
          for (let j = i + 1; j < 4; j++) v[i]! -= upper(i, j) * v[j]!;
          v[i]! /= upper(i, i);
        }
        to.set(v, k);
      }
    },
  };
}

/**
 * Hue 0..6, saturation and value 0..1 of the hexcone (Smith 1978). With M and m the largest and smallest channel, h =
 * sector ± (middle − m)/(M − m), s = 1 − m/M, v = M/256: in the order (middle, m, M) the Jacobian is triangular, of
 * determinant 1/(256 M (M − m)).
 */
const hsv: Representation = {
  name: 'HSV',
  forward(z, to) {
    const plane = z.length / 3;
    let logDet = 0;
    for (let p = 0; p < plane; p++) {
      const [r, g, b] = [z[p]!, z[plane + p]!, z[2 * plane + p]!];
      const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
      const range = most - least;
      const [sector, difference] = most === r ? [0, g - b] : most === g ? [2, b - r] : [4, r - g];
      to[p] = sector + difference / range;
      to[plane + p] = range / most;
      to[2 * plane + p] = most / 256;
      logDet -= Math.log(256) + Math.log(most) + Math.log(range);
    }
    return logDet;
  },
  backward(y, to) {
    const plane = y.length / 3;
    for (let p = 0; p < plane; p++) {
      const most = 256 * y[2 * plane + p]!;
      const range = most * y[plane + p]!;
      const sector = Math.min(4, 2 * Math.round(y[p]! / 2));
      const difference = (y[p]! - sector) * range;
      const least = most - range;
      const [next, after] = difference >= 0 ? [least + difference, least] : [least, least - difference];
      const [r, g, b] = sector === 0 ? [most, next, after] : sector === 2 ? [after, most, next] : [next, after, most];
      to[p] = r;
      to[plane + p] = g;
      to[2 * plane + p] = b;
    }
  },
};

/**
 * Features of single examples under the model of y = T(z), z being the dequantised image: −log p(y) = −log p(z) + log
 * |det ∂T/∂z|. y is rounded to float32, as data in that representation would be stored, and the model sees T⁻¹(y): what
 * differs in the norms is that rounding.
 *
 * Throws a ModelError for a model without one uniform input of the image's shape (flows have it), since the densities
 * of discrete data know no representation.
 */
export async function underRepresentation(
  model: ScoringModel,
  given: Dataset,
  representation: Representation,
  options: { readonly runtime: Runtime; readonly seed: number; readonly batch?: number; readonly threads?: number },
): Promise<FeatureTable> {
  const data = asModelTakes(model, given);
  const { graph, names, sizes } = normGraph(model.loss());
  const size = sizeOf(data.shapes.x!);
  const noise = inputsOf(graph).find(({ source }) => source.kind === 'input' && source.from === 'uniform');
  if (noise === undefined || noise.source.kind !== 'input' || sizeOf(noise.shape) !== size) {
    throw new ModelError('the model does not dequantise its data: there is no density to change the representation of');
  }
  const noiseName = noise.source.name;
  const batch = Math.min(options.batch ?? 50, data.length);
  const { runtime, threads } = options;
  const program = openProgram(graph, { runtime, threads, weights: model.weights, batch });
  const nll = new Float64Array(data.length);
  const sqNorms = new Float64Array(data.length * names.length);
  const [z, y, back] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  try {
    for await (const { batch: found, count, indices } of inRuns(data, batch)) {
      const { start } = found;
      const feeds = program.feeds(found, indices, options.seed);
      const u = feeds[noiseName]!.data as Float32Array;
      const x = Float32Array.from(found.arrays.x!.data as Float32Array);
      const logDets = indices.map((_, i) => {
        for (let k = 0; k < size; k++) z[k] = x[i * size + k]! + interior(u[i * size + k]!);
        const logDet = representation.forward(z, y);
        for (let k = 0; k < size; k++) y[k] = Math.fround(y[k]!);
        representation.backward(y, back);
        for (let k = 0; k < size; k++) x[i * size + k] = back[k]! - u[i * size + k]!;
        if (!Number.isFinite(logDet) || back.some(Number.isNaN)) {
          throw new DataError(`${data.name}: example ${indices[i]} has no ${representation.name} representation`);
        }
        return logDet;
      });
      const outputs = await program.run({ ...feeds, x: { data: x, shape: found.arrays.x!.shape } });
      for (let i = 0; i < count; i++) {
        nll[start + i] = outputs.nll!.data[i]! + logDets[i]!;
        for (let j = 0; j < names.length; j++) {
          sqNorms[(start + i) * names.length + j] = outputs.sqnorm!.data[i * names.length + j]!;
        }
      }
    }
  } finally {
    await program.dispose();
  }
  return {
    names,
    dims: sizes,
    nll,
    sqNorms,
    group: 1,
    meta: {
      model: `${model.hash} ${representation.name}`,
      data: data.name,
      dataFingerprint: data.fingerprint,
      seed: options.seed,
      start: 0,
      bitsPerDimFactor: 1 / (size * Math.LN2),
    },
  };
}

/** Uniform draws may be 0, where the logit is infinite. */
const interior = (u: number): number => Math.max(u, 2 ** -20);
