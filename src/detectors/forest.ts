// Squared norms in; scores of an isolation forest on the standardised log norms out.

import * as z from 'zod';
import { type FeatureTable, rowsOf } from '../features/table.ts';
import { RandomStream } from '../tensor/random.ts';
import { checkWhole } from '../tensor/whole.ts';
import type { Detector } from './detector.ts';
import { explain, fitNormal, type NormalParams, normalShape } from './normal.ts';

/** Trees of the forest and rows each is grown on, as in the paper. */
export const TREES = 100;
export const SAMPLE = 256;

/** Of `isolationForest`; the defaults are those of Liu, Ting, Zhou, "Isolation forest", ICDM 2008. */
export interface ForestOptions {
  /** How many, from 1; default 100. */
  readonly trees?: number;
  /** Rows that each is grown on, from 2; default 256, as in the paper. */
  readonly sample?: number;
}

/** A binary tree, its nodes in preorder: a node, its left subtree, its right subtree. */
export interface IsolationTree {
  /** [nodes] index of the layer that splits, −1 for a leaf. */
  readonly layer: readonly number[];
  /** [nodes] rows with z below this go left; for a leaf, how many fit rows ended there. */
  readonly at: readonly number[];
}

/** The layers give the standardisation z_j = (log f_j − μ_j) / σ_j. */
export interface ForestParams extends NormalParams {
  /** ψ: rows each tree was grown on. */
  readonly sample: number;
  /** Path length averaged over the trees and the fit rows. */
  readonly meanPath: number;
  readonly trees: readonly IsolationTree[];
}

/**
 * Isolation forest (Liu, Ting, Zhou, "Isolation forest", ICDM 2008): 100 trees unless told otherwise, each grown on 256
 * rows drawn without replacement by the table's seed, that split a random layer at a random place until a row is alone
 * or ⌈log₂ ψ⌉ splits deep.
 *
 *     score(x) = 2^(−mean path length of x / mean path length of the fit rows)
 *
 * where a leaf that holds m rows adds c(m), the mean path length in a random tree of m rows. In (0, 1); 0.5 = like the
 * fit rows. The paper divides by c(ψ), the expectation over all forests. A forest's own mean ranks inputs alike, and
 * takes away by how much its chance splits lie above or below that expectation: a fifth of the scores' spread with 268
 * layers, by which the folds of `calibrate` would disagree. Standardising the norms changes nothing here (a random
 * split of a range scales with the range); the logarithm does.
 */
export function isolationForest({ trees = TREES, sample = SAMPLE }: ForestOptions = {}): Detector<ForestParams> {
  const options = {
    trees: checkWhole(trees, 'isolation-forest: trees', 1),
    sample: checkWhole(sample, 'isolation-forest: sample', 2),
  };
  return {
    name: 'isolation-forest',
    about: 'isolation forest on the log squared gradient norms',
    needsDims: false,
    params: z
      .strictObject({
        ...normalShape,
        sample: z.int().min(2),
        meanPath: z.number().min(0.99), // no path is shorter than 1, rounding aside
        trees: z.array(z.strictObject({ layer: z.array(z.int().min(-1)), at: z.array(z.number()) })).min(1),
      })
      .refine(
        (p) => p.trees.every((tree) => isTree(tree, p.layers.length, p.sample)),
        'Invalid input: expected trees in preorder over the layers, their leaves holding the sample',
      ),
    fit: (table, like) => fitForest(table, options, like),
    score,
  };
}

/**
 * c(m): the mean path length of an unsuccessful search in a random binary search tree of m rows, 2 H(m−1) − 2 (m−1)/m
 * with the harmonic numbers H, exactly.
 */
export function meanPathLength(m: number): number {
  let harmonic = 0;
  for (let k = 1; k < m; k++) harmonic += 1 / k;
  return 2 * harmonic - (2 * (m - 1)) / m;
}

function fitForest(table: FeatureTable, options: Required<ForestOptions>, like?: ForestParams): ForestParams {
  const { layers, dropped } = fitNormal(table, like);
  const { zScores } = explain({ layers, dropped }, table);
  const n = rowsOf(table);
  const sample = Math.min(options.sample, n);
  const rows = new RandomStream(table.meta.seed, 'isolation-forest rows');
  const splits = new RandomStream(table.meta.seed, 'isolation-forest splits');
  const trees = Array.from({ length: options.trees }, (_, t) =>
    growTree(zScores, layers.length, rows.permutation(t, n).subarray(0, sample), splits, t),
  );
  const paths = pathLengths(trees, sample, zScores, layers.length);
  return { layers, dropped, sample, meanPath: paths.reduce((sum, path) => sum + path / n, 0), trees };
}

