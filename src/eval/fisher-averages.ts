// Gradients of a model's samples in; the average entries of the normalised Fisher matrix of tens of thousands of
// weights out, which are never all in memory: blocks of it are products that the runtime makes.

import { openProgram, type Runtime } from '../engine/index.ts';
import { Arena } from '../graph/index.ts';
import { abs, matmul, reduceSum, transpose } from '../ops/index.ts';
import { type FisherMatrix, meanAbsCosine, unitGradients } from './fisher.ts';

/** Of `FisherMatrix`, all but the matrix. */
export type FisherAverages = Omit<FisherMatrix, 'matrix'>;

/** Weights of a block. */
const BLOCK = 1024;

/**
 * The averages of `fisherMatrix` for the same arguments, to float32 precision. Costs n d² multiplications and 8 n d
 * bytes. Throws a DataError as that does.
 */
export async function fisherAverages(
  gradients: ArrayLike<number>,
  layers: readonly string[],
  options: { readonly runtime: Runtime; readonly threads?: number },
): Promise<FisherAverages> {
  const { units, ...kept } = unitGradients(gradients, layers);
  const n = units[0]!.length;
  const arena = new Arena();
  const [a, b] = [arena.param('a', [n, BLOCK]), arena.param('b', [n, BLOCK])];
  const graph = { arena, outputs: { sums: reduceSum(abs(matmul(transpose(a), b)), [1]) } };
  const program = openProgram(graph, { ...options, weights: 'inputs', batch: 1 });

  /** [n, BLOCK] of the weights at these places; zeros, which add nothing, fill it up. */
  const block = (places: readonly number[]) => {
    const data = new Float32Array(n * BLOCK);
    places.forEach((place, k) => {
      for (let i = 0; i < n; i++) data[i * BLOCK + k] = units[place]![i]!;
    });
    return { data, shape: [n, BLOCK] };
  };
  /** Σ |F_ab| / √(F_aa F_bb) over all ordered pairs a ≠ b of these places. */
  async function sumOver(places: readonly number[]): Promise<number> {
    const blocks = Array.from({ length: Math.ceil(places.length / BLOCK) }, (_, k) =>
      block(places.slice(k * BLOCK, (k + 1) * BLOCK)),
    );
    let sum = 0;
    for (const [i, left] of blocks.entries()) {
      for (const right of blocks.slice(i)) {
        const { data } = (await program.run({ a: left, b: right })).sums!;
        const part = data.reduce((s, v) => s + v, 0);
        sum += left === right ? part : 2 * part;
      }
    }
    return sum - places.length; // the diagonal is 1
  }

  try {
    const byLayer = new Map<string, number[]>();
    for (const [place, layer] of kept.layers.entries()) {
      if (!byLayer.get(layer)?.push(place)) byLayer.set(layer, [place]);
    }
    const all = { sum: await sumOver([...units.keys()]), pairs: units.length * (units.length - 1) };
    const within = { sum: 0, pairs: 0 };
    for (const places of byLayer.values()) {
      if (places.length < 2) continue;
      within.sum += await sumOver(places);
      within.pairs += places.length * (places.length - 1);
    }
    const mean = (sum: number, pairs: number) => (pairs > 0 ? sum / pairs : undefined);
    return {
      ...kept,
      meanAbs: {
        all: mean(all.sum, all.pairs),
        within: mean(within.sum, within.pairs),
        between: mean(all.sum - within.sum, all.pairs - within.pairs),
      },
      noiseFloor: meanAbsCosine(n),
    };
  } finally {
    await program.dispose();
  }
}
