// The isolation forest against closed forms: c(m), path lengths in one dimension, the shape of its trees.

import { describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import { type ForestParams, type IsolationTree, isolationForest, meanPathLength, SAMPLE, TREES } from './forest.ts';

const E = Math.E;
const layers = ['a.0', 'a.1'].map((name) => ({ name, mean: 0, sd: 1 }));

describe('meanPathLength', () => {
  it('is the mean depth of a random search tree', () => {
    expect([1, 2, 3, 4].map(meanPathLength)).toEqual([0, 1, 2 * 1.5 - 4 / 3, expect.closeTo(2 * (11 / 6) - 1.5, 12)]);
    // The paper's approximation, H(k) ≈ ln k + 0.5772156649.
    expect(meanPathLength(256)).toBeCloseTo(2 * (Math.log(255) + 0.5772156649) - (2 * 255) / 256, 2);
    // Recursion over the rank of the root: c(m) = 1 + Σ_k (k/m) … for the m gaps of m − 1 keys, D(m) the total depth.
    const total = [0, 0];
    for (let m = 2; m <= 60; m++) {
      let sum = 0;
      for (let left = 1; left < m; left++) sum += total[left]! + total[m - left]!;
      total.push(m + sum / (m - 1));
    }
    for (let m = 2; m <= 60; m++) expect(total[m]! / m).toBeCloseTo(meanPathLength(m), 10);
  });
});

describe('isolation-forest', () => {
  it('is 2^(−path / mean path of the fit rows), with c of the leaf added, computed by hand', () => {
    // Split layer 1 at 0: left a leaf of 3 rows; right split layer 0 at 2 into leaves of 1 and 4.
    const tree: IsolationTree = { layer: [1, -1, 0, -1, -1], at: [0, 3, 2, 1, 4] };
    const params: ForestParams = {
      layers,
      dropped: [],
      sample: 8,
      meanPath: 5,
      trees: [tree, { layer: [-1], at: [8] }],
    };
    const c = meanPathLength;
    const scores = isolationForest().score(
      params,
      tableOf([
        [1, E ** -1],
        [E, E],
        [E ** 2, 1], // at the border: not below
      ]),
    );
    for (const [i, path] of [1 + c(3), 2 + c(1), 2 + c(4)].entries()) {
      expect(scores[i]).toBeCloseTo(2 ** (-(path + c(8)) / 2 / 5), 12);
    }
  });

  it('has trees that cut their rows down to one, or to the depth limit', () => {
    const { trees, sample } = isolationForest().fit(syntheticTable({ n: 400, layers: 5 }));
    expect(trees).toHaveLength(TREES);
    expect(sample).toBe(SAMPLE);
    for (const { layer, at } of trees) {
      const depths: number[] = []; // of the subtrees to come
      let rows = 0;
      let next = 0;
      for (const [k, j] of layer.entries()) {
        const depth = k === 0 ? 0 : depths.pop()!;
        if (j >= 0) depths.push(depth + 1, depth + 1);
        else {
          rows += at[k]!;
          if (at[k]! > 1) expect(depth).toBe(8);
          expect(depth).toBeLessThanOrEqual(8);
          next++;
        }
      }
      expect(depths).toEqual([]);
      expect(rows).toBe(SAMPLE);
      expect(next).toBe((layer.length + 1) / 2);
    }
  });

  it('has the mean path lengths of random splits in one dimension', () => {
    // Three rows at 0, 1 and 4: the first split falls in (0, 1] with chance 1/4, in (1, 4] with 3/4, and isolates an
    // end; the two others need one more. So 4 has mean length 3/4 · 1 + 1/4 · 2, 0 has 1/4 · 1 + 3/4 · 2, and 1 always
    // 2.
    const fit = tableOf([[1], [E], [E ** 4]]);
    let sums = [0, 0, 0];
    const seeds = 40;
    for (let seed = 0; seed < seeds; seed++) {
      const params = isolationForest().fit({ ...fit, meta: { ...fit.meta, seed } });
      const scores = isolationForest().score(params, fit);
      sums = sums.map((sum, i) => sum - Math.log2(scores[i]!) * params.meanPath);
    }
    // 4,000 trees: a standard deviation of 0.43/√4000 = 0.007; four of those.
    expect(sums[0]! / seeds).toBeCloseTo(7 / 4, 1);
    expect(Math.abs(sums[0]! / seeds - 7 / 4)).toBeLessThan(0.028);
    expect(sums[1]! / seeds).toBeCloseTo(2, 10);
    expect(Math.abs(sums[2]! / seeds - 5 / 4)).toBeLessThan(0.028);
  });

  it('ranks a planted outlier first, and the others around a half', () => {
    const table = syntheticTable({ n: 300, layers: 4 });
    const sqNorms = table.sqNorms.slice();
    for (let j = 0; j < 4; j++) sqNorms[17 * 4 + j] = Math.exp(j + 8);
    const planted = { ...table, sqNorms };
    const scores = isolationForest().score(isolationForest().fit(planted), planted);
    expect(scores.indexOf(Math.max(...scores))).toBe(17);
    expect(scores[17]).toBeGreaterThan(0.7);
    expect(scores.filter((s) => Math.abs(s - 0.5) < 0.1).length).toBeGreaterThan(280);
  });

  it('has scores that mean the same from forest to forest, whatever their splits', () => {
    // Independent layers, many of them: rows differ least, and so chance splits matter most.
    const [fit, fresh] = [syntheticTable({ n: 300, layers: 100 }), syntheticTable({ n: 300, layers: 100, seed: 1 })];
    const averages = Array.from({ length: 12 }, (_, seed) => {
      const params = isolationForest().fit({ ...fit, meta: { ...fit.meta, seed } });
      const scores = isolationForest().score(params, fresh);
      const mean = scores.reduce((sum, s) => sum + s, 0) / 300;
      return { mean, sd: Math.sqrt(scores.reduce((sum, s) => sum + (s - mean) ** 2, 0) / 300) };
    });
    const means = averages.map(({ mean }) => mean);
    expect(Math.max(...means) - Math.min(...means)).toBeLessThan(0.3 * averages[0]!.sd);
    for (const mean of means) expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
  });

  it('depends on the seed alone', () => {
    const table = syntheticTable({ n: 300 });
    expect(isolationForest().fit(table)).toEqual(isolationForest().fit(table));
    const other = isolationForest().fit({ ...table, meta: { ...table.meta, seed: 8 } });
    expect(other.trees).not.toEqual(isolationForest().fit(table).trees);
  });

  it('reads only whole trees from a file', () => {
    const accepts = (layer: number[], at: number[], sample = 3) =>
      isolationForest().params.safeParse({ layers, dropped: [], sample, meanPath: 1, trees: [{ layer, at }] }).success;
    expect(accepts([0, -1, -1], [0.5, 1, 2])).toBe(true);
    expect([
      accepts([0, -1], [0.5, 3]), // a subtree is missing
      accepts([-1, -1], [1, 2]), // one too many
      accepts([2, -1, -1], [0.5, 1, 2]), // no such layer
      accepts([0, -1, -1], [0.5, 1.5, 1.5]), // half rows
      accepts([0, -1, -1], [0.5, 0, 3]), // an empty leaf
      accepts([0, -1, -1], [0.5, 1, 3]), // more rows than the sample
      accepts([0, -1, -1], [0.5, 1]), // another length
      accepts([], [], 2),
    ]).toEqual(new Array(8).fill(false));
  });
});