function growTree(
  zScores: Float64Array,
  l: number,
  sample: Uint32Array,
  splits: RandomStream,
  index: number,
): IsolationTree {
  const limit = Math.ceil(Math.log2(sample.length));
  const layer: number[] = [];
  const at: number[] = [];
  const draws = new Float64Array(2 * sample.length); // two for each of at most sample − 1 splits
  splits.uniform(index, draws);
  let drawn = 0;

  const grow = (rows: Uint32Array, depth: number): void => {
    const split =
      depth < limit && rows.length > 1 ? randomSplit(zScores, l, rows, draws[drawn++]!, draws[drawn++]!) : 0;
    if (split === 0) {
      layer.push(-1);
      at.push(rows.length);
      return;
    }
    layer.push(split.layer);
    at.push(split.at);
    const below = (i: number) => zScores[i * l + split.layer]! < split.at;
    grow(rows.filter(below), depth + 1);
    grow(
      rows.filter((i) => !below(i)),
      depth + 1,
    );
  };
  grow(sample, 0);
  return { layer, at };
}

/** A place strictly inside the rows' range of one layer, both uniform; 0 if no layer has a range. */
function randomSplit(
  zScores: Float64Array,
  l: number,
  rows: Uint32Array,
  which: number,
  where: number,
): { readonly layer: number; readonly at: number } | 0 {
  const first = Math.floor(which * l);
  for (let k = 0; k < l; k++) {
    const layer = (first + k) % l; // a layer without range here passes on to the next
    let low = Infinity;
    let high = -Infinity;
    for (const i of rows) {
      low = Math.min(low, zScores[i * l + layer]!);
      high = Math.max(high, zScores[i * l + layer]!);
    }
    if (low === high) continue;
    // Four decimals make the file a third as long; both sides keep at least one row in any case.
    const exact = high - where * (high - low);
    const rounded = Math.round(exact * 1e4) / 1e4;
    if (rounded > low && rounded <= high) return { layer, at: rounded };
    return { layer, at: exact > low ? exact : high };
  }
  return 0;
}

function score(params: ForestParams, table: FeatureTable): Float64Array {
  const { layers, sample, meanPath, trees } = params;
  const paths = pathLengths(trees, sample, explain(params, table).zScores, layers.length);
  return paths.map((path) => 2 ** (-path / meanPath));
}

/** [n] path length of every row of z [n, l], averaged over the trees; NaN for a row that holds NaN. */
function pathLengths(trees: readonly IsolationTree[], sample: number, zScores: Float64Array, l: number): Float64Array {
  const beyond = Float64Array.from({ length: sample + 1 }, (_, m) => (m < 1 ? 0 : meanPathLength(m)));
  const sums = new Float64Array(zScores.length / l);
  // A comparison with NaN goes right at every split, which is a path like any other.
  const marked = sums.map((_, i) => Number(zScores.subarray(i * l, (i + 1) * l).some(Number.isNaN)));
  for (const tree of trees) {
    const right = rightChildren(tree);
    for (const [i] of sums.entries()) {
      if (marked[i]) continue;
      let node = 0;
      let depth = 0;
      for (; tree.layer[node]! >= 0; depth++) {
        node = zScores[i * l + tree.layer[node]!]! < tree.at[node]! ? node + 1 : right[node]!;
      }
      sums[i]! += depth + beyond[tree.at[node]!]!;
    }
  }
  return sums.map((sum, i) => (marked[i] ? Number.NaN : sum / trees.length));
}

/** For every split its right child: in preorder, the node after the left subtree. The left child follows at once. */
function rightChildren({ layer }: IsolationTree): Uint32Array {
  const right = new Uint32Array(layer.length);
  const open: number[] = []; // splits whose left subtree is not complete
  for (const [node, j] of layer.entries()) {
    if (j >= 0) open.push(node);
    else if (open.length > 0) right[open.pop()!] = node + 1;
  }
  return right;
}

/** Whether the lists are one whole tree over l layers whose leaves hold at least one row each, `sample` in total. */
function isTree({ layer, at }: IsolationTree, l: number, sample: number): boolean {
  if (layer.length !== at.length) return false;
  let missing = 1; // subtrees that are announced and have not come yet
  let held = 0;
  for (const [node, j] of layer.entries()) {
    if (missing === 0 || j >= l || (j < 0 && !(Number.isInteger(at[node]) && at[node]! >= 1))) return false;
    missing += j >= 0 ? 1 : -1;
    held += j >= 0 ? 0 : at[node]!;
  }
  return missing === 0 && held === sample;
}
