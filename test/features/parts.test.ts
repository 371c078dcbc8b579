// The parts of a loss: what each family names, that they add up to it, and that the batched pass gives what float64
// does.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { syntheticDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { openProgram } from '../../src/engine/index.ts';
import { concatTables, type FeatureTable, openExtractor, sliceTable } from '../../src/features/index.ts';
import { normGraph } from '../../src/features/norms.ts';
import { splitLoss, summandsOf } from '../../src/features/summands.ts';
import { decodeTable, encodeTable } from '../../src/features/table-formats.ts';
import { Arena, inputsOf, interpret, nameOf, type Value } from '../../src/graph/index.ts';
import { writeFileAtomic } from '../../src/node/files.ts';
import { loadOnnx, readTable } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { add, concat, div, exp, matmul, mul, neg, reduceSum, reshape, square, sub } from '../../src/ops/index.ts';
import { builtInModel, type ScoringModel } from '../../src/store/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { expectClose } from '../support/compare.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';
import { randomData } from '../support/run.ts';

const runtime = nodeRuntime();
const n = 6;

/** A diffusion model scored otherwise than by default. */
const scored = (scoring: Readonly<Record<string, unknown>>) => {
  const { info, weights } = smallModel('ddpm');
  return builtInModel(info, weights, `small ddpm ${JSON.stringify(scoring)}`, scoring);
};

const subjects: readonly (readonly [string, () => ScoringModel])[] = [
  ...(Object.keys(smallSizes) as SmallName[]).map((name) => [name, () => smallModel(name)] as const),
  ['ddpm at several steps', () => scored({ timesteps: [2, 9, 2], noiseSamples: 2 })],
  ['ddpm by its bound', () => scored({ bound: true, noiseSamples: 3 })],
];

const names = {
  ddpm: /^t1\[[0-3],[0-3]\]$/,
  glow: /^level[01]\.(prior\.(distance|scale)|step[01]\.coupling)$/,
  pixelcnn: /^pixels\[[0-3],[0-3]\]$/,
  pixelvae: /^(kl\.(mean|variance)|reconstruction\[[0-3],[0-3]\])$/,
  transformer: /^bytes\[[0-4]\]$/,
  vae: /^(kl\.(mean|variance)|reconstruction\[[0-3],[0-3]\])$/,
  'ddpm at several steps': /^t[29]\[[0-3],[0-3]\]$/,
  'ddpm by its bound': /^(pixels\[[0-3],[0-3]\]|last|steps\[[0-2]\])$/,
};
const counts: Readonly<Record<string, number>> = {
  ddpm: 16,
  glow: 7,
  pixelcnn: 16,
  pixelvae: 18,
  transformer: 5,
  vae: 18,
  'ddpm at several steps': 32,
  'ddpm by its bound': 20,
};

describe.each(subjects)('parts of the loss of %s', (subject, open) => {
  const model = open();
  const shape = Object.values(model.inputs)[0]!;
  const data = syntheticDataset('noise', { length: n, shape, seed: 1 });

  it('have the names of its terms', () => {
    const found = splitLoss(model)
      .parts()
      .flatMap((part) => part.names);
    expect(new Set(found).size).toBe(counts[subject]);
    for (const name of found) expect(name).toMatch(names[subject as keyof typeof names]);
  });

  it.each([1, 3])('for groups of %i are those of float64, and add up to it', async (group) => {
    const { nll, parts } = splitLoss(model);
    const measured = normGraph(nll, { parts: parts() });
    const program = openProgram(measured.graph, { runtime, weights: model.weights, group, batch: n });
    const batch = await data.gather([...Array(n).keys()]);
    const feeds = program.feeds(batch, [...Array(n).keys()], 3);
    const outputs = await program.run(feeds);
    await program.dispose();
    const fixed = Object.entries(model.weights).map(([key, w]) => [key, w.data] as const);
    const each = Array.from({ length: n }, (_, i) => {
      const own = Object.entries(feeds).map(([key, { data: all }]) => {
        const stride = all.length / n;
        return [key, Array.from(all.slice(i * stride, (i + 1) * stride), Number)] as const;
      });
      const { nll: loss, parts: terms } = measured.graph.outputs;
      const graph = { arena: nll.arena, outputs: { nll: loss!, parts: terms! } };
      return interpret(graph, Object.fromEntries([...fixed, ...own]));
    });
    const sum = (terms: ArrayLike<number>) => Array.from(terms).reduce((a, b) => a + b, 0);
    // What is left of the loss is the same for every example.
    const rest = each.map((one) => one.nll!.data[0]! - sum(one.parts!.data));
    expectClose(rest, new Array(n).fill(rest[0]), 1e-9, 'the rest', Math.abs(each[0]!.nll!.data[0]!));
    const width = measured.parts.length;
    for (let g = 0; g < n / group; g++) {
      const expected = measured.parts.map((_, k) =>
        sum(each.slice(g * group, (g + 1) * group).map((one) => one.parts!.data[k]!)),
      );
      expectClose(outputs.parts!.data.subarray(g * width, (g + 1) * width), expected, 1e-4, 'parts');
    }
  });

  it('leave the norms as they are to the bit', async () => {
    const of = async (views: readonly 'parts'[]) => {
      const extractor = await openExtractor(model, { runtime, seed: 3, views, threads: 1 });
      const table = await extractor.table(data);
      await extractor.dispose();
      return table;
    };
    const [plain, parted] = [await of([]), await of(['parts'])];
    expect(parted.sqNorms).toEqual(plain.sqNorms);
    expect(parted.nll).toEqual(plain.nll);
  });
});

/** The parts of a loss, their sum over the loss's at two examples. */
function held(build: (x: Value, w: Value) => Value, shape: readonly number[] = [1, 3, 6, 5]): readonly string[] {
  const arena = new Arena();
  const loss = build(arena.input('x', shape), arena.param('w', shape));
  const parts = summandsOf(loss);
  if (parts.length === 0) return [];
  const value = concat(
    parts.map((part) => part.value),
    0,
  );
  const rest = ['a', 'b'].map((key) => {
    const w = randomData('w', sizeOf(shape));
    const found = interpret({ arena, outputs: { loss, value } }, { x: randomData(key, sizeOf(shape)), w });
    return found.loss!.data[0]! - found.value!.data.reduce((a, b) => a + b, 0);
  });
  expect(Math.abs(rest[0]! - rest[1]!)).toBeLessThan(1e-9 * (1 + Math.abs(rest[0]!)));
  return parts.flatMap((part) => part.names);
}

describe('parts of a loss that a graph shows', () => {
  it('are what it adds and subtracts, whatever that is scaled by', () => {
    const found = held((x, w) => {
      const fit = reduceSum(square(sub(x, w)));
      const kl = mul(-0.5, reduceSum(sub(sub(add(1, x), square(x)), exp(x))));
      return sub(add(div(fit, 2), neg(neg(kl))), mul(reduceSum(w), 3));
    });
    // The fit and the three terms of the kl; each would be 16 regions, which is 64 in all.
    expect(new Set(found.map((name) => name.replace(/\[.*/, '')))).toEqual(
      new Set(['term0', 'term1', 'term2', 'term3']),
    );
    expect(found).toHaveLength(64);
  });

  it('are whole where taken apart they would be too many', () => {
    const found = held((x, w) =>
      [x, exp(x), square(x), square(sub(x, w)), exp(neg(x))].map((v) => reduceSum(v)).reduce(add),
    );
    expect(found).toEqual(['term0', 'term1', 'term2', 'term3', 'term4']);
  });

  it('are regions of images and blocks of sequences', () => {
    expect(held((x, w) => reduceSum(square(sub(x, w))))).toHaveLength(16);
    expect(held((x, w) => reduceSum(square(sub(x, w))), [1, 20])).toHaveLength(8);
    expect(held((x, w) => reduceSum(exp(add(x, w))), [1, 11, 7])).toHaveLength(8);
    expect(held((x, w) => reduceSum(exp(add(x, w))), [3, 11, 7])).toHaveLength(16);
    expect(held((x) => reduceSum(reduceSum(square(x), [2, 3])))).toEqual(['loss[0]', 'loss[1]', 'loss[2]']);
    expect(held((x, w) => reduceSum(reshape(square(sub(x, w)), [-1])))).toHaveLength(16);
  });

  it('count what broadcasting repeats as often', () => {
    const found = held((x, w) => reduceSum(add(reduceSum(exp(x), [2, 3], true), square(mul(x, w)))));
    expect(found.length).toBeGreaterThan(16);
  });

  it('are none of what is no sum', () => {
    expect(held((x, w) => exp(reshape(matmul(reshape(x, [1, -1]), reshape(w, [-1, 1])), [])))).toEqual([]);
    expect(held((x, w) => reshape(matmul(reshape(x, [1, -1]), reshape(w, [-1, 1])), []))).toEqual([]);
  });
});

const shared = (path: string) => fileURLToPath(new URL(`../../../shared/goldens/${path}`, import.meta.url));

describe('parts of ONNX models', () => {
  it.each(['glow', 'vae', 'ddpm', 'gpt'])('of %s from PyTorch add up to the loss', async (name) => {
    const own = readFileSync(shared(`${name}.onnx`));
    expect(own.length).toBeGreaterThan(0);
    const probe = await loadOnnx(shared(`${name}.onnx`));
    const { nll, parts } = splitLoss(probe);
    const found = parts();
    if (found.length === 0) return;
    const value = concat(
      found.map((part) => part.value),
      0,
    );
    const graph = { arena: nll.arena, outputs: { nll, value } };
    const fixed = Object.entries(probe.weights).map(([key, w]) => [key, w.data] as const);
    const rest = [0, 1].map((k) => {
      const inputs = inputsOf(graph).map((v) => {
        const draws = randomData(`${nameOf(v)} ${k}`, sizeOf(v.shape));
        return [nameOf(v), v.dtype === 'int' ? draws.map((d) => Math.floor(Math.abs(d) * 3)) : draws] as const;
      });
      const results = interpret(graph, Object.fromEntries([...fixed, ...inputs]));
      return results.nll!.data[0]! - results.value!.data.reduce((a, b) => a + b, 0);
    });
    expect(Math.abs(rest[0]! - rest[1]!)).toBeLessThan(1e-8 * (1 + Math.abs(rest[0]!)));
  });
});

describe('tables with parts', () => {
  const model = smallModel('vae');
  const data = syntheticDataset('noise', { length: 10, shape: model.info.data, seed: 1 });
  const tableOf = async (options = {}): Promise<FeatureTable> => {
    const views = ['radial', 'parts'] as const;
    const extractor = await openExtractor(model, { runtime, seed: 3, views, ...options });
    try {
      return await extractor.table(data);
    } finally {
      await extractor.dispose();
    }
  };

  it('are the same at every batch size and thread count', async () => {
    const whole = await tableOf();
    expect(whole.meta.columns!.parts).toHaveLength(18);
    for (const options of [{ batch: 1 }, { batch: 3 }, { threads: 2 }]) {
      const table = await tableOf(options);
      expectClose(table.views!.parts!, whole.views!.parts!, 1e-4, 'parts');
    }
    const pairs = await tableOf({ group: 2 });
    const width = 18;
    const summed = Float64Array.from({ length: 5 * width }, (_, at) => {
      const [g, k] = [Math.floor(at / width), at % width];
      return whole.views!.parts![2 * g * width + k]! + whole.views!.parts![(2 * g + 1) * width + k]!;
    });
    expectClose(pairs.views!.parts!, summed, 1e-4, 'parts of groups');
  });

  it('go through every format, are cut and joined', async () => {
    const table = await tableOf();
    for (const format of ['npz', 'parquet', 'json'] as const) {
      expect(await decodeTable(await encodeTable(table, format, 'x'), format, 'x')).toEqual(table);
    }
    expect(concatTables([sliceTable(table, 4, 10), sliceTable(table, 0, 4)])).toEqual(table);
    const [a, b] = [sliceTable(table, 0, 4), sliceTable(table, 4, 10)];
    const columns = { parts: table.meta.columns!.parts!.map((name) => `${name}!`) };
    expect(() => concatTables([a, { ...b, meta: { ...b.meta, columns } }])).toThrow('views have other columns');
    const { columns: _, ...less } = table.meta;
    await expect(encodeTable({ ...table, meta: less }, 'npz', 'x')).rejects.toThrow(
      'columns of the views parts and activations',
    );
  });

  it('are written and resumed by the command line, and refused where there are none', async () => {
    await inTemporaryFolder(async (folder) => {
      const at = (name: string) => join(folder, name);
      const pixels = Uint8Array.from({ length: 20 * 64 }, (_, i) => (i * 37 + (i >> 5)) % 256);
      await writeFileAtomic(at('x.npy'), writeNpy({ dtype: 'uint8', shape: [20, 1, 8, 8], data: pixels }));
      const config = ['--config', '{"latent": 2, "hidden": 2}', '--steps', '2', '--batch', '4'];
      expect((await runCli('train', 'vae', '--data', at('x.npy'), ...config, '--out', at('m'))).code).toBe(0);
      const done = await runCli(
        ...['features', at('m'), '--data', at('x.npy'), '--features', 'norms,radial,parts', '--out', at('t.parquet')],
      );
      expect(done.code, done.stderr).toBe(0);
      const table = await readTable(at('t.parquet'));
      expect(table.meta.views).toEqual(['radial', 'parts']);
      expect(table.views!.parts).toHaveLength(20 * 18);
      const seen = JSON.parse((await runCli('inspect', at('m'), '--json')).stdout);
      expect(seen.parts).toEqual(table.meta.columns!.parts);
      expect(seen.views.parts).toBeGreaterThanOrEqual(0);
      expect(seen.views.radial).toBeGreaterThan(0);
      const odd = await runCli('features', at('m'), '--data', at('x.npy'), '--features', 'part', '--out', at('u.npz'));
      expect([odd.code, odd.stderr]).toEqual([
        2,
        expect.stringContaining("'part' is none of norms, radial, fisher, parts"),
      ]);
    });
  });
});
